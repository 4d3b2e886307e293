package e2e

import (
	"fmt"
	"html/template"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// A callback in another browser does not log in, and does not use the code,
// which remains for the browser that started the login.
func anotherBrowser(s *scene) {
	link, tab, other := s.start(), s.tab(), s.tab()
	tab.Open(link)
	back := s.consentAway(tab.Press(button))
	s.says(other.Open(back.String()), 400, "started in another browser")
	if n := other.Count(anyControl); n != 0 {
		s.t.Errorf("%d things to press in a browser that never had the key, want none", n)
	}
	s.notLoggedIn()
	s.says(tab.Open(back.String()), 200, "Done. You are logged in")
	s.loggedIn()
}

// Two tabs of one browser log in: the first to finish wins, and the other sees
// that a login exists.
func secondTab(s *scene) {
	link, first := s.start(), s.tab()
	second, third := s.another(first), s.another(first)
	for _, tab := range []*Tab{first, second, third} {
		tab.Open(link)
		tab.Press(button)
	}
	s.says(second.Press(refusal), 403, "Access was not granted")
	s.says(first.Press(accept), 200, "Done. You are logged in")
	s.says(third.Press(accept), 200, "Connected to Netatmo")
	s.says(second.Press(button), 409, "Connected to Netatmo")
	if n := s.tokenRequests(); n != 1 {
		s.t.Errorf("%d token requests, want one", n)
	}
	s.loggedIn()
}

var trap = template.Must(template.New("").Parse(`<!doctype html><title>Win a prize</title>
{{range $path, $fields := .Forms}}<form method="post" action="{{$.Agent}}{{$path}}">
{{range $name, $value := $fields}}<input type="hidden" name="{{$name}}" value="{{$value}}">{{end}}
<button>Win</button></form>{{end}}
{{with .Frame}}<iframe src="{{.}}"></iframe>{{end}}`))

// site serves a page at a separate port, and returns the port.
func site(t *testing.T, page any) (port string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err := trap.Execute(w, page); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Port()
}

// Only the agent's own pages can send its forms, even with the key: not another
// site, and not another port of the same host.
func formOfAnotherSite(s *scene) {
	link, tab := s.start(), s.tab()
	foreign := s.cloud.Auth().Grant(allScopes...).Refresh
	port := site(s.t, map[string]any{"Agent": s.external(), "Forms": map[string]map[string]string{
		"/auth/authorize": {"key": s.keys[0]},
		"/auth/token":     {"key": s.keys[0], "token": foreign},
	}})
	tab.Open(link) // the best case for the other site: its victim has the key
	for _, host := range []string{"elsewhere.test", "agent.test"} {
		for _, path := range []string{"/auth/authorize", "/auth/token"} {
			tab.Open(fmt.Sprintf("http://%s:%s/", host, port))
			s.says(tab.Press(`form[action$="`+path+`"] button`), 403, "Refused: sent by another site")
		}
	}
	s.look(tab, "other site")
	if n := tab.Count(anyControl); n != 0 {
		s.t.Errorf("%d things to press on the page, want none", n)
	}
	if s.tokenRequests() != 0 {
		s.t.Error("the agent obeyed another site")
	}
	s.notLoggedIn()

	// All that another site can do is link to a callback, which has no effect.
	code := strings.Repeat("0", 32)
	s.says(tab.Open(s.external()+"/auth/callback?state=ABCDEFGHIJ&code="+code), 400, "started in another browser")
	s.notLoggedIn()
}

func frameOfAnotherSite(s *scene) {
	port := site(s.t, map[string]any{"Agent": s.external(), "Frame": s.start()})
	tab := s.browser.Tab(s.t) // not one of the scene's: here the browser must report an error
	tab.Open("http://elsewhere.test:" + port + "/")
	s.Eventually("is not shown in a frame", func() bool { return tab.Complained("frame-ancestors") })
}
