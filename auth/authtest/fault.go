package authtest

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// FaultKind is a way in which a token request goes wrong.
type FaultKind int

// These faults leave the pair unchanged unless they say otherwise.
const (
	Slow    FaultKind = iota // takes effect at once, answers after the delay
	Refuse                   // 403 without a body, seen after requests in too quick a succession
	HTML403                  // these six: a status with an HTML page, as a gateway answers
	HTML429
	HTML500
	HTML502
	HTML503
	HTML504
	HangUp             // closes the connection without an answer
	LostAnswer         // takes effect, then closes the connection without an answer
	Truncated          // takes effect, then sends half an answer
	InvalidGrant       // invalid_grant although the token or code is good, seen on bad days
	InvalidRequest     // invalid_request although the request is good, seen on bad days
	InvalidClient      // as when the app was disabled or deleted
	TooManyConnections // too_many_connections
	ScopeSuperset      // takes effect, and grants more scopes than were asked for
)

// Fault is a fault of the next token requests that are well formed and carry the
// right credentials.
type Fault struct {
	Kind  FaultKind
	Times int           // how many requests; 0: one; negative: all until Heal
	Delay time.Duration // before the answer, or before the connection is closed
}

var htmlStatus = map[FaultKind]int{
	HTML403: http.StatusForbidden,
	HTML429: http.StatusTooManyRequests,
	HTML500: http.StatusInternalServerError,
	HTML502: http.StatusBadGateway,
	HTML503: http.StatusServiceUnavailable,
	HTML504: http.StatusGatewayTimeout,
}

var errorString = map[FaultKind]string{
	InvalidGrant:       "invalid_grant",
	InvalidRequest:     "invalid_request",
	InvalidClient:      "invalid_client",
	TooManyConnections: "too_many_connections",
}

// Inject queues a fault.
func (s *Server) Inject(f Fault) {
	if f.Times == 0 {
		f.Times = 1
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, f)
}

// Heal drops all queued faults.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// nextFault returns the first fault in the queue and counts it, or nil if there
// is none. The caller holds mu.
func (s *Server) nextFault() *Fault {
	if len(s.faults) == 0 {
		return nil
	}
	f := s.faults[0]
	switch {
	case f.Times == 1:
		s.faults = s.faults[1:]
	case f.Times > 1:
		s.faults[0].Times--
	}
	return &f
}

// before returns the answer of a fault that strikes before the request takes
// effect, or nil if the request proceeds.
func (f *Fault) before() *answer {
	if f == nil {
		return nil
	}
	a := &answer{delay: f.Delay}
	switch {
	case f.Kind == Refuse:
		a.status, a.outcome = http.StatusForbidden, "403"
	case f.Kind == HangUp:
		a.drop, a.outcome = true, "hung up"
	case htmlStatus[f.Kind] != 0:
		a.status = htmlStatus[f.Kind]
		a.outcome = strconv.Itoa(a.status)
		a.contentType = "text/html; charset=utf-8"
		a.body = fmt.Appendf(nil, "<html>\r\n<head><title>%d %s</title></head>\r\n<body><center><h1>%[1]d %[2]s</h1></center><hr><center>nginx</center></body>\r\n</html>\r\n", a.status, http.StatusText(a.status))
	case errorString[f.Kind] != "":
		a = refusal(errorString[f.Kind])
		a.delay = f.Delay
	default:
		return nil
	}
	return a
}

// after delays the answer to a request, and damages it if the request took
// effect.
func (f *Fault) after(a *answer) {
	if f == nil {
		return
	}
	a.delay = f.Delay
	switch {
	case a.issued == 0:
	case f.Kind == LostAnswer:
		a.drop, a.outcome = true, "lost"
	case f.Kind == Truncated:
		a.body, a.outcome = a.body[:len(a.body)/2], "lost"
	}
}
