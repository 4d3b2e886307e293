package auth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"regexp"
	"sync/atomic"
	"time"

	"golang.org/x/oauth2"
)

const (
	// askTimeout bounds one token request. Netatmo has been seen to take long;
	// whoever gives up early loses the answer, and the login with it. No gateway
	// is known to wait longer than a minute.
	askTimeout = 90 * time.Second

	// stopTimeout bounds what is left of it once the process was told to stop.
	stopTimeout = 30 * time.Second

	// netatmoLife is the documented life of an access token, for an answer that
	// does not name it.
	netatmoLife = 3 * time.Hour

	maxAnswer = 1 << 20
)

// TokenError is a fault of a request to Netatmo's token endpoint that passes:
// the same request may succeed later.
type TokenError struct {
	Reason string    // for logs and metrics: an OAuth error such as "invalid_grant", "http 503", "timeout", "network", "malformed", "store"
	Lost   bool      // the request may have taken effect, the new pair did not arrive
	Retry  time.Time // when the agent tries again by itself; zero: it does not
	Err    error     // without any token
}

func (e *TokenError) Error() string {
	text := "there is no new access token: " + e.Err.Error()
	if e.Reason == "store" {
		text = "no new access token was asked for, as it could not be kept: " + e.Err.Error()
	}
	if e.Retry.IsZero() {
		return text + "; try again"
	}
	return text + "; this is tried again at " + e.Retry.Format("15:04:05")
}

func (e *TokenError) Unwrap() error { return e.Err }

// ask makes exactly one token request. No caller's context ends it, but a stop
// of the process does some time later.
func (s *Source) ask(ctx context.Context, get func(context.Context) (*oauth2.Token, error)) (document, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTimeout)
	defer cancel()
	go s.hurry(ctx, cancel)
	var sent atomic.Bool // set by a goroutine that may outlive the request
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }})
	token, err := get(context.WithValue(ctx, oauth2.HTTPClient, s.client))
	if err != nil {
		return document{}, tokenError(err, sent.Load(), ctx.Err())
	}
	d := document{Access: token.AccessToken, Refresh: token.RefreshToken, Life: time.Duration(token.ExpiresIn) * time.Second}
	if d.Life <= 0 {
		d.Life = netatmoLife
	}
	d.Expiry = time.Now().UTC().Add(d.Life).Truncate(time.Second)
	return d, nil
}

// hurry says why a process that was told to stop does not, and cancels the
// request if it then takes too long. It returns when ctx ends.
func (s *Source) hurry(ctx context.Context, cancel context.CancelFunc) {
	s.mu.Lock()
	stopping := s.stopping
	s.mu.Unlock()
	select {
	case <-ctx.Done():
		return
	case <-stopping:
	}
	s.log.Warn("stopping when Netatmo has answered a token request that is under way; a second signal ends at once, and may cost the login",
		"at_most", stopTimeout.String())
	timer := time.AfterFunc(stopTimeout, cancel)
	defer timer.Stop()
	<-ctx.Done()
}

// tokenError says what went wrong without quoting an answer, which may hold
// tokens. ended is why the request was given up, nil if it was not.
func tokenError(err error, sent bool, ended error) *TokenError {
	refusal, answered := errors.AsType[*oauth2.RetrieveError](err)
	var timeout interface{ Timeout() bool }
	switch {
	case answered && oauthErrors[refusal.ErrorCode]:
		return &TokenError{Reason: refusal.ErrorCode, Err: fmt.Errorf("Netatmo answered %q", refusal.ErrorCode)}
	case answered && refusal.ErrorCode != "":
		return &TokenError{Reason: "other error", Err: errors.New("Netatmo answered with an error that is not known")}
	case answered:
		status := refusal.Response.StatusCode
		return &TokenError{
			Reason: fmt.Sprintf("http %d", status),
			Lost:   status == 500 || status == 502 || status == 504, // a gateway gave up on a server that may have gone on
			Err:    fmt.Errorf("Netatmo answered HTTP %d %s", status, http.StatusText(status)),
		}
	case errors.Is(ended, context.DeadlineExceeded):
		return &TokenError{Reason: "timeout", Lost: sent, Err: fmt.Errorf("no answer within %v: %w", askTimeout, err)}
	case ended != nil:
		return &TokenError{Reason: "timeout", Lost: sent, Err: fmt.Errorf("no answer within %v after this process was told to stop", stopTimeout)}
	case errors.As(err, &timeout) && timeout.Timeout():
		return &TokenError{Reason: "timeout", Lost: sent, Err: fmt.Errorf("no connection in time: %w", err)}
	case errors.Is(err, errMalformed):
		return &TokenError{Reason: "malformed", Lost: true, Err: errMalformed}
	}
	if !sent {
		return &TokenError{Reason: "network", Err: err}
	}
	// net/http quotes what it does not understand, so only the connection's own
	// error is passed on.
	broken := errors.New("the connection broke before the whole answer was there")
	if own, ok := errors.AsType[*net.OpError](err); ok {
		broken = fmt.Errorf("%w: %w", broken, own)
	}
	return &TokenError{Reason: "network", Lost: true, Err: broken}
}

// oauthErrors are the errors of RFC 6749 and those observed of Netatmo.
var oauthErrors = map[string]bool{
	"invalid_grant": true, "invalid_client": true, "unauthorized_client": true,
	"invalid_request": true, "invalid_scope": true, "invalid scope": true, "unsupported_grant_type": true,
	"access_denied": true, "server_error": true, "temporarily_unavailable": true,
	"too_many_connections": true,
}

var errMalformed = errors.New("Netatmo's answer was not understood")

// onceTransport sends a token request once, whatever happens.
type onceTransport struct {
	base      http.RoundTripper
	userAgent string
}

// newTokenClient returns a client that neither repeats a request nor follows a
// redirect, and that makes a connection of its own for each, since a kept one
// may just be closing. Of given only the transport is used.
func newTokenClient(given *http.Client, userAgent string) *http.Client {
	own := http.DefaultTransport.(*http.Transport).Clone() //nolint:errcheck // it is one
	own.DisableKeepAlives = true
	own.Protocols = new(http.Protocols)
	own.Protocols.SetHTTP1(true) // HTTP/2 sends a request again that a server refused to begin
	t := &onceTransport{base: own, userAgent: userAgent}
	if given != nil && given.Transport != nil {
		t.base = given.Transport
	}
	return &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func (t *onceTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.GetBody = nil // without it net/http cannot send the body a second time
	if t.userAgent != "" {
		r.Header.Set("User-Agent", t.userAgent)
	}
	answer, err := t.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if answer.StatusCode/100 == 2 {
		if reduced, malformed := lenient(body); malformed == nil {
			body, err = reduced, nil // it is all there, however the connection ended
		} else if err == nil {
			err = malformed
		}
	}
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(bytes.TrimSpace(body), []byte("{")) {
		answer.Header.Set("Content-Type", "application/json")
	}
	answer.Body = io.NopCloser(bytes.NewReader(body))
	return answer, nil
}

// lenient reduces a successful answer to what x/oauth2 needs of it. One detail
// that displeases x/oauth2 (a life of 10800.0, a media type of text/plain, a
// brace that did not arrive) makes it throw away the whole answer, and with it
// the only living pair.
func lenient(body []byte) ([]byte, error) {
	a := members(body)
	if a == nil {
		return nil, errMalformed
	}
	reduced := map[string]any{"access_token": readToken(a["access_token"]), "refresh_token": readToken(a["refresh_token"])}
	life := readSeconds(a["expires_in"])
	if life == 0 {
		life = readSeconds(a["expire_in"]) // Netatmo names it twice
	}
	reduced["expires_in"] = int64(life / time.Second)
	if reduced["access_token"] == "" {
		var code string
		if json.Unmarshal(a["error"], &code) != nil || code == "" {
			return nil, errMalformed
		}
		reduced["error"] = code
	}
	return json.Marshal(reduced)
}

// pairMember is a member of a token answer that came whole.
var pairMember = regexp.MustCompile(`"(access_token|refresh_token|expires_in|expire_in)"\s*:\s*("(?:[^"\\]|\\.)*"|[0-9.]+[,}\s])`)

// members returns the members of the JSON object at the beginning of body,
// whatever follows it. Of one that is damaged or breaks off it returns those
// that matter, if both tokens are among them, else nil.
func members(body []byte) (a map[string]json.RawMessage) {
	body = bytes.TrimPrefix(body, []byte("\uFEFF"))
	if json.NewDecoder(bytes.NewReader(body)).Decode(&a) == nil {
		return a
	}
	a = map[string]json.RawMessage{}
	for _, m := range pairMember.FindAllSubmatch(body, -1) {
		a[string(m[1])] = bytes.TrimRight(m[2], ",} \t\r\n")
	}
	if a["access_token"] == nil || a["refresh_token"] == nil {
		return nil
	}
	return a
}
