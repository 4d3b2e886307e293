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

// AuthCodeURL returns the address to open in a browser to log in. Netatmo
// returns state together with the code.
func (s *Source) AuthCodeURL(state string) string { return s.oauth.AuthCodeURL(state) }

// Exchange turns a code into a login and saves it before it returns nil. It
// continues after the end of ctx, because the user has consented, whether or
// not the browser waits. Errors: *[LoginError] if Netatmo refuses,
// *[TokenError] if a retry may succeed, *[SaveError] if the login works but is
// not on the disk.
func (s *Source) Exchange(ctx context.Context, code string) error {
	return s.login(ctx, CauseBadCode, func(ctx context.Context) (*oauth2.Token, error) {
		// Netatmo's documentation asks for the scope here too.
		return s.oauth.Exchange(ctx, code, oauth2.SetAuthURLParam("scope", strings.Join(s.cfg.Scopes, " ")))
	})
}

// AdoptRefreshToken turns a refresh token, such as one from the token generator
// at dev.netatmo.com, into a login by using it once. Otherwise it is like
// Exchange.
func (s *Source) AdoptRefreshToken(ctx context.Context, refreshToken string) error {
	return s.login(ctx, CauseBadPasted, s.refreshGrant(refreshToken))
}

// login replaces the pair with a new one, and keeps the old one until the new
// one arrives.
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
			s.schedule.last = now
		}
	})
	if stopped {
		return errStopping
	}
	if s.Status().Authorized {
		// A new login invalidates the old one, so it must not begin if it
		// cannot be saved.
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
		s.log.Warn("Netatmo sent no refresh token; the login ends when its access token expires", "expiry", d.Expiry)
	}
	err = s.save()
	s.schedule.log.OK()
	s.log.Info("logged in to Netatmo", "expiry", d.Expiry)
	if err != nil {
		return &SaveError{Path: s.cfg.TokenFile, Err: err}
	}
	return nil
}

// madeUpToken looks like a refresh token that Netatmo never issued.
const madeUpToken = "000000000000000000000000|00000000000000000000000000000000"

// TryApp asks Netatmo whether it accepts the client ID and secret. It uses a
// made-up refresh token, so that no real one is spent. It returns nil if
// Netatmo refuses only the token, a *[LoginError] if it refuses the app, and a
// *[TokenError] if its answer says neither.
func (s *Source) TryApp(ctx context.Context) error {
	lock, err := s.lock(ctx) // Netatmo gets one token request at a time
	if err != nil {
		return err
	}
	defer s.unlock(lock)
	_, err = s.ask(ctx, s.refreshGrant(madeUpToken))
	fault, ok := errors.AsType[*TokenError](err)
	if !ok || fault.Reason == "invalid_grant" {
		return nil
	}
	return loginFault(fault, CauseBadPasted)
}

// untilStop returns a context that ends after lockTimeout, and when the process
// is told to stop.
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

// turnedAway returns why a login did not get its turn.
func (s *Source) turnedAway() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped() {
		return errStopping
	}
	return &TokenError{Reason: "timeout", Err: errors.New("another token request or another process keeps the token file busy")}
}

func loginFault(fault *TokenError, refusal Cause) error {
	switch cause := refusals[fault.Reason]; cause {
	case "":
		return fault
	case CauseRefused:
		return loginError(refusal, fault)
	default:
		return loginError(cause, fault)
	}
}
