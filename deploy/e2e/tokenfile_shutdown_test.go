package e2e

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"netatmo-agent/agent/simcloud"
	"netatmo-agent/auth/authtest"
)

const (
	// slowAnswer is how long Netatmo takes for a token request. It is longer
	// than the agent may take to stop without one.
	slowAnswer = 20 * time.Second

	// stopsWithToken is how long the agent may take to stop during one.
	stopsWithToken = 35 * time.Second
)

// SIGTERM arrives while Netatmo is slow to answer: the agent waits for the
// answer, saves it and exits with 0, and the next start has a login. All cases
// wait concurrently.
func TestTerminateDuringATokenRequest(t *testing.T) {
	t.Parallel()
	slow := authtest.Fault{Kind: authtest.Slow, Delay: slowAnswer}

	refresh := newRig(t, simcloud.Options{})
	refresh.put(refresh.grant(-time.Hour))
	refresh.cloud.Auth().Inject(slow)
	refresh.start()
	refresh.madeNewPair()

	login := newRig(t, simcloud.Options{})
	login.start()
	back, browser := login.consentTo()
	login.cloud.Auth().Inject(slow)
	go func() { // whether the browser gets an answer does not matter
		if page, err := browser.Get(back.String()); err == nil {
			page.Body.Close()
		}
	}()
	login.Eventually("exchanges the code", func() bool { return len(login.cloud.Auth().Stats().Issued) > 0 })

	// Netatmo neither answers nor renews, for longer than the agent waits.
	never := newRig(t, simcloud.Options{})
	never.put(never.grant(-time.Hour))
	never.cloud.Auth().Inject(authtest.Fault{Kind: authtest.HangUp, Delay: time.Hour})
	never.start()
	never.Eventually("requests a new pair", func() bool { return never.door.asking() > 0 })

	rigs := map[string]*rig{"refresh": refresh, "login": login, "no answer": never}
	start := time.Now()
	for _, r := range rigs {
		r.Signal(syscall.SIGTERM)
	}
	for name, r := range rigs {
		if code := r.Wait(); code != 0 || time.Since(start) > stopsWithToken {
			t.Errorf("%s: exit code %d after %v, want 0 within %v", name, code, time.Since(start), stopsWithToken)
		}
		if !r.saved() {
			t.Errorf("%s: the valid pair is not on the disk", name)
		}
		r.keepsSecrets()
		asked := r.asked()
		r.start()
		r.works()
		if more := r.asked() - asked; r.refused() != 0 || more > 1 || more == 1 && r != never {
			t.Errorf("%s: %d token requests after the restart, %d refused", name, more, r.refused())
		}
	}
}

// consentTo does what a user does to log in, except for the last step: it
// returns the address that the browser is sent back to.
func (r *rig) consentTo() (back *url.URL, browser *http.Client) {
	r.t.Helper()
	jar, err := cookiejar.New(nil)
	must(r.t, err)
	browser = &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	link := r.LoginLink()
	button := link.JoinPath("auth/authorize")
	button.RawQuery = ""
	page, err := browser.Post(button.String(), "application/x-www-form-urlencoded", strings.NewReader(link.RawQuery))
	must(r.t, err)
	page.Body.Close()
	address, err := page.Location()
	must(r.t, err)
	return consent(r.t, address.String()), browser
}
