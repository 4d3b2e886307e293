package pages_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"netatmo-agent/auth/authtest"
)

func TestLogin(t *testing.T) {
	w := newWorld(t, agentURL)
	b := w.browser()
	link := w.pages.LoginURL()
	if !regexp.MustCompile(`^http://agent\.test:9210/\?key=[0-9A-Z]{20,}$`).MatchString(link) {
		t.Fatalf("link %q", link)
	}
	page := b.open(link)
	page.want(t, 200, "Login needed", "There is no login yet", agentURL+"/auth/callback", "Log in with Netatmo")
	if again := b.open(link); !again.hasForms() {
		t.Error("the key expired when the link was opened")
	}

	toNetatmo := b.press(page, "auth/authorize", nil)
	if toNetatmo.StatusCode != http.StatusSeeOther {
		t.Errorf("status %d", toNetatmo.StatusCode)
	}
	address, _ := toNetatmo.Location()
	if q := address.Query(); q.Get("scope") != "read_station read_homecoach" || q.Get("response_type") != "code" || len(q.Get("state")) < 22 || q.Get("redirect_uri") != agentURL+"/auth/callback" {
		t.Errorf("sent to %s", address)
	}
	done := b.open(b.consent(page, "accept"))
	done.want(t, 200, "You are logged in", "Connected")
	w.loggedIn()

	b.open(link).want(t, 200, "Connected to Netatmo")
	if p := b.open(agentURL + "/"); p.hasForms() || strings.Contains(p.body, "auth/callback") {
		t.Error("with a working login the page shows more than that")
	}
	b.press(page, "auth/authorize", nil).want(t, 409, "Connected to Netatmo")
	b.press(page, "auth/token", url.Values{"token": {"24hex|32hex"}}).want(t, 409, "Connected to Netatmo")
	b.open(done.url.String()).want(t, 200, "Connected to Netatmo")
	if n := len(w.cloud.Stats().Issued); n != 1 {
		t.Errorf("%d pairs were made, want 1", n)
	}
}

func TestKey(t *testing.T) {
	w := newWorld(t, agentURL)
	b := w.browser()
	link := w.pages.LoginURL()
	page := b.open(link)
	for name, address := range map[string]string{"no": "/", "an empty": "/?key=", "a wrong": "/?key=ABC"} {
		p := b.open(agentURL + address)
		p.want(t, 200, agentURL+"/?key=", "log")
		if p.hasForms() || strings.Contains(p.body, "auth/callback") {
			t.Errorf("with %s key the page shows more than where to look", name)
		}
	}
	for _, key := range []string{"", "ABC", strings.TrimPrefix(link, agentURL+"/?key=") + "A"} {
		b.press(page, "auth/authorize", url.Values{"key": {key}}).want(t, 403, agentURL+"/?key=")
		b.press(page, "auth/token", url.Values{"key": {key}, "token": {w.cloud.Grant().Refresh}}).want(t, 403, agentURL+"/?key=")
	}
	if len(w.cloud.Stats().Requests) != 0 {
		t.Error("Netatmo was asked by a visitor without the key")
	}
	b.open(b.consent(page, "refuse"))
	if w.pages.LoginURL() != link {
		t.Error("the key expired although nothing was saved")
	}
	if other := newWorld(t, agentURL).pages.LoginURL(); other == link {
		t.Error("a restart keeps the key")
	}
}

// A login that lacks a scope, or is lost, opens the pages again, with a new
// key.
func TestLoginOpensAgain(t *testing.T) {
	w := newWorld(t, agentURL)
	b := w.browser()
	first := w.pages.LoginURL()
	b.open(b.consent(b.open(first), "accept"))
	w.source.RefuseScope("read_homecoach")
	second := w.pages.LoginURL()
	if second == "" || second == first {
		t.Fatalf("link %q after a refused scope, before it was %q", second, first)
	}
	if b.open(first).hasForms() {
		t.Error("the key of the last login works again")
	}
	page := b.open(second)
	page.want(t, 200, "Permission missing", "read_homecoach")
	b.open(b.consent(page, "accept")).want(t, 200, "You are logged in")
	w.loggedIn()
}

func TestSeveralTabs(t *testing.T) {
	w := newWorld(t, agentURL)
	b := w.browser()
	page := b.open(w.pages.LoginURL())
	first, second, third := b.consent(page, "accept"), b.consent(page, "refuse"), b.consent(page, "accept")
	b.open(second).want(t, 403, "Access was not granted")
	b.open(first).want(t, 200, "You are logged in")
	b.open(third).want(t, 200, "Connected to Netatmo")
	w.loggedIn()
}

// The login continues when the browser leaves, and a reload during it waits for
// its result.
func TestBrowserLeavesDuringTheExchange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, agentURL)
		b := w.browser()
		back := b.consent(b.open(w.pages.LoginURL()), "accept")
		w.cloud.Inject(authtest.Fault{Kind: authtest.Slow, Delay: 20 * time.Second})

		ctx, leave := context.WithCancel(t.Context())
		r, _ := http.NewRequestWithContext(ctx, http.MethodGet, back, nil)
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := b.client.Do(r); err == nil {
				t.Error("the browser did not leave")
			}
		})
		time.Sleep(time.Second)
		leave()
		reloaded := b.open(back)
		wg.Wait()
		reloaded.want(t, 200, "Connected to Netatmo")
		w.loggedIn()
	})
}

func TestSaveFails(t *testing.T) {
	w := newWorld(t, agentURL)
	b := w.browser()
	back := b.consent(b.open(w.pages.LoginURL()), "accept")
	w.net["cloud.test"] = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		breakDir(t, w.dir)
		w.cloud.ServeHTTP(rw, r)
	})
	failed := b.open(back)
	failed.want(t, 500, "Logged in, but the login could not be saved", w.tokenFile, "Not saved")
	if strings.Contains(failed.body, "You are logged in") {
		t.Error("success is claimed before it is on the disk")
	}
	w.net["cloud.test"] = w.cloud
	b.open(w.pages.LoginURL()).want(t, 200, "Logged in, but not saved")
	repairDir(t, w.dir)
	b.open(b.consent(failed, "accept")).want(t, 200, "You are logged in")
	w.loggedIn()
}

// If nothing can be written, the code is not used either.
func TestSaveIsImpossible(t *testing.T) {
	w := newWorld(t, agentURL)
	b := w.browser()
	back := b.consent(b.open(w.pages.LoginURL()), "accept")
	breakDir(t, w.dir)
	failed := b.open(back)
	failed.want(t, 500, "Netatmo was not asked", w.dir)
	if len(w.cloud.Stats().Requests) != 0 {
		t.Error("Netatmo was asked")
	}
	repairDir(t, w.dir)
	b.open(b.consent(failed, "accept")).want(t, 200, "You are logged in")
	w.loggedIn()
}

// breakDir replaces the directory by a file, so that nothing can be saved
// there, whichever user runs the tests.
func breakDir(t *testing.T, dir string) {
	t.Helper()
	if err := errors.Join(os.Rename(dir, dir+".away"), os.WriteFile(dir, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
}

func repairDir(t *testing.T, dir string) {
	t.Helper()
	if err := errors.Join(os.Remove(dir), os.Rename(dir+".away", dir)); err != nil {
		t.Fatal(err)
	}
}

func TestNetatmoFails(t *testing.T) {
	for name, test := range map[string]struct {
		fault  authtest.FaultKind
		status int
		says   string
	}{
		"outage":       {authtest.HTML503, 502, "Try again in a few minutes"},
		"refusal":      {authtest.Refuse, 502, "Try again in a few minutes"},
		"hang up":      {authtest.HangUp, 502, "Try again in a few minutes"},
		"code refused": {authtest.InvalidGrant, 400, "redirect URI"},
		"app disabled": {authtest.InvalidClient, 400, "NETATMO_CLIENT_SECRET"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, agentURL)
			b := w.browser()
			back := b.consent(b.open(w.pages.LoginURL()), "accept")
			w.cloud.Inject(authtest.Fault{Kind: test.fault})
			failed := b.open(back)
			failed.want(t, test.status, test.says)
			b.open(b.consent(failed, "accept")).want(t, 200, "You are logged in")
			w.loggedIn()
		})
	}
}

func TestOnlyOwnForms(t *testing.T) {
	for name, test := range map[string]struct {
		header map[string]string
		status int
	}{
		"own":                     {map[string]string{"Sec-Fetch-Site": "same-origin", "Origin": agentURL}, 303},
		"own over http":           {map[string]string{"Origin": agentURL}, 303},
		"no browser":              {nil, 303},
		"other site":              {map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "http://evil.test"}, 403},
		"other port":              {map[string]string{"Sec-Fetch-Site": "same-site", "Origin": "http://agent.test"}, 403},
		"other site over http":    {map[string]string{"Origin": "http://evil.test"}, 403},
		"hidden origin":           {map[string]string{"Origin": "null"}, 403},
		"host changed by a proxy": {map[string]string{"Origin": agentURL, "Host": "127.0.0.1:9210"}, 303},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, agentURL)
			key := strings.TrimPrefix(w.pages.LoginURL(), agentURL+"/?key=")
			r := httptest.NewRequest(http.MethodPost, agentURL+"/auth/authorize", strings.NewReader("key="+key))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			for name, value := range test.header {
				r.Header.Set(name, value)
			}
			if host := test.header["Host"]; host != "" {
				r.Host = host
			}
			rec := httptest.NewRecorder()
			w.pages.ServeHTTP(rec, r)
			if rec.Code != test.status {
				t.Errorf("status %d, want %d: %s", rec.Code, test.status, visible(rec.Body.String()))
			}
			if test.status == 403 && !strings.Contains(rec.Body.String(), "another site") {
				t.Error("the page does not say why")
			}
		})
	}
}

// While no access token works, no page claims that the login works; the forms
// open when renewals have failed for 15 minutes.
func TestPagesWhileRenewalsFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := newWorld(t, agentURL)
		b := first.browser()
		b.open(b.consent(b.open(first.pages.LoginURL()), "accept")).want(t, 200)
		w := first.restart()
		b = w.browser()
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { w.source.Run(ctx) })
		defer running.Wait()
		defer stop()

		w.cloud.Inject(authtest.Fault{Kind: authtest.HTML503, Times: -1})
		time.Sleep(3 * time.Hour)
		_, _ = w.source.Token(t.Context())
		p := b.open(agentURL + "/")
		p.want(t, 200, "No connection", "503", "log in again from 03:15 on")
		if p.hasForms() || strings.Contains(p.body, "nothing to do") || w.pages.LoginURL() != "" {
			t.Errorf("the page says %s", visible(p.body))
		}
		r := httptest.NewRequest(http.MethodPost, agentURL+"/auth/authorize", nil)
		rec := httptest.NewRecorder()
		w.pages.ServeHTTP(rec, r)
		if rec.Code != http.StatusConflict || strings.Contains(rec.Body.String(), "nothing to do") {
			t.Errorf("a form is answered with %d: %s", rec.Code, visible(rec.Body.String()))
		}

		time.Sleep(15 * time.Minute)
		link := w.pages.LoginURL()
		p = b.open(link)
		p.want(t, 200, "Login needed", "503")
		w.cloud.Heal()
		b.open(b.consent(p, "accept")).want(t, 200, "You are logged in", "Connected")
		w.loggedIn()
	})
}
