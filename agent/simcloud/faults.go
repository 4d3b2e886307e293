package simcloud

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Kind is a way in which an API request goes wrong.
type Kind string

// Faults that answer instead of the API.
const (
	TokenUnknown    Kind = "403 code 2"
	TokenExpired    Kind = "403 code 3"
	AppDeactivated  Kind = "403 code 5"
	ScopeMissing    Kind = "403 code 13"
	QuotaReached    Kind = "429 code 26"
	QuotaReached403 Kind = "403 code 26" // as until 2023
	Busy            Kind = "429 code 11" // load shedding, not the caller's quota
	Internal        Kind = "500 code 500"
	BackendText     Kind = "500 code 0" // raw text of a database
	ErrorString     Kind = "400 with a string for an error"
	Forbidden       Kind = "403 without a body"
	Unavailable     Kind = "503 with HTML"
	HTML            Kind = "200 with HTML"
	Empty           Kind = "200 without a body"
	Hang            Kind = "no answer" // until the client leaves, or the Delay is over
	HangUp          Kind = "connection closed without an answer"
	Huge            Kind = "100 MB of JSON"
)

// Faults that alter the answer of the API.
const (
	Late      Kind = "answers after the Delay"
	Slow      Kind = "answers at once, the body takes the Delay"
	Truncated Kind = "half of the body"
	Cut       Kind = "connection closed in the middle of the body"
	Pretty    Kind = "body in lines that end with CRLF"
)

// Lockout refuses every request with code 26 until the Delay is over.
const Lockout Kind = "429 code 26 for a while"

// Fault is a fault of the next requests.
type Fault struct {
	Endpoint   string // such as "getstationsdata"; empty: any
	Kind       Kind
	Times      int           // how many requests; 0: one; negative: all until Heal
	Delay      time.Duration // for Late, Slow, Hang and Lockout
	RetryAfter string        // the header of that name, if not empty
}

// replacements has every fault that answers instead of the API. The last three
// send no fixed answer.
var replacements = map[Kind]reply{
	TokenUnknown:    (&apiError{403, 2, "Invalid access token"}).reply(),
	TokenExpired:    (&apiError{403, 3, "Access token expired"}).reply(),
	AppDeactivated:  (&apiError{403, 5, "Application deactivated"}).reply(),
	ScopeMissing:    (&apiError{403, 13, "Application does not have the good scope rights"}).reply(),
	QuotaReached:    quotaReached.reply(),
	QuotaReached403: (&apiError{403, 26, "User usage reached"}).reply(),
	Busy:            (&apiError{429, 11, "Failed to enter concurrency limited section"}).reply(),
	Internal:        (&apiError{500, 500, "Internal Server Error"}).reply(),
	BackendText:     (&apiError{500, 0, "failed to connect to server [localhost:27017] on first connect"}).reply(),
	ErrorString:     jsonReply(400, []byte(`{"error":"invalid_request"}`)),
	Forbidden:       {status: 403},
	Unavailable:     unavailable,
	HTML:            htmlReply(200),
	Empty:           jsonReply(200, nil),
	Hang:            {},
	HangUp:          {},
	Huge:            {},
}

const hugeBody = 100 << 20

// Inject queues a fault behind those already queued. Faults take effect before
// the token and the quota are checked, a Lockout at once.
func (c *Cloud) Inject(f Fault) {
	if f.Times == 0 {
		f.Times = 1
	}
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.Kind == Lockout {
		c.quota.lockedUntil = now.Add(f.Delay)
		return
	}
	c.faults = append(c.faults, f)
}

// Heal drops all queued faults, and ends a Lockout.
func (c *Cloud) Heal() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = nil
	c.quota.lockedUntil = time.Time{}
}

// arrive counts a request and uses one repetition of the first fault for it.
func (c *Cloud) arrive(endpoint string) Fault {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests[endpoint]++
	for i, f := range c.faults {
		if f.Endpoint != "" && f.Endpoint != endpoint {
			continue
		}
		if c.faults[i].Times--; c.faults[i].Times == 0 {
			c.faults = append(c.faults[:i:i], c.faults[i+1:]...)
		}
		return f
	}
	return Fault{}
}

func (f Fault) replaces() bool {
	_, ok := replacements[f.Kind]
	return ok
}

// serve answers instead of the API.
func (f Fault) serve(w http.ResponseWriter, r *http.Request) {
	f.retryAfter(w)
	switch f.Kind {
	case Hang:
		f.wait(r, f.Delay)
		panic(http.ErrAbortHandler)
	case HangUp:
		panic(http.ErrAbortHandler)
	case Huge:
		serveHuge(w)
	default:
		replacements[f.Kind].write(w)
	}
}

// spoil sends the answer of the API with the fault.
func (f Fault) spoil(w http.ResponseWriter, r *http.Request, p reply) {
	f.retryAfter(w)
	half := len(p.body) / 2
	switch f.Kind {
	case Late:
		if !f.wait(r, f.Delay) {
			return
		}
	case Slow:
		f.dribble(w, r, p)
		return
	case Truncated:
		p.body = p.body[:half]
	case Cut:
		w.Header().Set("Content-Length", fmt.Sprint(len(p.body)))
		w.WriteHeader(p.status)
		w.Write(p.body[:half])
		flush(w)
		panic(http.ErrAbortHandler)
	case Pretty:
		p.body = pretty(p.body)
	default: // no fault
	}
	p.write(w)
}

func (f Fault) retryAfter(w http.ResponseWriter) {
	if f.RetryAfter != "" {
		w.Header().Set("Retry-After", f.RetryAfter)
	}
}

// wait waits for d, or without a d until the client leaves. It reports whether
// the client is still connected.
func (f Fault) wait(r *http.Request, d time.Duration) bool {
	var over <-chan time.Time
	if d > 0 {
		over = time.After(d)
	}
	select {
	case <-over:
		return true
	case <-r.Context().Done():
		return false
	}
}

// dribble sends the body in pieces.
func (f Fault) dribble(w http.ResponseWriter, r *http.Request, p reply) {
	const pieces = 20
	w.Header().Set("Content-Type", p.contentType)
	w.WriteHeader(p.status)
	for i := range pieces {
		if !f.wait(r, f.Delay/pieces) {
			return
		}
		w.Write(p.body[i*len(p.body)/pieces : (i+1)*len(p.body)/pieces])
		flush(w)
	}
}

// flush sends what was written so far; an error only means that the client has
// left.
func flush(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() }

// serveHuge streams one well-formed answer of at least hugeBody bytes.
func serveHuge(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	device := []byte(`{"_id":"70:ee:50:ff:ff:ff","type":"NAMain","module_name":"` + strings.Repeat("a", 64<<10) + `","modules":[]},`)
	w.Write([]byte(`{"status":"ok","body":{"devices":[`))
	for range hugeBody/len(device) + 1 {
		if _, err := w.Write(device); err != nil {
			return // the client has left
		}
	}
	w.Write(append(device[:len(device)-1], `]}}`...))
}
