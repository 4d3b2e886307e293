package pages_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"netatmo-agent/agent/logtest"
	"netatmo-agent/auth"
	"netatmo-agent/auth/authtest"
	"netatmo-agent/auth/pages"
)

const (
	cloudURL = "http://cloud.test"
	agentURL = "http://agent.test:9210"
)

// internet carries requests to handlers by host, without a socket, so that
// tests with a fake clock can wait. A handler that hangs up looks like it.
type internet map[string]http.Handler

func (n internet) RoundTrip(r *http.Request) (answer *http.Response, err error) {
	to, known := n[r.URL.Host]
	if !known {
		return nil, fmt.Errorf("no such host: %s", r.URL.Host)
	}
	defer func() {
		switch cause := recover(); cause {
		case nil:
		case http.ErrAbortHandler:
			answer, err = nil, io.ErrUnexpectedEOF
		default:
			panic(cause)
		}
	}()
	in := r.Clone(r.Context())
	in.Host, in.RequestURI = r.URL.Host, r.URL.RequestURI()
	in.URL.Scheme, in.URL.Host = "", ""
	if in.Body == nil {
		in.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	to.ServeHTTP(w, in)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	answer = w.Result()
	answer.Request = r
	return answer, nil
}

// world is an agent that waits for a login, and a Netatmo to log in at.
type world struct {
	t         *testing.T
	cloud     *authtest.Server
	source    *auth.Source
	pages     *pages.Handler
	net       internet
	dir       string // of the token file
	tokenFile string
	log       *logtest.Log
}

func newWorld(t *testing.T, external string) *world {
	t.Helper()
	base, err := url.Parse(external)
	if err != nil {
		t.Fatal(err)
	}
	cloud := authtest.New(authtest.Options{ClientID: "client", ClientSecret: "the-client-secret", RedirectURIs: []string{external + "/auth/callback"}})
	return newWorldOf(t, base, cloud, filepath.Join(t.TempDir(), "state"))
}

// restart returns the world with a new agent, which reads the token file.
func (w *world) restart() *world {
	base, _ := url.Parse(agentURL)
	return newWorldOf(w.t, base, w.cloud, w.dir)
}

func newWorldOf(t *testing.T, base *url.URL, cloud *authtest.Server, dir string) *world {
	t.Helper()
	w := &world{t: t, cloud: cloud, dir: dir, tokenFile: filepath.Join(dir, "token.json"), log: new(logtest.Log)}
	w.net = internet{"cloud.test": cloud}
	cfg := auth.Config{
		ClientID: "client", ClientSecret: "the-client-secret", APIURL: cloudURL, External: base,
		Scopes: []string{"read_station", "read_homecoach"}, TokenFile: w.tokenFile, HTTPClient: &http.Client{Transport: w.net}, Logger: w.log.Logger(),
	}
	var err error
	if w.source, err = auth.New(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	w.pages = pages.New(w.source, cfg)
	w.net[base.Host] = w.pages
	return w
}

// browser keeps cookies, resolves relative links and follows no redirect by
// itself. It sends no Sec-Fetch headers, as over plain http.
type browser struct {
	t      *testing.T
	client *http.Client
}

func (w *world) browser() *browser {
	jar, _ := cookiejar.New(nil)
	return &browser{w.t, &http.Client{
		Transport: w.net, Jar: jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// shown is a page in the browser.
type shown struct {
	*http.Response
	url  *url.URL
	body string
}

func (b *browser) do(r *http.Request) shown {
	b.t.Helper()
	resp, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return shown{resp, r.URL, string(body)}
}

func (b *browser) open(address string) shown {
	b.t.Helper()
	r, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.do(r)
}

var (
	formPattern  = regexp.MustCompile(`(?s)<form[^>]* action="([^"]*)".*?</form>`)
	inputPattern = regexp.MustCompile(`<input [^>]*name="([^"]*)"(?: value="([^"]*)")?`)
)

// press sends the form of p whose action ends with the given name, with more
// fields filled in.
func (b *browser) press(p shown, action string, fields url.Values) shown {
	b.t.Helper()
	for _, form := range formPattern.FindAllStringSubmatch(p.body, -1) {
		if !strings.HasSuffix(form[1], action) {
			continue
		}
		values := url.Values{}
		for _, input := range inputPattern.FindAllStringSubmatch(form[0], -1) {
			values.Add(input[1], html.UnescapeString(input[2]))
		}
		maps.Copy(values, fields)
		to, err := p.url.Parse(form[1])
		if err != nil {
			b.t.Fatal(err)
		}
		r, _ := http.NewRequest(http.MethodPost, to.String(), strings.NewReader(values.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", p.url.Scheme+"://"+p.url.Host)
		return b.do(r)
	}
	b.t.Fatalf("no form to %s on the page:\n%s", action, p.body)
	return shown{}
}

// follow goes where a redirect leads, which must be under the given address.
func (b *browser) follow(p shown, under string) shown {
	b.t.Helper()
	return b.open(b.location(p, under))
}

func (b *browser) location(p shown, under string) string {
	b.t.Helper()
	to, err := p.Location()
	if err != nil || !strings.HasPrefix(to.String(), under) {
		b.t.Fatalf("status %d, sent to %v, want under %s", p.StatusCode, to, under)
	}
	return to.String()
}

// consent goes from a page with the button to Netatmo, and returns the address
// that Netatmo sends the browser back to.
func (b *browser) consent(p shown, answer string) string {
	b.t.Helper()
	asked := b.follow(b.press(p, "auth/authorize", nil), cloudURL+"/oauth2/authorize?")
	return b.location(b.press(asked, "authorize", url.Values{"answer": {answer}}), "http")
}

func (s shown) want(t *testing.T, status int, texts ...string) {
	t.Helper()
	if s.StatusCode != status {
		t.Errorf("%s: status %d, want %d", s.url.Path, s.StatusCode, status)
	}
	text := strings.ReplaceAll(html.UnescapeString(s.body), "<wbr>", "")
	for _, want := range texts {
		if !strings.Contains(text, want) {
			t.Errorf("%s: the page does not say %q:\n%s", s.url.Path, want, visible(s.body))
		}
	}
}

func (s shown) hasForms() bool { return strings.Contains(s.body, "<form") }

// visible is the text of a page.
func visible(body string) string {
	body = regexp.MustCompile(`(?s)<style>.*?</style>`).ReplaceAllString(body, "")
	return strings.Join(strings.Fields(html.UnescapeString(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(body, " "))), " ")
}

// saved returns the refresh token on the disk.
func (w *world) saved() string {
	var file struct {
		Refresh string `json:"refresh_token"`
	}
	content, err := os.ReadFile(w.tokenFile)
	if errors.Is(err, os.ErrNotExist) {
		return ""
	}
	if err != nil || json.Unmarshal(content, &file) != nil {
		w.t.Fatalf("token file: %v %q", err, content)
	}
	return file.Refresh
}

func (w *world) loggedIn() {
	w.t.Helper()
	if current := w.cloud.Current().Refresh; current == "" || w.saved() != current {
		w.t.Error("the login is not on the disk")
	}
	if link := w.pages.LoginURL(); link != "" {
		w.t.Error("there is a link to log in although a login works")
	}
}
