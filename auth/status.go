package auth

import (
	"fmt"
	"slices"
	"time"
)

// Outcome is what became of an attempt to renew the access token.
type Outcome string

// The outcomes of a renewal.
const (
	OK      Outcome = "ok"      // a new pair came
	Passing Outcome = "passing" // a fault that passes: timeouts, 403, 429, 5xx, and invalid_grant until it is believed
	Final   Outcome = "final"   // refused for good: a login, or another setting, is needed
	Blocked Outcome = "blocked" // Netatmo was not asked, since the new pair could not have been saved
)

// Status is the state of the login at one moment.
type Status struct {
	Authorized    bool              // there is a valid access token, or one can be had without a human
	Waiting       bool              // a login would be taken: there is none that works, or a scope is missing
	Expiry        time.Time         // of the access token; zero without one
	Guessed       bool              // Expiry is a guess, as the token file does not say
	Refreshes     map[Outcome]int64 // renewals so far, for every Outcome
	Problem       string            // for people: why a login is needed and what to do; empty while Authorized
	MissingScopes []string          // refused by Netatmo since the last login
	Unsaved       bool              // the pair in memory is not on the disk; saving is tried again
	RedirectURL   string            // to be registered at the app
}

// Status returns the state of the login now.
func (s *Source) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	st := Status{
		Authorized:    true,
		Expiry:        s.held.until,
		Guessed:       s.held.unsure,
		Refreshes:     make(map[Outcome]int64, 4),
		MissingScopes: slices.Clone(s.missing),
		Unsaved:       s.unsaved,
		RedirectURL:   s.oauth.RedirectURL,
	}
	for _, o := range []Outcome{OK, Passing, Final, Blocked} {
		st.Refreshes[o] = s.refreshes[o]
	}
	if need := s.need(now); need != nil {
		st.Authorized, st.Problem = false, need.Error()
	}
	st.Waiting = !st.Authorized || len(s.missing) > 0
	return st
}

// Cause is why a human is needed.
type Cause string

// The causes of a LoginError.
const (
	CauseNone      Cause = "no login yet"
	CauseIgnored   Cause = "expired and ignored"
	CauseDamaged   Cause = "token file damaged"
	CauseExpired   Cause = "expired, no refresh token"
	CauseRejected  Cause = "rejected, no refresh token"
	CauseDoubt     Cause = "refresh token refused, tried again"
	CauseRefused   Cause = "refresh token refused"
	CauseApp       Cause = "client id or secret refused"
	CauseGrant     Cause = "app may not renew"
	CauseBadCode   Cause = "code refused"
	CauseBadPasted Cause = "pasted refresh token refused"
)

// LoginError says that a human is needed. Its text says what happened and what
// to do next.
type LoginError struct {
	Cause Cause
	Err   error // what Netatmo or the token file said; may be nil
	text  string
}

func (e *LoginError) Error() string { return e.text }

func (e *LoginError) Unwrap() error { return e.Err }

// NeedsLogin tells it from errors that pass by themselves, for packages that do
// not know this one.
func (e *LoginError) NeedsLogin() bool { return true }

func loginError(cause Cause, err error) *LoginError {
	return &LoginError{Cause: cause, Err: err, text: sentences[cause]}
}

const causesOfRefusal = "The likely causes, in this order: another program used this login, as every renewal makes the token before " +
	"it useless, so give each program an app of its own at dev.netatmo.com; a token for this app was generated again there; the app was " +
	"made anew, so that the client ID is another; the permission was withdrawn in the Netatmo account. " +
	"Log in again; if that does not last, create a new app"

var sentences = map[Cause]string{
	CauseNone: "There is no login yet. Log in to Netatmo once",
	CauseIgnored: "The access token in the token file has expired, and NETATMO_EXPIRED_TOKEN=ignore leaves it alone. " +
		"Log in again, or set NETATMO_EXPIRED_TOKEN=refresh",
	CauseExpired: "The access token has expired, and there is no refresh token to renew it with. Log in again",
	CauseRejected: "Netatmo does not accept the access token any more, and there is no refresh token to renew it with. " +
		"Log in again",
	CauseRefused: "Netatmo refuses the refresh token (invalid_grant), and did so for ten minutes. " + causesOfRefusal,
	CauseApp: "Netatmo does not accept the client ID and secret (invalid_client). Compare NETATMO_CLIENT_ID and " +
		"NETATMO_CLIENT_SECRET with the app at dev.netatmo.com, which may have been made anew, disabled or deleted, and start " +
		"again; the saved login is kept, and works again with the right ones",
	CauseGrant: "Netatmo does not let this app log in this way (unauthorized_client). See whether it is active at " +
		"dev.netatmo.com, or create a new one, set NETATMO_CLIENT_ID and NETATMO_CLIENT_SECRET, start again and log in",
	CauseBadCode: "Netatmo did not accept the code (invalid_grant): it is good once and for some minutes, and only with the redirect " +
		"URI that is registered at the app. Compare that at dev.netatmo.com and log in again from the beginning",
	CauseBadPasted: "Netatmo did not accept the refresh token (invalid_grant): each is good once, and only for the app that it was " +
		"made for. Generate a new one at dev.netatmo.com, for the app with this client ID, and use it nowhere else",
}

// damagedError is for a token file that cannot be understood.
func damagedError(err error) *LoginError {
	e := loginError(CauseDamaged, err)
	e.text = fmt.Sprintf("The login cannot be read: %v. Log in again; the damaged content is then kept beside it", err)
	return e
}

// doubtError is for a refusal that may pass.
func doubtError(until time.Time, err error) *LoginError {
	e := loginError(CauseDoubt, err)
	e.text = "Netatmo refuses the refresh token (invalid_grant). That has been seen to pass, so it is tried again until " +
		until.Format("15:04") + ". If you know that the permission was withdrawn, or the token used elsewhere, log in again now"
	return e
}

// refusedError is for a refusal that is believed. An answer that was lost on
// the way is then the likeliest cause.
func refusedError(lostAt time.Time, err error) *LoginError {
	e := loginError(CauseRefused, err)
	if !lostAt.IsZero() {
		e.text = "Netatmo refuses the refresh token (invalid_grant), and did so for ten minutes. Most likely it had replaced it at " +
			lostAt.Format("15:04") + ", when its answer to a renewal was lost on the way. Log in again. If that was not it: " + causesOfRefusal
	}
	return e
}

// SaveError says that a login succeeded but is in memory only.
type SaveError struct {
	Path string
	Err  error
}

func (e *SaveError) Error() string {
	return fmt.Sprintf("Netatmo has given a login, but it could not be saved to %s: %v. It works until this process ends, and saving "+
		"is tried again meanwhile; log in once more if in doubt", e.Path, e.Err)
}

func (e *SaveError) Unwrap() error { return e.Err }
