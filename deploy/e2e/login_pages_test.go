package e2e

import (
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"netatmo-agent/agent/simcloud"
)

// pageTest is a test of the login pages in a browser.
type pageTest struct {
	cloud simcloud.Options
	test  func(*scene)
}

var pageTests = map[string]pageTest{
	"open the link, press two buttons, done": {test: logIn},
	"without scripts":                        {test: logInWithoutScripts},
	"refused":                                {test: refuse},
	"wrong state":                            {test: wrongState},
	"replayed":                               {test: replay},
	"too late":                               {test: tooLate},
	"another browser":                        {test: anotherBrowser},
	"second tab":                             {test: secondTab},
	"form of another site":                   {test: formOfAnotherSite},
	"frame of another site":                  {test: frameOfAnotherSite},
	"wrong host name":                        {test: wrongName},
	"mapped port":                            {test: mappedPort},
	"proxy, path taken off, silent":          {test: behind(Front{Prefix: "/weather/netatmo", Strip: true, Rename: true})},
	"proxy, path taken off, telling":         {test: behind(Front{Prefix: "/weather/netatmo", Strip: true, Tell: true})},
	"proxy, path kept":                       {test: behind(Front{Prefix: "/netatmo"})},
	"proxy, TLS, path kept":                  {test: behind(Front{Prefix: "/netatmo", Tell: true, TLS: true})},
	"proxy, TLS, silent":                     {test: behind(Front{TLS: true, Rename: true})},
	"proxy not told of, path kept":           {test: unannounced(Front{Prefix: "/netatmo"})},
	"proxy not told of, path taken off":      {test: unannounced(Front{Prefix: "/netatmo", Strip: true, Tell: true, Rename: true})},
	"address pasted":                         {test: cutOff(wholeAddress)},
	"code pasted":                            {test: cutOff(code)},
	"refresh token pasted":                   {test: cutOff(refreshToken)},
	"unusable paste":                         {test: pastedInVain},
	"redirect URI not registered":            {test: redirectURIMismatch, cloud: simcloud.Options{RedirectURIs: []string{"http://elsewhere.test/"}}},
	"scope missing":                          {test: scopeMissing, cloud: simcloud.Options{Measure: 2 * time.Second, Upload: 4 * time.Second}},
	"disk full":                              {test: diskFull},
	"login command":                          {test: commandAndBrowser},
}

// The tests share one real browser. Each has a real agent, and a window with
// separate cookies.
func TestLoginPages(t *testing.T) {
	browser := NewBrowser(t)
	for name, tt := range pageTests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.test(newScene(t, browser, tt.cloud))
		})
	}
}

// scene is an agent that waits for a login, a cloud to log in at, and a user
// with a browser. The agent, the cloud and all others have separate host names.
type scene struct {
	*Agent
	t       *testing.T
	cloud   *Cloud
	browser *Browser
	tabs    []*Tab
	hosts   []string // that serve the pages
	keys    []string // of all links so far
	disk    fs.FS    // the state directory, which only the agent sees under its name
}

// newScene prepares a scene. It does not start the agent, whose backend is its
// standard output.
func newScene(t *testing.T, browser *Browser, o simcloud.Options) *scene {
	t.Helper()
	cloud := NewCloud(t, o)
	_, cloudPort, _ := strings.Cut(strings.TrimPrefix(cloud.URL, "http://"), ":")
	agent := NewAgent(t, cloud.Env().With(Env{
		"NETATMO_API_URL":       "http://cloud.test:" + cloudPort,
		"HTTP_PROXY":            cloud.URL, // resolves that name for the agent
		"OTEL_METRICS_EXPORTER": "console",
		"NETATMO_LOG_LEVEL":     "debug", // the more it logs, the more it could leak

		// Two more secrets, although nothing is pushed there.
		"OTEL_EXPORTER_OTLP_ENDPOINT": "https://collectors.test/receiver/v1/otlp/TheAddressIsTheSecret",
		"OTEL_EXPORTER_OTLP_HEADERS":  "X-Api-Key=TheKeyOfTheBackend",
	}))
	s := &scene{Agent: agent, t: t, cloud: cloud, browser: browser}
	s.setExternal("http://" + s.at("agent.test"))
	t.Cleanup(s.checkBrowsing)
	return s
}

// at returns the agent's own address under a host name.
func (s *scene) at(name string) (host string) {
	_, port, _ := strings.Cut(s.Env["NETATMO_LISTEN_ADDR"], ":")
	host = name + ":" + port
	s.hosts = append(s.hosts, host)
	return host
}

// setExternal configures the external URL for the agent's next start.
func (s *scene) setExternal(base string) {
	s.t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		s.t.Fatal(err)
	}
	s.hosts = append(s.hosts, u.Host)
	s.Env["NETATMO_EXTERNAL_URL"] = base
}

// external is the external URL in the agent's settings.
func (s *scene) external() string { return s.Env["NETATMO_EXTERNAL_URL"] }

// start starts or restarts the agent, and returns the link in its log.
func (s *scene) start() string {
	s.t.Helper()
	s.Start()
	return s.link()
}

func (s *scene) link() string {
	s.t.Helper()
	link := s.LoginLink()
	s.keys = append(s.keys, link.Query().Get("key"))
	return link.String()
}

// tab opens a tab of a new browser.
func (s *scene) tab() *Tab {
	s.t.Helper()
	tab := s.browser.Tab(s.t)
	s.tabs = append(s.tabs, tab)
	return tab
}

// another opens another tab of the same browser.
func (s *scene) another(tab *Tab) *Tab {
	s.t.Helper()
	other := tab.Another()
	s.tabs = append(s.tabs, other)
	return other
}

// Selectors of buttons and links.
const (
	button      = `form[action$="auth/authorize"] button`
	field       = `form[action$="auth/token"] input[name=token]`
	pasteButton = `form[action$="auth/token"] button`
	accept      = `button[value=accept]`
	refusal     = `button[value=refuse]`
	anyControl  = `button, input, form, a, script, iframe`
)

// says checks a page: its status, and texts that must be on it.
func (s *scene) says(p Shown, status int, texts ...string) {
	s.t.Helper()
	if p.Status != status {
		s.t.Errorf("%s answers %d, want %d", p.URL.Path, p.Status, status)
	}
	for _, text := range texts {
		if !strings.Contains(p.Text, text) {
			s.t.Errorf("the page at %s does not contain %q:\n%s", p.URL.Path, text, p.Text)
		}
	}
}

// saved is the login on the disk.
func (s *scene) saved() savedLogin {
	s.t.Helper()
	dir := s.disk
	if dir == nil {
		dir = os.DirFS(filepath.Dir(s.TokenFile()))
	}
	return readLogin(s.t, dir)
}

// loggedIn checks that the cloud's login is on the disk, and that the agent
// uses it.
func (s *scene) loggedIn() {
	s.t.Helper()
	if have, want := s.saved(), s.cloud.Auth().Current(); have.Access != want.Access || have.Refresh != want.Refresh || want.Access == "" {
		s.t.Error("the token file does not contain the cloud's login")
	}
	s.Eventually("pushes readings", func() bool { return strings.Contains(s.Output(), "netatmo.temperature") })
}

// notLoggedIn checks that there is no login.
func (s *scene) notLoggedIn() {
	s.t.Helper()
	if have := s.saved(); have.Refresh != "" {
		s.t.Error("there is a login in the token file")
	}
}

// tokenRequests counts the requests to the cloud's token endpoint.
func (s *scene) tokenRequests() (n int) {
	for _, times := range s.cloud.Auth().Stats().Requests {
		n += times
	}
	return n
}

var codeInURL = regexp.MustCompile(`[?&]code=([0-9a-f]{32})`)
