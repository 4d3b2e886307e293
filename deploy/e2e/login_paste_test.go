package e2e

import (
	"net/url"
	"strings"

	"netatmo-agent/auth/authtest"
)

func wholeAddress(_ *scene, back *url.URL) string { return back.String() }

func code(_ *scene, back *url.URL) string { return back.Query().Get("code") }

func refreshToken(s *scene, _ *url.URL) string { return s.cloud.Auth().Grant(allScopes...).Refresh }

// cutOff is a browser that cannot return, because the redirect URI is on a
// machine that it does not reach. The text in its address bar is enough.
func cutOff(paste func(s *scene, back *url.URL) string) func(*scene) {
	return func(s *scene) {
		s.setExternal("http://far-away.example:9210")
		link, tab := s.start(), s.tab()
		link = strings.Replace(link, s.external(), "http://"+s.at("agent.test"), 1)
		tab.Open(link)
		tab.Press(button)
		address := tab.PressInVain(accept)
		if !strings.HasPrefix(address, s.external()+"/auth/callback?") {
			s.t.Fatalf("the browser ended on %s", address)
		}
		back, err := url.Parse(address)
		if err != nil {
			s.t.Fatal(err)
		}
		tab.Open(link)
		tab.Paste(field, paste(s, back))
		done := tab.Press(pasteButton)
		s.says(done, 200, "Done. You are logged in")
		if done.URL.RawQuery != "" {
			s.t.Error("what was pasted is in the address")
		}
		s.loggedIn()
	}
}

// The answer to unusable input says what is wrong with it, and the form
// remains.
func pastedInVain(s *scene) {
	link, tab := s.start(), s.tab()
	tab.Open(link)
	other := s.cloud.Auth().Grant(allScopes...).Refresh
	old := s.cloud.Auth().Grant(allScopes...).Refresh
	_ = s.cloud.Auth().Grant(allScopes...)
	for pasted, says := range map[string]string{
		"a token, please!": "not a refresh token, a code or an address",
		s.external() + "/auth/callback?error=access_denied": "Access was not granted",
		s.external() + "/auth/callback?state=ABC":           "contains no code",
		strings.Repeat("0", 32):                             "did not accept the code",
		other:                                               "did not accept the refresh token",
		old:                                                 "did not accept the refresh token",
	} {
		tab.Paste(field, pasted)
		p := tab.Press(pasteButton)
		s.says(p, 400, says)
		if strings.Contains(p.Source, pasted) {
			s.t.Error("the page repeats what was pasted")
		}
	}
	s.look(tab, "unusable paste")
	s.notLoggedIn()
	s.cloud.Auth().Inject(authtest.Fault{Kind: authtest.InvalidClient})
	tab.Paste(field, s.cloud.Auth().Current().Refresh)
	s.says(tab.Press(pasteButton), 400, "NETATMO_CLIENT_SECRET")
	tab.Paste(field, s.cloud.Auth().Current().Refresh)
	s.says(tab.Press(pasteButton), 200, "Done. You are logged in")
	s.loggedIn()
}
