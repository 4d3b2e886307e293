package netatmo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"netatmo-agent/agent/outage"
)

const (
	timeout = 30 * time.Second // of one request; Netatmo is known to take 20

	busyPause    = 10 * time.Second
	gatewayPause = 10 * time.Minute // at most, after an answer that may not be Netatmo's
	quotaPause   = time.Hour        // lock-outs last 30 to 60 minutes (reported); no pause is longer
)

// TokenSource provides the access token. It is asked before every request, and
// informed if Netatmo rejects the token.
type TokenSource interface {
	Token(ctx context.Context) (string, error)
	Reject(accessToken string)
}

// Options configure a Client. BaseURL, Tokens and Gate are required.
type Options struct {
	BaseURL   string // requests go to BaseURL/api/…
	Tokens    TokenSource
	Gate      *Gate        // shared by all clients of an account
	HTTP      *http.Client // nil: the default; its CheckRedirect is not used: redirects are not followed
	Logger    *slog.Logger // nil: none
	UserAgent string

	// Families are the families in homes that Homes and HomeStatus report; none
	// means all. Weather and HomeCoaches ignore it.
	Families []Family

	// OnRequest is called after every HTTP request, from the goroutine that
	// made it, with "ok" or the error's class.
	OnRequest func(endpoint, outcome string)

	// OnDate is called with the header Date of every answer and the local time at
	// that moment, from the goroutine that made the request.
	OnDate func(server, local time.Time)
}

// Client makes requests to the API. Its methods are safe for concurrent use;
// they wait at the Gate, then for at most 30 s for the answer. Errors are of
// type *Error.
type Client struct {
	o         Options
	http      http.Client
	manyHomes atomic.Bool // the log says so
}

// NewClient returns a client; it makes no request.
func NewClient(o Options) *Client {
	if o.HTTP == nil {
		o.HTTP = http.DefaultClient
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.OnRequest == nil {
		o.OnRequest = func(string, string) {}
	}
	if o.OnDate == nil {
		o.OnDate = func(time.Time, time.Time) {}
	}
	c := &Client{o: o, http: *o.HTTP}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c
}

// request is one request to the API.
type request struct {
	endpoint string
	subject  string // what it is about, for errors
	form     url.Values
	priority Priority
}

func (r request) failed(class Class, err error) *Error {
	return &Error{Class: class, Code: NoCode, Endpoint: r.endpoint, Subject: r.subject, Err: err}
}

// call makes the request, once more with another token if the first was
// rejected, and passes the body of the answer to body. What body has collected
// counts only if call returns no error; body may run once for each try.
func (c *Client) call(ctx context.Context, r request, body func(*stream) error) (envelope, error) {
	for try := 1; ; try++ {
		if err := c.o.Gate.Wait(ctx, r.priority); err != nil {
			return envelope{}, r.failed(ClassCanceled, err)
		}
		token, err := c.o.Tokens.Token(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return envelope{}, r.failed(ClassCanceled, ctx.Err())
			}
			return envelope{}, r.failed(ClassLogin, err)
		}
		start := time.Now()
		env, fail := c.once(ctx, r, token, body)
		outcome := "ok"
		if fail != nil {
			outcome, fail.real = string(fail.Class), c.way().real()
		}
		c.o.OnRequest(r.endpoint, outcome)
		c.o.Logger.Debug("netatmo request", "endpoint", r.endpoint, "subject", r.subject,
			"outcome", outcome, "duration", time.Since(start).Round(time.Millisecond).String())
		if fail == nil {
			return env, nil
		}
		if rejectedToken(fail.Code) && try == 1 {
			c.o.Tokens.Reject(token)
			continue
		}
		if fail.RetryAfter > 0 {
			c.o.Gate.Pause(fail.RetryAfter)
		}
		return env, fail
	}
}

// once makes one HTTP request.
func (c *Client) once(ctx context.Context, r request, token string, body func(*stream) error) (envelope, *Error) {
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	target := strings.TrimSuffix(c.o.BaseURL, "/") + "/api/" + r.endpoint
	if len(r.form) > 0 {
		target += "?" + r.form.Encode()
	}
	req, err := http.NewRequestWithContext(c.countRepeats(limited, r.priority), http.MethodGet, target, nil)
	if err != nil {
		return envelope{}, r.failed(ClassNetwork, bare(err))
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Accept", "application/json")
	if c.o.UserAgent != "" {
		req.Header.Set("User-Agent", c.o.UserAgent)
	}
	start := time.Now()
	resp, err := c.http.Do(req)
	if err != nil {
		fail := r.unanswered(ctx, err)
		if fail.Class == ClassNetwork {
			fail.advice = c.way().unconnected(req, err)
		}
		return envelope{}, fail.without(token)
	}
	defer resp.Body.Close()
	env := envelope{local: start.Add(time.Since(start) / 2)}
	limit := maxAnswer
	if resp.StatusCode/100 != 2 {
		limit, body = maxReport, (*stream).skim
	}
	err = env.read(resp.Body, limit, body)
	_, _ = io.CopyN(io.Discard, resp.Body, 4096) // to its end, so that the connection can be reused
	if sent, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		c.o.OnDate(sent, env.local)
		if env.server.IsZero() {
			env.server = sent
		}
	}
	fail := r.judge(ctx, resp.StatusCode, env, err)
	if fail != nil {
		if a := c.way().misdirected(req, resp.StatusCode, resp.Header); a != (advice{}) && !env.failed {
			fail.advice, fail.Message = a, ""
		}
		fail = fail.without(token)
		fail.RetryAfter = pause(fail.Class, fail.Code, outage.RetryAfter(resp.Header, quotaPause))
	}
	return env, fail
}

// countRepeats makes requests that net/http repeats on its own, such as after a
// GOAWAY or on a connection that the server has closed, wait at the Gate as
// well.
func (c *Client) countRepeats(ctx context.Context, p Priority) context.Context {
	var attempts atomic.Int32
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GetConn: func(string) {
		if attempts.Add(1) > 1 {
			_ = c.o.Gate.Wait(ctx, p) // its error ends the request too
		}
	}})
}

// judge decides whether an answer with this status is a failure. err is what
// reading it returned.
func (r request) judge(ctx context.Context, status int, env envelope, err error) *Error {
	ok := status/100 == 2
	if err == nil && ok && !env.failed {
		return nil
	}
	fail := r.failed(classify(env.code, status), nil)
	fail.Status, fail.Code, fail.Message = status, env.code, env.message
	switch {
	case env.failed:
	case err == nil:
		fail.Message = "the answer names no error"
	case ok || ctx.Err() != nil:
		fail = r.unread(ctx, err)
		fail.Status = status
	default:
		fail.Message = damage(err)
	}
	return fail
}

// unanswered is the failure of a request that got no answer.
func (r request) unanswered(ctx context.Context, err error) *Error {
	switch {
	case ctx.Err() != nil:
		return r.failed(ClassCanceled, ctx.Err())
	case errors.Is(err, context.DeadlineExceeded):
		return r.failed(ClassNetwork, fmt.Errorf("nothing within %s: %w", timeout, context.DeadlineExceeded))
	}
	return r.failed(ClassNetwork, bare(err))
}

// unread is the failure of an answer that should be a success but cannot be read.
func (r request) unread(ctx context.Context, err error) *Error {
	if unreadable(err) {
		fail := r.failed(ClassMalformed, nil)
		fail.Message = damage(err)
		return fail
	}
	return r.unanswered(ctx, err)
}

// bare removes the URL from err, because the error's text already has it.
func bare(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// pause returns how long no request should follow a failure. One answer stops
// all requests, and any device on the way may have sent it, so an arbitrary
// Retry-After is not obeyed, least of all that of an answer without a code.
func pause(class Class, code int, asked time.Duration) time.Duration {
	most := quotaPause
	if code == NoCode {
		most = gatewayPause
	}
	switch class {
	case ClassQuota:
		return quotaPause
	case ClassBusy:
		if asked == 0 {
			asked = busyPause
		}
	case ClassServer:
	default:
		return 0
	}
	return min(asked, most)
}
