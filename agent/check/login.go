package check

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"netatmo-agent/agent/humanize"
	"netatmo-agent/auth"
)

// howToLogIn returns the remedy for a missing login.
func (d *doctor) howToLogIn() string {
	if d.running {
		return "open the link that the running agent has logged, or run: netatmo-agent login"
	}
	return "run: netatmo-agent login; or start the agent and open the link that it logs"
}

// login examines the login in the token file, and the app unless offline. It
// reports whether the API can be asked.
func (d *doctor) login(ctx context.Context, online bool) bool {
	const area = "login"
	status := d.source.Status()
	tries := online && d.settled("NETATMO_CLIENT_")
	if status.LoggedOut() {
		d.loggedOut(area, status.Problem, d.howToLogIn())
		if tries {
			d.app(ctx)
		}
		return false
	}
	access, _ := d.source.Present()
	if tries && (d.Refresh || access == "" && !d.running) {
		return d.refresh(ctx, access)
	}
	d.present(status, access)
	return (!tries || d.app(ctx)) && access != ""
}

// present describes a login that is not renewed.
func (d *doctor) present(status auth.Status, access string) {
	const area = "login"
	_, renewable := d.source.Present()
	left := time.Until(status.Expiry)
	expired := "there is a refresh token, but no access token yet"
	if !status.Expiry.IsZero() {
		expired = "the access token expired " + humanize.Ago(status.Expiry, "")
	}
	switch {
	case access != "" && !renewable:
		d.warn(area, fmt.Sprintf("the access token is valid for another %s, but there is no refresh token to renew it with; the login ends then", humanize.Duration(left)), d.howToLogIn())
	case access != "":
		d.ok(area, fmt.Sprintf("the access token is valid for another %s, and there is a refresh token to renew it with", humanize.Duration(left)))
	case d.running && !status.Expiry.IsZero() && -left > max(renewPatience, 2*d.Config.RefreshInterval):
		d.loggedOut(area, expired+", and the running agent has not been able to renew it", "look for the reason in its log; "+d.howToLogIn()+"; or run: netatmo-agent check --refresh")
	case d.running:
		d.warn(area, expired+"; the running agent renews it for its next poll", "nothing; or run: netatmo-agent check --refresh")
	case d.Offline:
		d.warn(area, expired+"; the agent renews it when it starts", "start the agent, or run this command without --offline")
	default:
		d.warn(area, expired+"; it was not renewed because of the failure above", "see above")
	}
}

// renewPatience is how long a running agent may take to renew an expired token.
const renewPatience = 15 * time.Minute

// app asks Netatmo about the client ID and secret, because otherwise a wrong one
// shows only at the next renewal. It reports false if Netatmo rejects them.
func (d *doctor) app(ctx context.Context) bool {
	const area = "login"
	err := d.source.TryApp(ctx)
	if lost, ok := errors.AsType[*auth.LoginError](err); ok {
		d.misset(area, refusesApp(lost), copyCredentials)
		return false
	}
	if err != nil {
		d.warn(area, "Netatmo's answer does not show whether it accepts the client ID and secret: "+errors.Unwrap(err).Error(), "nothing, as long as the agent works; a wrong secret shows at the next renewal")
		return true
	}
	d.ok(area, "Netatmo does not object to the client ID and secret")
	return true
}

const copyCredentials = "copy the client ID and secret again from your app at https://dev.netatmo.com"

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
		d.present(d.source.Status(), access)
		return true
	}
	if d.source.Status().Unsaved {
		fmt.Fprintln(d.Err, "netatmo-agent: renewed the access token, but cannot save it. Retrying until it works; Ctrl-C gives up and loses this login.")
		if err := d.source.KeepSaving(ctx); err != nil {
			d.loggedOut(area, err.Error(), d.howToLogIn())
			return false
		}
	}
	d.ok(area, "renewed and saved the access token")
	d.present(d.source.Status(), access)
	return true
}

// noToken reports why there is no access token.
func (d *doctor) noToken(err error) {
	const area = "login"
	lost, needed := errors.AsType[*auth.LoginError](err)
	passing, passes := errors.AsType[*auth.TokenError](err)
	switch {
	case needed && lost.Cause == auth.CauseApp:
		d.misset(area, refusesApp(lost), copyCredentials+"; the saved login is kept")
	case needed && lost.Cause == auth.CauseDoubt:
		d.loggedOut(area, "Netatmo refuses the refresh token (invalid_grant)", "try again in a few minutes, because this can be temporary; then "+d.howToLogIn())
	case needed && !lost.NeedsLogin():
		d.loggedOut(area, "Netatmo issues no working access token: "+reason(lost), "try again in a few minutes, because this can be temporary; then "+d.howToLogIn())
	case needed:
		d.loggedOut(area, lost.Error(), d.howToLogIn())
	case passes:
		d.fail(area, passing.Text(), "wait a few minutes; this is usually temporary, and the agent retries")
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

// refusesApp says what is wrong with the app, as the agent's log does.
func refusesApp(lost *auth.LoginError) string {
	text, _, _ := strings.Cut(lost.Error(), ". ")
	return text
}

// reason is Netatmo's error.
func reason(lost *auth.LoginError) string {
	if fault, ok := errors.AsType[*auth.TokenError](lost); ok {
		return fault.Err.Error()
	}
	return lost.Error()
}

var errNotRenewed = errors.New("check does not renew it")

// present gives the API the current access token and never renews it. If the API
// rejects it, a running agent may have renewed it since it was read.
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
