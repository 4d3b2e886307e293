package auth

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"golang.org/x/oauth2"
)

const (
	// askTimeout bounds one token request. Netatmo is sometimes slow
	// (observed), and giving up early loses the answer, and the login with it.
	// No gateway is known to wait longer than a minute.
	askTimeout = 90 * time.Second

	// stopTimeout bounds the rest of a token request once the process is told
	// to stop.
	stopTimeout = 30 * time.Second

	// netatmoLife is the documented lifetime of an access token, for an answer
	// that does not state it.
	netatmoLife = 3 * time.Hour
)

// patienceTick is the unit in which a token request's time is counted. Only the
// test that pauses a process changes it.
var patienceTick = time.Second

var (
	errNoAnswer = fmt.Errorf("no answer within %v", askTimeout)
	errNoTime   = fmt.Errorf("no answer within %v after this process was told to stop", stopTimeout)
)

// ask makes exactly one token request. The pair may lack its access token. The
// end of ctx does not end the request; a stop of the process does, after
// stopTimeout.
func (s *Source) ask(ctx context.Context, get func(context.Context) (*oauth2.Token, error)) (document, error) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	go s.limit(ctx, cancel)
	var sent atomic.Bool // set by a goroutine that may outlive the request
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }})
	token, err := get(context.WithValue(ctx, oauth2.HTTPClient, s.client))
	if err != nil {
		return document{}, tokenError(err, sent.Load(), context.Cause(ctx))
	}
	s.checkScopes(token)
	d := document{Access: token.AccessToken, Refresh: token.RefreshToken, Life: time.Duration(token.ExpiresIn) * time.Second}
	if d.Access == noAccess {
		return document{Refresh: d.Refresh}, nil
	}
	if d.Life <= 0 {
		d.Life = netatmoLife
	}
	d.Expiry = time.Now().UTC().Add(d.Life).Truncate(time.Second)
	return d, nil
}

// limit cancels a token request that takes too long, and returns when ctx ends.
//
// Only time in which the process runs counts. After a pause (docker pause, a
// frozen VM) a timer fires at once, although the answer may already be in the
// socket. So a late tick does not count, and the answer is read first.
func (s *Source) limit(ctx context.Context, cancel context.CancelCauseFunc) {
	s.mu.Lock()
	stopping := s.stopping
	s.mu.Unlock()
	ticks, reason := int(askTimeout/time.Second), errNoAnswer
	for ticks > 0 {
		began := time.Now()
		tick := time.NewTimer(patienceTick)
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-stopping:
			tick.Stop()
			s.log.Warn("waiting for Netatmo's answer to a token request before stopping; a second signal stops at once and may lose the login",
				"at_most", stopTimeout.String())
			stopping, reason = nil, errNoTime
			ticks = min(ticks, int(stopTimeout/time.Second))
		case <-tick.C:
			if time.Since(began) < 2*patienceTick {
				ticks--
			}
		}
	}
	cancel(reason)
}

// tokenError describes a fault without quoting the answer, which may contain
// tokens. ended is why the request was abandoned, nil if it was not.
func tokenError(err error, sent bool, ended error) *TokenError {
	refusal, answered := errors.AsType[*oauth2.RetrieveError](err)
	fault, isExplained := errors.AsType[*explained](err)
	var timeout interface{ Timeout() bool }
	switch {
	case answered && oauthErrors[refusal.ErrorCode]:
		return &TokenError{Reason: refusal.ErrorCode, refusal: true, Err: fmt.Errorf("Netatmo answered %q", refusal.ErrorCode)}
	case answered && refusal.ErrorCode != "":
		return &TokenError{Reason: "other error", refusal: true, Err: errors.New("Netatmo answered with an unknown error")}
	case answered:
		status := refusal.Response.StatusCode
		return &TokenError{
			Reason: fmt.Sprintf("http %d", status),
			Lost:   status == 500 || status == 502 || status == 504, // a gateway gave up, but the server may have handled the request
			Err:    fmt.Errorf("Netatmo answered HTTP %d %s", status, http.StatusText(status)),
		}
	case isExplained && fault.status != 0:
		return &TokenError{Reason: fmt.Sprintf("http %d", fault.status), Err: fault}
	case ended != nil:
		return &TokenError{Reason: "timeout", Lost: sent, Err: ended}
	case errors.As(err, &timeout) && timeout.Timeout():
		return &TokenError{Reason: "timeout", Lost: sent, Err: fmt.Errorf("no connection in time: %w", err)}
	case errors.Is(err, errMalformed):
		return &TokenError{Reason: "malformed", Lost: true, Err: errMalformed}
	case isExplained:
		return &TokenError{Reason: "network", Lost: sent, Err: fault}
	case !sent:
		return &TokenError{Reason: "network", Err: err}
	}
	// net/http quotes what it does not understand, so only the connection's own
	// error is passed on.
	broken := errors.New("the connection broke before the answer was complete")
	if own, ok := errors.AsType[*net.OpError](err); ok {
		broken = fmt.Errorf("%w: %w", broken, own)
	}
	return &TokenError{Reason: "network", Lost: true, Err: broken}
}

// oauthErrors are the errors of RFC 6749 and those seen from Netatmo.
var oauthErrors = map[string]bool{
	"invalid_grant": true, "invalid_client": true, "unauthorized_client": true,
	"invalid_request": true, "invalid_scope": true, "invalid scope": true, "unsupported_grant_type": true,
	"access_denied": true, "server_error": true, "temporarily_unavailable": true,
	"too_many_connections": true,
}
