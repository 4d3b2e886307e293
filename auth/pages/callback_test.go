package pages_test

import (
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// parts returns the code and the state in the address of a callback.
func parts(t *testing.T, back string) (code, state string) {
	t.Helper()
	u, err := url.Parse(back)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query().Get("code"), u.Query().Get("state")
}

func TestCallbackRefused(t *testing.T) {
	for name, test := range map[string]struct {
		query   func(code, state string) string
		cookies bool // sent by the browser that started the login
		status  int
		says    string
	}{
		"nothing":               {func(_, _ string) string { return "" }, true, 400, "was started in another browser"},
		"no state":              {func(code, _ string) string { return "code=" + code }, true, 400, "was started in another browser"},
		"wrong state":           {func(code, _ string) string { return "state=ABCDEFGHIJ&code=" + code }, true, 400, "was started in another browser"},
		"state of another case": {func(code, state string) string { return "state=" + strings.ToLower(state) + "&code=" + code }, true, 400, "was started in another browser"},
		"other browser":         {func(code, state string) string { return "state=" + state + "&code=" + code }, false, 400, "was started in another browser"},
		"no code":               {func(_, state string) string { return "state=" + state }, true, 400, "no code"},
		"invented code":         {func(_, state string) string { return "state=" + state + "&code=00000000" }, true, 400, "did not accept the code"},
		"refused":               {func(_, state string) string { return "error=access_denied&state=" + state }, true, 403, "Access was not granted"},
		"refused, no state":     {func(_, _ string) string { return "error=access_denied" }, true, 403, "Access was not granted"},
		"refused elsewhere":     {func(_, _ string) string { return "error=access_denied" }, false, 403, "Access was not granted"},
		"redirect URI":          {func(_, state string) string { return "error=redirect_uri_mismatch&state=" + state }, true, 403, "dev.netatmo.com"},
		"scope":                 {func(_, state string) string { return "error=invalid_scope&state=" + state }, true, 403, "NETATMO_DEVICES"},
		"app":                   {func(_, state string) string { return "error=invalid_client&state=" + state }, true, 403, "NETATMO_CLIENT_ID"},
		"outage":                {func(_, state string) string { return "error=server_error&state=" + state }, true, 403, "few minutes"},
		"other error":           {func(_, state string) string { return "error=odd_one&state=" + state }, true, 403, "“odd_one”"},
		"script for an error":   {func(_, state string) string { return "error=<script>alert(1)</script>&state=" + state }, true, 403, "with an error"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, agentURL)
			b := w.browser()
			code, state := parts(t, b.consent(b.open(w.pages.LoginURL()), "accept"))
			other := b
			if !test.cookies {
				other = w.browser()
			}
			p := other.open(agentURL + "/auth/callback?" + test.query(code, state))
			p.want(t, test.status, test.says)
			if p.hasForms() != test.cookies {
				t.Errorf("the page has forms: %v; only the browser that had the key may", p.hasForms())
			}
			if strings.Contains(p.body, "alert(1)") {
				t.Error("the page repeats the query")
			}
			if w.saved() != "" {
				t.Error("a login was saved")
			}
		})
	}
}

// The limits also hold for a browser that keeps its cookies too long.
func TestStateWorksOnceForTenMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, agentURL)
		b := w.browser()
		var kept []*http.Cookie
		begin := func(answer string) (back string) {
			page := b.open(w.pages.LoginURL())
			begun := b.press(page, "auth/authorize", nil)
			kept = append(kept, begun.Cookies()...)
			asked := b.follow(begun, cloudURL)
			return b.location(b.press(asked, "authorize", url.Values{"answer": {answer}}), agentURL)
		}
		end := func(back string) shown {
			r, _ := http.NewRequest(http.MethodGet, back, nil)
			for _, c := range kept {
				r.AddCookie(c)
			}
			return (&browser{t, &http.Client{Transport: w.net}}).do(r)
		}

		refused := begin("refuse")
		end(refused).want(t, 403)
		_, used := parts(t, refused)
		code, _ := parts(t, begin("accept"))
		end(agentURL+"/auth/callback?state="+used+"&code="+code).want(t, 400, "works once")

		late := begin("accept")
		time.Sleep(10 * time.Minute)
		end(late).want(t, 400, "ten minutes")
		if w.saved() != "" {
			t.Error("a login was saved")
		}

		inTime := begin("accept")
		time.Sleep(10*time.Minute - time.Second)
		end(inTime).want(t, 200, "You are logged in")
		w.loggedIn()
	})
}

func TestStateCookie(t *testing.T) {
	for external, want := range map[string]struct {
		path   string
		secure bool
	}{
		agentURL:                       {"/auth", false},
		"https://home.test/netatmo/in": {"/netatmo/in/auth", true},
	} {
		w := newWorld(t, external)
		b := w.browser()
		p := b.press(b.open(w.pages.LoginURL()), "auth/authorize", nil)
		cookies := p.Cookies()
		if len(cookies) != 1 {
			t.Fatalf("%d cookies", len(cookies))
		}
		c := cookies[0]
		if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != want.path || c.Secure != want.secure || c.MaxAge != 600 || c.Domain != "" {
			t.Errorf("cookie %v", c)
		}
		address, _ := p.Location()
		if strings.Contains(address.String(), c.Value) {
			t.Error("the cookie's secret is in the address")
		}
	}
}

func FuzzCallback(f *testing.F) {
	for _, seed := range []string{
		"", "code=1&state=2", "error=access_denied", "error=%3Cscript%3E&state=", "state=%zz", "code=a;b", "state=ABCDEFGH&state=I",
		"error=\x00&error_description=<img src=x onerror=alert(1)>", "key=ABC", strings.Repeat("state=A&", 500),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		w := newWorld(t, agentURL)
		b := w.browser()
		b.press(b.open(w.pages.LoginURL()), "auth/authorize", nil)
		r := httptest.NewRequest(http.MethodGet, agentURL+"/auth/callback", nil)
		r.URL.RawQuery = query
		for _, c := range b.client.Jar.Cookies(&url.URL{Scheme: "http", Host: "agent.test:9210", Path: "/auth/callback"}) {
			r.AddCookie(c)
		}
		rec := httptest.NewRecorder()
		w.pages.ServeHTTP(rec, r)
		if rec.Code != 400 && rec.Code != 403 {
			t.Errorf("status %d", rec.Code)
		}
		for _, values := range r.URL.Query() {
			for _, v := range values {
				if html.EscapeString(v) != v && strings.Contains(rec.Body.String(), v) && len(v) > 3 {
					t.Errorf("the page repeats %q", v)
				}
			}
		}
		if len(w.cloud.Stats().Requests) != 0 {
			t.Error("Netatmo was asked although no login was finished")
		}
	})
}
