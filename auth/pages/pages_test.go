package pages_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"netatmo-agent/auth"
	"netatmo-agent/auth/authtest"
	"netatmo-agent/auth/pages"
)

func TestAddressesWithoutAPage(t *testing.T) {
	w := newWorld(t, agentURL)
	for _, test := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/metrics", 404, ""},
		{"GET", "/health", 404, ""},
		{"GET", "/debug/pprof/", 404, ""},
		{"GET", "/auth", 404, ""},
		{"GET", "/auth/callback/", 404, ""},
		{"GET", "/favicon.ico", 404, ""},
		{"GET", "/%3Cscript%3Ealert(1)%3C/script%3E/", 404, ""},
		{"POST", "/", 405, "GET, HEAD"},
		{"DELETE", "/", 405, "GET, HEAD"},
		{"GET", "/auth/authorize", 405, "POST"},
		{"GET", "/auth/token", 405, "POST"},
		{"POST", "/auth/callback", 405, "GET"},
		{"HEAD", "/auth/callback", 405, "GET"},
		{"HEAD", "/", 200, ""},
	} {
		rec := httptest.NewRecorder()
		w.pages.ServeHTTP(rec, httptest.NewRequest(test.method, agentURL+test.path, nil))
		body := rec.Body.String()
		if rec.Code != test.status || rec.Header().Get("Allow") != test.allow || strings.Contains(body, "alert(1)") || !strings.Contains(body, "netatmo-agent") {
			t.Errorf("%s %s: status %d, Allow %q: %s", test.method, test.path, rec.Code, rec.Header().Get("Allow"), visible(body))
		}
	}
}

// everyPage returns one page of each kind, and a redirect.
func everyPage(w *world) map[string]shown {
	b := w.browser()
	link := w.pages.LoginURL()
	page := b.open(link)
	all := map[string]shown{
		"login":     page,
		"locked":    b.open(agentURL + "/"),
		"wrong key": b.open(agentURL + "/?key=ABC"),
		"forbidden": b.press(page, "auth/token", url.Values{"key": {""}}),
		"redirect":  b.press(page, "auth/authorize", nil),
		"refused":   b.open(b.consent(page, "refuse")),
		"stale":     b.open(agentURL + "/auth/callback?code=1&state=2"),
		"pasted":    b.press(page, "auth/token", url.Values{"token": {"?"}}),
		"404":       b.open(agentURL + "/metrics"),
		"405":       b.open(agentURL + "/auth/token"),
	}
	w.cloud.Inject(authtest.Fault{Kind: authtest.HTML500})
	all["outage"] = b.open(b.consent(page, "accept"))
	all["done"] = b.open(b.consent(page, "accept"))
	all["connected"] = b.open(link)
	all["conflict"] = b.press(page, "auth/authorize", nil)
	return all
}

func TestHeaders(t *testing.T) {
	style := regexp.MustCompile(`(?s)<style>(.*?)</style>`)
	for name, p := range everyPage(newWorld(t, agentURL)) {
		for header, want := range map[string]string{
			"Cache-Control":          "no-store",
			"X-Content-Type-Options": "nosniff",
			"Referrer-Policy":        "same-origin",
			"X-Frame-Options":        "DENY",
		} {
			if got := p.Header.Get(header); got != want {
				t.Errorf("%s: %s is %q, want %q", name, header, got, want)
			}
		}
		policy := p.Header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self' " + cloudURL} {
			if !strings.Contains(policy, want) {
				t.Errorf("%s: the policy lacks %q: %s", name, want, policy)
			}
		}
		if strings.Contains(policy, "script") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: the policy allows scripts: %s", name, policy)
		}
		if css := style.FindStringSubmatch(p.body); css != nil {
			sum := sha256.Sum256([]byte(css[1]))
			if !strings.Contains(policy, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") {
				t.Errorf("%s: the policy does not admit the page's own style", name)
			}
		} else if p.StatusCode != http.StatusSeeOther {
			t.Errorf("%s: a page without style", name)
		}
	}
}

func TestPagesStandAlone(t *testing.T) {
	reference := regexp.MustCompile(`(?:src|href|action)="([^"]*)"`)
	secret := regexp.MustCompile(`[0-9a-f]{24}(\||%7C|&#124;)[0-9a-f]{32}|the-client-secret`)
	w := newWorld(t, agentURL)
	for name, p := range everyPage(w) {
		for _, forbidden := range []string{"<script", "javascript:", " onclick", " style=", "@import", "url("} {
			if strings.Contains(p.body, forbidden) {
				t.Errorf("%s: the page has %q", name, forbidden)
			}
		}
		for _, ref := range reference.FindAllStringSubmatch(p.body, -1) {
			if ref[1] == "https://dev.netatmo.com/apps" {
				continue // for the user to follow
			}
			u, err := url.Parse(ref[1])
			if err != nil || !strings.HasPrefix(ref[1], "data:") && (u.IsAbs() || u.Host != "" || strings.HasPrefix(u.Path, "/")) {
				t.Errorf("%s: %s is not relative", name, ref[1])
			}
		}
		if secret.MatchString(p.body) {
			t.Errorf("%s: a secret is on the page", name)
		}
	}
	if log := w.log.String(); secret.MatchString(log) || strings.Contains(log, "key=") {
		t.Errorf("a secret is in the log:\n%s", log)
	}
}

// Chromium holds the policy against each redirect behind the form, and
// Netatmo's own login page is on another host than its authorize address.
func TestFormActionOfTheRealNetatmo(t *testing.T) {
	external, err := url.Parse(agentURL)
	if err != nil {
		t.Fatal(err)
	}
	cfg := auth.Config{APIURL: "https://api.netatmo.com", External: external, TokenFile: filepath.Join(t.TempDir(), "token.json")}
	source, err := auth.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	rec := httptest.NewRecorder()
	pages.New(source, cfg).ServeHTTP(rec, httptest.NewRequest("GET", agentURL+"/", nil))
	want := "form-action 'self' https://api.netatmo.com https://*.netatmo.com " + agentURL
	if policy := rec.Header().Get("Content-Security-Policy"); !strings.Contains(policy, want+";") {
		t.Errorf("policy %s, want %s", policy, want)
	}
}

func TestOpenedUnderAnotherAddress(t *testing.T) {
	const external = "https://home.test/netatmo"
	for name, test := range map[string]struct {
		external, opened string
		header           map[string]string
		want             string // the value that would match, empty when it does
	}{
		"as set up":                {agentURL, agentURL, nil, ""},
		"case of the host":         {agentURL, "http://Agent.test:9210", nil, ""},
		"implied port":             {"http://agent.test:80", "http://agent.test", nil, ""},
		"other host":               {agentURL, "http://192.168.1.20:9210", nil, "http://192.168.1.20:9210"},
		"mapped port":              {"http://localhost:9210", "http://localhost:8080", nil, "http://localhost:8080"},
		"umlaut":                   {"http://müller.test:9210", "http://xn--mller-kva.test:9210", nil, ""},
		"name beside it":           {"https://agent.example.org", "http://other.example.org", nil, "http://other.example.org"},
		"IPv6":                     {agentURL, "http://[fd00::1]:9210", nil, "http://[fd00::1]:9210"},
		"proxy that tells":         {agentURL, "http://10.0.0.2:9210", map[string]string{"X-Forwarded-Host": "home.test", "X-Forwarded-Proto": "https", "X-Forwarded-Prefix": "/netatmo/"}, external},
		"two proxies":              {agentURL, "http://10.0.0.2:9210", map[string]string{"X-Forwarded-Host": "home.test, inner", "X-Forwarded-Proto": "https, http"}, "https://home.test"},
		"TLS proxy, silent":        {agentURL, "http://home.test", map[string]string{"Sec-Fetch-Mode": "navigate"}, "https://home.test"},
		"prefix, as set up":        {external, "http://10.0.0.2:9210", map[string]string{"X-Forwarded-Host": "home.test", "X-Forwarded-Proto": "https", "X-Forwarded-Prefix": "/netatmo"}, ""},
		"prefix, taken off":        {external, "http://home.test", map[string]string{"X-Forwarded-Proto": "https"}, ""},
		"prefix, silent proxy":     {external, "http://home.test", nil, ""},
		"prefix, other one":        {external, "http://home.test", map[string]string{"X-Forwarded-Proto": "https", "X-Forwarded-Prefix": "/weather"}, "https://home.test/weather"},
		"prefix, no proxy":         {external, "http://10.0.0.2:9210", nil, "http://10.0.0.2:9210"},
		"prefix, other name":       {external, "http://10.0.0.2:9210", map[string]string{"X-Forwarded-Host": "other.test", "X-Forwarded-Proto": "https"}, "https://other.test/netatmo"},
		"plain http instead":       {external, "http://home.test", map[string]string{"X-Forwarded-Proto": "http"}, "http://home.test/netatmo"},
		"nonsense in the headers":  {agentURL, agentURL, map[string]string{"X-Forwarded-Host": `"><script>`, "X-Forwarded-Proto": "gopher", "X-Forwarded-Prefix": "javascript:"}, ""},
		"nonsense beside the host": {agentURL, "http://10.0.0.2:9210", map[string]string{"X-Forwarded-Prefix": `/<script>`}, "http://10.0.0.2:9210"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, test.external)
			link, _ := url.Parse(w.pages.LoginURL())
			for path, forms := range map[string]bool{"/?" + link.RawQuery: true, "/": false} {
				r := httptest.NewRequest(http.MethodGet, test.opened+path, nil)
				for name, value := range test.header {
					r.Header.Set(name, value)
				}
				rec := httptest.NewRecorder()
				w.pages.ServeHTTP(rec, r)
				p := shown{rec.Result(), r.URL, rec.Body.String()}
				p.want(t, 200)
				if p.hasForms() != forms {
					t.Errorf("forms: %v", p.hasForms())
				}
				said := regexp.MustCompile(`NETATMO_EXTERNAL_URL=([^<]*)<`).FindStringSubmatch(p.body)
				if (test.want == "" || !forms) && said != nil || test.want != "" && forms && (said == nil || said[1] != test.want) {
					t.Errorf("says %v, want %q", said, test.want)
				}
				if notice := strings.Contains(p.body, "Opened at a different address"); notice != (test.want != "") {
					t.Errorf("says that it is opened elsewhere: %v", notice)
				}
				if strings.Contains(p.body, "<script") {
					t.Error("a header got onto the page")
				}
			}
		})
	}
}

// A proxy may strip the prefix or keep it; the same links work.
func TestBehindAProxy(t *testing.T) {
	const external = "http://home.test/weather/netatmo"
	for name, proxy := range map[string]func(http.Handler) http.Handler{
		"kept":     func(h http.Handler) http.Handler { return h },
		"stripped": func(h http.Handler) http.Handler { return http.StripPrefix("/weather/netatmo", h) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, external)
			w.net["home.test"] = proxy(w.pages)
			b := w.browser()
			page := b.open(w.pages.LoginURL())
			page.want(t, 200, external+"/auth/callback")
			failed := b.open(b.consent(page, "refuse"))
			failed.want(t, 403, "Access was not granted")
			b.open(b.consent(failed, "accept")).want(t, 200, "You are logged in")
			w.loggedIn()
		})
	}
}

func TestPrefixWithoutSlash(t *testing.T) {
	w := newWorld(t, "http://home.test/weather/netatmo")
	link := w.pages.LoginURL()
	b := w.browser()
	p := b.open(strings.Replace(link, "/?", "?", 1))
	if to := b.location(p, "http://home.test/"); p.StatusCode != http.StatusPermanentRedirect || to != link {
		t.Errorf("status %d, sent to %s", p.StatusCode, to)
	}
}

// The page suggests no address that its user would not recognise, since a Host
// header can be forged.
func TestNoStrangersAddressIsSuggested(t *testing.T) {
	for _, opened := range []string{"http://evil.example:9210", "http://203.0.113.7:9210", "http://agent.test.evil.example"} {
		w := newWorld(t, agentURL)
		r := httptest.NewRequest(http.MethodGet, strings.Replace(w.pages.LoginURL(), agentURL, opened, 1), nil)
		rec := httptest.NewRecorder()
		w.pages.ServeHTTP(rec, r)
		if body := rec.Body.String(); strings.Contains(body, "NETATMO_EXTERNAL_URL=") || strings.Contains(body, "evil") || strings.Contains(body, "203.0.113") {
			t.Errorf("%s: %s", opened, visible(body))
		} else if !strings.Contains(body, "Opened at a different address") {
			t.Errorf("%s: nothing is said", opened)
		}
	}
}

// A login begun at 127.0.0.1 could not come back to localhost.
func TestAnotherNameOfThisMachineLeadsToTheConfiguredOne(t *testing.T) {
	for _, names := range [][2]string{{"localhost", "127.0.0.1"}, {"127.0.0.1", "localhost"}, {"localhost", "[::1]"}} {
		external, other := "http://"+names[0]+":9210", "http://"+names[1]+":9210"
		w := newWorld(t, external)
		w.net[names[1]+":9210"] = w.pages
		b := w.browser()
		link := w.pages.LoginURL()
		p := b.open(strings.Replace(link, external, other, 1))
		if to := b.location(p, external); to != link {
			t.Errorf("sent to %s", to)
		}
		b.open(b.consent(b.open(link), "accept")).want(t, 200, "You are logged in")
	}
	w := newWorld(t, "http://localhost:9210")
	w.net["localhost:8080"] = w.pages
	w.browser().open(strings.Replace(w.pages.LoginURL(), ":9210", ":8080", 1)).want(t, 200, "NETATMO_EXTERNAL_URL=http://localhost:8080")
}

// An umlaut domain is shown as people write it, and its forms work.
func TestUmlautDomain(t *testing.T) {
	w := newWorld(t, "http://müller.test:9210")
	w.net["xn--mller-kva.test:9210"] = w.pages
	link := w.pages.LoginURL()
	if !strings.HasPrefix(link, "http://müller.test:9210/?key=") {
		t.Errorf("link %s", link)
	}
	ascii := strings.Replace(link, "müller", "xn--mller-kva", 1)
	b := w.browser()
	p := b.open(ascii)
	p.want(t, 200, "http://müller.test:9210/auth/callback")
	if to, _ := b.press(p, "auth/authorize", nil).Location(); to.Query().Get("redirect_uri") != "http://müller.test:9210/auth/callback" {
		t.Errorf("sent to %s", to)
	}
	if strings.Contains(w.log.String(), "level=WARN") {
		t.Errorf("log:\n%s", w.log)
	}
}

// A prefix that the agent is not configured for has no page, but the user learns
// how to configure it.
func TestUnknownPrefix(t *testing.T) {
	w := newWorld(t, agentURL)
	_, key, _ := strings.Cut(w.pages.LoginURL(), "?")
	w.browser().open(agentURL+"/netatmo/?"+key).want(t, 404, "NETATMO_EXTERNAL_URL="+agentURL+"/netatmo")
	p := w.browser().open(agentURL + "/netatmo/auth/callback?code=1&state=2")
	p.want(t, 404, "There is no such page")
	if strings.Contains(p.body, "NETATMO_EXTERNAL_URL=") {
		t.Error("a request without the key gets a suggestion")
	}
}
