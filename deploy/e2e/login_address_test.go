package e2e

import (
	"regexp"
	"strings"
)

// matching finds the setting that a page suggests.
var matching = regexp.MustCompile(`NETATMO_EXTERNAL_URL=(\S+)`)

// startAsNamed restarts the agent with the external URL that the page in the
// tab suggests, and returns the new link.
func (s *scene) startAsNamed(p Shown, want string) string {
	s.t.Helper()
	named := matching.FindStringSubmatch(p.Text)
	if named == nil || named[1] != want {
		s.t.Fatalf("the page names %q, want %s; it says:\n%s", named, want, p.Text)
	}
	s.Terminate()
	s.setExternal(named[1])
	link := s.start()
	if !strings.HasPrefix(link, want+"/?key=") {
		s.t.Errorf("the link is %s, want one below %s", link, want)
	}
	return link
}

// passThrough logs in from the link: through both pages that answer a callback,
// and the form, so that every link and form on the pages is used.
func (s *scene) passThrough(tab *Tab, link string) {
	s.t.Helper()
	p := tab.Open(link)
	s.says(p, 200, s.external()+"/auth/callback")
	if m := matching.FindString(p.Text); m != "" && !strings.Contains(p.Text, "If your address bar shows the first address, all is well") {
		s.t.Errorf("the page claims to be opened under another address: %s", m)
	}
	tab.Press(button)
	s.says(tab.Press(refusal), 403, "Access was not granted")
	tab.Paste(field, "a token, please!")
	s.says(tab.Press(pasteButton), 400, "This could not be used")
	tab.Press(button)
	s.says(tab.Press(accept), 200, "Done. You are logged in")
	s.says(tab.Reload(), 200, "Connected to Netatmo")
	s.loggedIn()
}

// A browser that opens the page under another name would get lost: the callback
// goes to the configured name. The page says so, and what to set.
func wrongName(s *scene) {
	link, tab := s.start(), s.tab()
	other := "http://" + s.at("other.test")
	p := tab.Open(strings.Replace(link, s.external(), other, 1))
	s.says(p, 200, "Opened at a different address", "configured for "+s.external(), "open at "+other)
	s.look(tab, "wrong name")
	tab.Press(button)
	s.says(tab.Press(accept), 400, "at the address where you started it")
	s.notLoggedIn()
	s.passThrough(tab, s.startAsNamed(p, other))
}

// In a container with a mapped port, the agent cannot know the port that the
// browser sees.
func mappedPort(s *scene) {
	addr := s.Env["NETATMO_LISTEN_ADDR"]
	_, port, _ := strings.Cut(addr, ":")
	s.Env["NETATMO_LISTEN_ADDR"] = "0.0.0.0:" + port
	delete(s.Env, "NETATMO_EXTERNAL_URL")
	mapped := s.front(Front{}, "nas.test")

	link, tab := s.start(), s.tab()
	if base := "http://localhost:" + port + "/"; !strings.HasPrefix(link, base) {
		s.t.Errorf("the link is %s, want one below %s", link, base)
	}
	p := tab.Open(strings.Replace(link, "http://localhost:"+port, mapped, 1))
	s.says(p, 200, "Opened at a different address")
	s.passThrough(tab, s.startAsNamed(p, mapped))
}

// behind is a reverse proxy that the agent is configured for.
func behind(front Front) func(*scene) {
	return func(s *scene) {
		s.setExternal(s.front(front, "home.test"))
		if front.TLS {
			// From a page with TLS, browsers send no form to an address
			// without, unless that is on loopback.
			s.Env["NETATMO_API_URL"] = s.cloud.URL
		}
		link := s.start()
		if front.Prefix != "" && !front.Strip { // as typed by hand
			link = strings.Replace(link, "/?", "?", 1)
		}
		s.passThrough(s.tab(), link)
	}
}

// unannounced is a reverse proxy that the agent is not configured for. The page
// says what to set.
func unannounced(front Front) func(*scene) {
	return func(s *scene) {
		base := s.front(front, "home.test")
		link, tab := s.start(), s.tab()
		p := tab.Open(strings.Replace(link, s.external(), base, 1))
		s.passThrough(tab, s.startAsNamed(p, base))
	}
}

// front puts a proxy between the browser and the agent.
func (s *scene) front(f Front, name string) (base string) {
	s.t.Helper()
	base = f.Start(s.t, name, strings.Replace(s.Env["NETATMO_LISTEN_ADDR"], "0.0.0.0", "127.0.0.1", 1))
	host, _, _ := strings.Cut(strings.SplitN(base, "://", 2)[1], "/")
	s.hosts = append(s.hosts, host)
	return base
}
