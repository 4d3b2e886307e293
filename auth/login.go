package auth

import (
	"context"
	"errors"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

// LoginTimeout bounds a whole login: waiting for the turn and for the lock, the
// request, and the save.
const LoginTimeout = lockTimeout + askTimeout + 15*time.Second

// AuthCodeURL returns where the browser is sent to log in. state comes back with
// the code.
func (s *Source) AuthCodeURL(state string) string { return s.oauth.AuthCodeURL(state) }

// Exchange turns a code into a login and saves it before it returns nil. It goes
// on when ctx ends: the user has consented, whether or not the browser stays.
// Errors: *[LoginError] if Netatmo refuses, *[TokenError] for what may succeed
// if done again, *[SaveError] if the login works but is not on the disk.
func (s *Source) Exchange(ctx context.Context, code string) error {
	return s.login(ctx, CauseBadCode, func(ctx context.Context) (*oauth2.Token, error) {
		// Netatmo's documentation asks for the scope here too.
		return s.oauth.Exchange(ctx, code, oauth2.SetAuthURLParam("scope", strings.Join(s.cfg.Scopes, " ")))
	})
}

// AdoptRefreshToken makes a login of a refresh token, such as one from the token
// generator at dev.netatmo.com, by using it once. Otherwise it is as Exchange.
func (s *Source) AdoptRefreshToken(ctx context.Context, refreshToken string) error {
	return s.login(ctx, CauseBadPasted, s.refreshGrant(refreshToken))
}

// login replaces the pair by a new one. Until that has come, the old one stays
// where it is.
func (s *Source) login(ctx context.Context, refusal Cause, get func(context.Context) (*oauth2.Token, error)) error {
	ctx, cancel := s.untilStop(context.WithoutCancel(ctx))
	defer cancel()
	if s.take(ctx) != nil {
		return s.turnedAway()
	}
	defer s.release()
	lock, err := s.lock(ctx)
	if ctx.Err() != nil && lock == nil {
		return s.turnedAway()
	}
	if err != nil {
		return &TokenError{Reason: "store", Err: err}
	}
	defer s.unlock(lock)
	s.reload()

	stopped := false
	s.locked(func(now time.Time) {
		if stopped = s.stopped(); !stopped {
			s.renewal.last = now
		}
	})
	if stopped {
		return errStopping
	}
	if s.Status().Authorized {
		// A new login ends the old one, so nothing is asked for that cannot be kept.
		if err := s.prove(); err != nil {
			return &TokenError{Reason: "store", Err: err}
		}
	}
	d, err := s.ask(ctx, get)
	if fault, ok := errors.AsType[*TokenError](err); ok {
		return loginFault(fault, refusal)
	}
	s.received(d, true)
	if d.Refresh == "" {
		s.log.Warn("Netatmo gave no refresh token, so this login ends with its access token", "expiry", d.Expiry)
	}
	if err := s.save(); err != nil {
		return &SaveError{Path: s.cfg.TokenFile, Err: err}
	}
	return nil
}

// untilStop returns a context for what may wait for others, but not for long
// and not beyond a stop.
func (s *Source) untilStop(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, lockTimeout)
	s.mu.Lock()
	stopping := s.stopping
	s.mu.Unlock()
	go func() {
		select {
		case <-ctx.Done():
		case <-stopping:
			cancel()
		}
	}()
	return ctx, cancel
}

// turnedAway says why a login did not get its turn.
func (s *Source) turnedAway() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped() {
		return errStopping
	}
	return &TokenError{Reason: "timeout", Err: errors.New("another token request or another process keeps the token file busy")}
}

func loginFault(fault *TokenError, refusal Cause) error {
	switch fault.Reason {
	case "invalid_grant":
		return loginError(refusal, fault)
	case "invalid_client":
		return loginError(CauseApp, fault)
	case "unauthorized_client":
		return loginError(CauseGrant, fault)
	}
	return fault
}
