package check

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"netatmo-agent/agent/words"
	"netatmo-agent/auth"
)

// howToLogIn is the next step wherever a login is missing.
func (d *doctor) howToLogIn() string {
	if d.running {
		return "open the link that the running agent has logged, or run: netatmo-agent login"
	}
	return "run: netatmo-agent login; or start the agent and open the link that it logs"
}

// login says what the login in the token file is worth. It reports whether the API can be asked.
func (d *doctor) login(ctx context.Context, refresh bool) bool {
	const area = "login"
	before, renewable := d.source.Present()
	if refresh && !d.refresh(ctx, before) {
		return false
	}
	access, _ := d.source.Present()
	status := d.source.Status()
	left := time.Until(status.Expiry)
	switch {
	case !status.Authorized:
		d.loggedOut(area, status.Problem, d.howToLogIn())
		return false
	case access != "" && !renewable:
		d.warn(area, fmt.Sprintf("the access token is good for another %s, but there is no refresh token to renew it with: then the login ends", words.Span(left)), d.howToLogIn())
	case access != "":
		d.ok(area, fmt.Sprintf("the access token is good for another %s, and there is a refresh token to renew it with", words.Span(left)))
	case status.Expiry.IsZero():
		d.notAsked("there is no access token yet, but a refresh token to get one with")
	default:
		d.notAsked(fmt.Sprintf("the access token expired %s; there is a refresh token to renew it with", words.Ago(status.Expiry, "")))
	}
	return access != ""
}

func (d *doctor) notAsked(why string) {
	d.untried = true
	d.warn("login", why+". That uses it up, so it is left to the agent, and the API is not asked", d.howToRenew())
}

func (d *doctor) howToRenew() string {
	if d.running {
		return "see the log of the running agent; or run: netatmo-agent check --refresh"
	}
	return "start the agent; or run: netatmo-agent check --refresh"
}

// refresh renews the access token if that is due, and reports whether there is
// one now.
func (d *doctor) refresh(ctx context.Context, before string) bool {
	const area = "login"
	access, err := d.source.Token(ctx)
	if err != nil {
		d.noToken(err)
		return false
	}
	if access == before {
		return true
	}
	if d.source.Status().Unsaved {
		fmt.Fprintln(d.Err, "netatmo-agent: the access token is renewed, but cannot be saved. Trying again until it works; Ctrl-C gives up and loses this login.")
		if err := d.source.KeepSaving(ctx); err != nil {
			d.loggedOut(area, err.Error(), d.howToLogIn())
			return false
		}
	}
	d.ok(area, "the access token is renewed and saved")
	return true
}

// noToken tells why there is no access token.
func (d *doctor) noToken(err error) {
	const area = "login"
	lost, needed := errors.AsType[*auth.LoginError](err)
	passing, passes := errors.AsType[*auth.TokenError](err)
	switch {
	case needed && lost.Cause == auth.CauseApp:
		d.misset(area, lost.Error(), "copy client ID and secret once more from your app at https://dev.netatmo.com")
	case needed && lost.Cause == auth.CauseDoubt:
		d.loggedOut(area, "Netatmo refuses the refresh token (invalid_grant)", "try again in some minutes, as that has been seen to pass; then "+d.howToLogIn())
	case needed:
		d.loggedOut(area, lost.Error(), d.howToLogIn())
	case passes:
		now := *passing
		now.Retry = time.Time{} // the agent would try again, check does not
		d.fail(area, now.Error(), "wait some minutes: this passes, and the agent tries by itself")
	case errors.Is(err, errNotRenewed):
		const what = "Netatmo does not accept the access token: it was renewed elsewhere, or the permission was withdrawn"
		if _, renewable := d.source.Present(); renewable {
			d.fail(area, what, d.howToRenew()+". If the refresh token is refused too, log in again")
		} else {
			d.loggedOut(area, what, d.howToLogIn())
		}
	default:
		d.fail(area, err.Error(), "")
	}
}

var errNotRenewed = errors.New("check does not renew it")

// present gives the API the access token that is there, and never renews it. If
// one is rejected, a running agent may have renewed it since it was read.
type present struct {
	source *auth.Source

	mu       sync.Mutex
	rejected string
}

// Token implements netatmo.TokenSource.
func (p *present) Token(ctx context.Context) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	access, _ := p.source.Present()
	if access != "" && access == p.rejected {
		p.source.Reread(ctx)
		access, _ = p.source.Present()
	}
	if access == "" || access == p.rejected {
		return "", errNotRenewed
	}
	return access, nil
}

// Reject implements netatmo.TokenSource.
func (p *present) Reject(accessToken string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rejected = accessToken
}
