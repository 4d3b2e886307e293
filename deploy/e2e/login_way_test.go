package e2e

import (
	"net/url"
	"strings"
	"time"

	"github.com/chromedp/cdproto/emulation"

	"netatmo-agent/auth/authtest"
)

// The README's promise. With the real cadence and hours between two pushes,
// readings arrive only because the login makes the agent poll, and the poll
// makes it push, at once.
func logIn(s *scene) {
	collector := NewCollector(s.t).Start()
	s.Env = s.Env.With(toCollector(collector, "grpc"), Env{
		"OTEL_METRICS_EXPORTER":       "otlp",
		"OTEL_METRIC_EXPORT_INTERVAL": "36000000",
	})
	link, tab := s.start(), s.tab()

	// Without the key, the page only says where to find the link.
	p := tab.Open(s.external() + "/")
	s.says(p, 200, "The agent needs a login", s.external()+"/?key=", "Login needed")
	s.look(tab, "locked")
	if n := tab.Count(anyControl); n != 0 {
		s.t.Errorf("%d things to press without the key, want none", n)
	}
	p = tab.Open(s.external() + "/?key=GUESSED")
	s.says(p, 200, "This link has expired", s.external()+"/?key=")
	s.look(tab, "wrong key")
	if n := tab.Count(anyControl); n != 0 {
		s.t.Errorf("%d things to press with a wrong key, want none", n)
	}

	s.says(tab.Open(link), 200, "Connect your Netatmo account", s.external()+"/auth/callback", "Log in with Netatmo")
	s.look(tab, "login")
	stale := s.another(tab)
	s.says(stale.Open(link), 200, "Connect your Netatmo account") // the key still works after it was used

	consent := tab.Press(button)
	if consent.URL.Hostname() != "cloud.test" || !strings.Contains(consent.Text, "read_station read_homecoach") {
		s.t.Errorf("the button leads to %s, which says:\n%s", consent.URL.Host, consent.Text)
	}
	s.says(tab.Press(accept), 200, "Done. You are logged in", "Connected")
	s.look(tab, "done")
	s.Eventually("pushes readings", func() bool { return hasReadings(collector.Points()) })
	if have, want := s.saved(), s.cloud.Auth().Current(); have.Refresh != want.Refresh || have.Access != want.Access {
		s.t.Error("the token file does not contain the cloud's login")
	}

	// From now on there is nothing to do, whichever page is opened.
	s.says(tab.Reload(), 200, "Connected to Netatmo")
	s.says(tab.Open(link), 200, "Connected to Netatmo")
	s.look(tab, "connected")
	if n := tab.Count(anyControl); n != 0 {
		s.t.Errorf("%d things to press with a working login, want none", n)
	}
	s.says(stale.Press(button), 409, "Connected to Netatmo")
	s.says(tab.Open(s.external()+"/metrics"), 404, "There is no such page")
	s.look(tab, "no such page")
	s.says(tab.Open(s.external()+"/auth/token"), 405, "This address cannot be opened directly")
	if n := s.tokenRequests(); n != 1 {
		s.t.Errorf("%d token requests, want the one of the login", n)
	}
}

func logInWithoutScripts(s *scene) {
	link, tab := s.start(), s.tab()
	call(tab, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	tab.Open(link)
	tab.Press(button)
	s.says(tab.Press(refusal), 403, "Access was not granted")
	tab.Press(button)
	s.says(tab.Press(accept), 200, "Done. You are logged in")
	s.loggedIn()
}

func refuse(s *scene) {
	link, tab := s.start(), s.tab()
	tab.Open(link)
	tab.Press(button)
	s.says(tab.Press(refusal), 403, "Access was not granted", "press Accept")
	s.look(tab, "refused")
	s.notLoggedIn()
	if s.link() != link {
		s.t.Error("the key expired although nothing was saved")
	}
	tab.Press(button)
	s.says(tab.Press(accept), 200, "Done. You are logged in")
	s.loggedIn()
}

// Netatmo sends the browser back with an unknown state.
func wrongState(s *scene) {
	link, tab := s.start(), s.tab()
	tab.Open(link)
	back := s.consentAway(tab.Press(button))
	for _, state := range []string{"", "AAAAAAAAAAAAAAAAAAAAAAAAAA"} {
		wrong := *back
		wrong.RawQuery = url.Values{"code": {back.Query().Get("code")}, "state": {state}}.Encode()
		s.says(tab.Open(wrong.String()), 400, "started in another browser")
	}
	s.look(tab, "wrong state")
	if s.tokenRequests() != 0 {
		s.t.Error("the code was used in spite of the wrong state")
	}
	s.says(tab.Open(back.String()), 200, "Done. You are logged in") // the right one still works
	s.loggedIn()
}

// A callback works once, whatever its result.
func replay(s *scene) {
	link, tab := s.start(), s.tab()
	s.cloud.Auth().Inject(authtest.Fault{Kind: authtest.HTML503})
	tab.Open(link)
	tab.Press(button)
	failed := tab.Press(accept)
	s.says(failed, 502, "Netatmo did not answer as expected")
	s.look(tab, "outage")
	s.says(tab.Reload(), 400, "works once")
	if n := s.tokenRequests(); n != 1 {
		s.t.Errorf("%d token requests, want one", n)
	}
	s.notLoggedIn()
	tab.Open(link)
	tab.Press(button)
	done := tab.Press(accept)
	s.says(done, 200, "Done. You are logged in")
	for _, used := range []Shown{failed, done} {
		s.says(tab.Open(used.URL.String()), 200, "Connected to Netatmo")
	}
	if n := s.tokenRequests(); n != 2 {
		s.t.Errorf("%d token requests, want two", n)
	}
	s.loggedIn()
}

// The agent forgets an attempt after ten minutes, which the tests of package
// auth show with a fake clock; the browser is told to do so as well.
func tooLate(s *scene) {
	link, tab := s.start(), s.tab()
	tab.Open(link)
	tab.Press(button)
	cookies := tab.cookies(s.external() + "/auth/callback")
	if len(cookies) != 1 {
		s.t.Fatalf("%d cookies, want one", len(cookies))
	}
	c := cookies[0]
	if left := time.Until(time.Unix(int64(c.Expires), 0)); left > 10*time.Minute || left < 5*time.Minute || !c.HTTPOnly || c.SameSite != "Lax" || c.Path != "/auth" {
		s.t.Errorf("cookie %q: expires in %v, HttpOnly %v, SameSite %s, Path %s", c.Name, left, c.HTTPOnly, c.SameSite, c.Path)
	}
	if elsewhere := tab.cookies(s.external() + "/"); len(elsewhere) != 0 {
		s.t.Error("the cookie is sent where it is not needed")
	}
	tab.forgetCookies()
	s.says(tab.Press(accept), 400, "within ten minutes")
	s.notLoggedIn()
	if s.tokenRequests() != 0 {
		s.t.Error("the code was used in spite of the state")
	}
}

// consentAway presses Accept in another browser, and returns the address that
// this browser would have been sent to.
func (s *scene) consentAway(page Shown) (back *url.URL) {
	s.t.Helper()
	return consent(s.t, s.cloud.URL+page.URL.RequestURI())
}
