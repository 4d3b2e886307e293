package auth

import (
	"fmt"
	"time"
)

// Cause is why a human is needed.
type Cause string

// The causes of a LoginError.
const (
	CauseNone      Cause = "no login yet"
	CauseIgnored   Cause = "expired and ignored"
	CauseDamaged   Cause = "token file damaged"
	CauseExpired   Cause = "expired, no refresh token"
	CauseRejected  Cause = "rejected, no refresh token"
	CauseDoubt     Cause = "refresh token refused, retrying"
	CauseFailing   Cause = "renewal keeps failing, retrying"
	CauseRefused   Cause = "refresh token refused"
	CauseApp       Cause = "client ID or secret refused"
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
	doubt bool // the agent retries, and that may help
}

func (e *LoginError) Error() string { return e.text }

func (e *LoginError) Unwrap() error { return e.Err }

// NeedsLogin reports whether only a human can help. It is for packages that do
// not import this one. A refusal in doubt may be temporary.
func (e *LoginError) NeedsLogin() bool { return !e.doubt }

// refusals are the OAuth errors that end a login once they are believed.
var refusals = map[string]Cause{
	"invalid_grant": CauseRefused, "invalid_client": CauseApp, "unauthorized_client": CauseGrant,
}

func loginError(cause Cause, err error) *LoginError {
	return &LoginError{Cause: cause, Err: err, text: sentences[cause]}
}

const causesOfRefusal = "The likely causes, most likely first: another program uses the same login, and each renewal invalidates the " +
	"token of the other, so give each program its own app at dev.netatmo.com; a new token for this app was generated there; the app " +
	"was created again and has a new client ID; the permission was withdrawn in the Netatmo account. " +
	"Log in again; if that does not last, create a new app"

var sentences = map[Cause]string{
	CauseNone: "There is no login yet. Log in to Netatmo once",
	CauseIgnored: "The access token in the token file has expired, and NETATMO_EXPIRED_TOKEN=ignore prevents its renewal. " +
		"Log in again, or set NETATMO_EXPIRED_TOKEN=refresh",
	CauseExpired:  "The access token has expired, and there is no refresh token to renew it with. Log in again",
	CauseRejected: "Netatmo no longer accepts the access token, and there is no refresh token to renew it with. Log in again",
	CauseRefused:  "Netatmo has refused the refresh token (invalid_grant) for ten minutes. " + causesOfRefusal,
	CauseApp: "Netatmo refuses the client ID or secret (invalid_client). Compare NETATMO_CLIENT_ID and " +
		"NETATMO_CLIENT_SECRET with the app at dev.netatmo.com, which may have been recreated, disabled or deleted, and restart. " +
		"The saved login is kept and works again with the right ones",
	CauseGrant: "Netatmo does not allow this app to log in this way (unauthorized_client). Check that the app is active at " +
		"dev.netatmo.com; or create a new app, set NETATMO_CLIENT_ID and NETATMO_CLIENT_SECRET, restart and log in",
	CauseBadCode: "Netatmo did not accept the code (invalid_grant). A code works once, for a few minutes, and only with the redirect " +
		"URI that is registered with the app. Compare the redirect URI at dev.netatmo.com and log in again from the beginning",
	CauseBadPasted: "Netatmo did not accept the refresh token (invalid_grant). A refresh token works once, and only for the app that it " +
		"was made for. Generate a new one at dev.netatmo.com, for the app with this client ID, and use it nowhere else",
}

// damagedError is for a token file that cannot be understood.
func damagedError(err error) *LoginError {
	e := loginError(CauseDamaged, err)
	e.text = fmt.Sprintf("The login cannot be read: %v. Log in again; a copy of the damaged file is kept beside it", err)
	return e
}

// doubtError is for a refusal that may be temporary.
func doubtError(refusal *TokenError, until time.Time) *LoginError {
	what, act := "Netatmo refuses the refresh token (invalid_grant)", "If you know that the permission was withdrawn or another program used the token, log in again now"
	e := loginError(CauseDoubt, refusal)
	if cause := refusals[refusal.Reason]; cause != CauseRefused {
		e.Cause = cause
		what, act = fmt.Sprintf("Netatmo refuses the client ID or secret (%s)", refusal.Reason), "Compare NETATMO_CLIENT_ID and NETATMO_CLIENT_SECRET with the app at dev.netatmo.com"
	}
	e.text, e.doubt = fmt.Sprintf("%s. This can be temporary; retrying until %s. %s", what, until.Format("15:04"), act), true
	return e
}

// refusedError is for a refusal that is believed. If an answer was lost, that
// is the most likely cause.
func refusedError(refusal *TokenError, lostAt time.Time) *LoginError {
	e := loginError(refusals[refusal.Reason], refusal)
	if e.Cause == CauseRefused && !lostAt.IsZero() {
		e.text = "Netatmo has refused the refresh token (invalid_grant) for ten minutes. Most likely it replaced the token at " +
			lostAt.Format("15:04") + ", and its answer was lost on the way. Log in again. If that was not it: " + causesOfRefusal
	}
	return e
}

// failingError is for faults that are usually temporary, but have lasted.
func failingError(fault *TokenError, since time.Time) *LoginError {
	e := loginError(CauseFailing, fault)
	e.text, e.doubt = fmt.Sprintf("Netatmo has issued no working access token since %s: %v. The agent keeps trying. If this lasts, log in again; a new login often helps",
		since.Format("15:04"), fault.Err), true
	return e
}

// TokenError is a temporary fault of a request to Netatmo's token endpoint: the
// same request may succeed later.
type TokenError struct {
	Reason string    // for logs and metrics: an OAuth error such as "invalid_grant", "http 503", "timeout", "network", "malformed", "store"
	Lost   bool      // the request may have taken effect, and the new pair did not arrive
	Retry  time.Time // when the agent retries; zero: it does not
	Err    error     // without any token

	refusal bool // the endpoint answered with an OAuth error
}

func (e *TokenError) Error() string {
	text := e.Text()
	if e.Retry.IsZero() {
		return text + "; try again"
	}
	return text + "; retrying at " + e.Retry.Format("15:04:05")
}

// Text says what happened, without what the agent does about it.
func (e *TokenError) Text() string {
	text := "could not get a new access token: " + e.Err.Error()
	if e.Reason == "store" {
		text = "did not ask for a new access token, because it could not be saved: " + e.Err.Error()
	}
	return text
}

func (e *TokenError) Unwrap() error { return e.Err }

// SaveError says that a login succeeded but exists only in memory.
type SaveError struct {
	Path string
	Err  error
}

func (e *SaveError) Error() string {
	return fmt.Sprintf("logged in to Netatmo, but the login could not be saved to %s: %v. It works until this process ends; "+
		"saving is retried until then", e.Path, e.Err)
}

func (e *SaveError) Unwrap() error { return e.Err }
