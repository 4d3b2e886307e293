package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
)

// checkBrowsing checks everything that the tabs of a scene sent, received,
// showed and reported, and everything that the agent printed.
func (s *scene) checkBrowsing() {
	codes := s.codes()
	for _, tab := range s.tabs {
		tab.mu.Lock()
		for _, complaint := range tab.complaints {
			if !strings.Contains(complaint, statusComplaint) {
				s.t.Errorf("the browser reports: %s", complaint)
			}
		}
		for _, r := range tab.responses {
			s.checkHeaders(r)
		}
		for _, r := range tab.requests {
			s.checkRequest(r)
		}
		tab.mu.Unlock()
		for _, p := range tab.shown {
			if s.ours(p.URL) {
				s.checkSecrets("the page at "+p.URL.Path, p.Source, codes)
			}
		}
	}
	s.checkPrinted(codes)
}

// statusComplaint is in the console for each page with a status of 400 or more.
const statusComplaint = "the server responded with a status of"

// ours reports whether an address is one of the agent's pages.
func (s *scene) ours(u *url.URL) bool { return slices.Contains(s.hosts, u.Host) }

// pageHeaders are sent with each of the agent's answers, including errors and
// redirects.
var pageHeaders = map[string]string{
	"cache-control":          "no-store",
	"x-content-type-options": "nosniff",
	"referrer-policy":        "same-origin",
}

var policyParts = []string{"default-src 'none'", "style-src 'sha256-", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self' http"}

func (s *scene) checkHeaders(r *network.Response) {
	at, err := url.Parse(r.URL)
	if err != nil || !s.ours(at) {
		return
	}
	headers := map[string]string{}
	for name, value := range r.Headers {
		headers[strings.ToLower(name)] = fmt.Sprint(value)
	}
	for name, want := range pageHeaders {
		if headers[name] != want {
			s.t.Errorf("%s answers with %s %q, want %q", at.Path, name, headers[name], want)
		}
	}
	policy := headers["content-security-policy"]
	for _, part := range policyParts {
		if !strings.Contains(policy, part) {
			s.t.Errorf("the policy of %s lacks %q: %s", at.Path, part, policy)
		}
	}
	if strings.Contains(policy, "script") || strings.Contains(policy, "unsafe") {
		s.t.Errorf("the policy of %s allows scripts: %s", at.Path, policy)
	}
	if server := headers["server"]; server != "" {
		s.t.Errorf("%s names its server: %s", at.Path, server)
	}
}

// checkRequest checks that no address contains a secret, and that only the
// agent's own pages learn the address that the browser comes from.
func (s *scene) checkRequest(r *network.Request) {
	at, err := url.Parse(r.URL)
	if err != nil || strings.HasPrefix(r.URL, "data:") {
		return
	}
	s.checkSecrets("the address "+at.Path, r.URL, nil)
	if s.ours(at) {
		if strings.Contains(at.Path, "favicon") {
			s.t.Errorf("the page has no icon, so the browser asks for %s", at.Path)
		}
		return
	}
	address := r.URL
	for name, value := range r.Headers {
		if strings.EqualFold(name, "Referer") {
			address += " " + fmt.Sprint(value)
		}
	}
	for _, key := range s.keys {
		if strings.Contains(address, key) {
			s.t.Errorf("%s learns the key of the link", at.Host)
		}
	}
}

// codes are the codes of all callbacks that the browser requested.
func (s *scene) codes() (codes []string) {
	for _, tab := range s.tabs {
		tab.mu.Lock()
		for _, r := range tab.requests {
			if m := codeInURL.FindStringSubmatch(r.URL); m != nil {
				codes = append(codes, m[1])
			}
		}
		tab.mu.Unlock()
	}
	return codes
}

// checkPrinted checks that the agent printed no secret, and the link's key only
// in the line that asks for a login.
func (s *scene) checkPrinted(codes []string) {
	if s.Process == nil {
		return
	}
	s.checkSecrets("what the agent printed", s.Log()+s.Output(), codes)
	for line := range strings.Lines(s.Log() + s.Output()) {
		for _, key := range s.keys {
			if strings.Contains(line, key) && !strings.Contains(line, "a login is needed") {
				s.t.Errorf("the key of the link is elsewhere in the log: %s", line)
			}
		}
	}
}

// checkSecrets searches for the app's secret, those of the push, every token that
// was ever issued, in any encoding, and for more.
func (s *scene) checkSecrets(what, text string, more []string) {
	secrets := append(s.Env.Secrets(), append(more, ClientSecret)...)
	for _, pair := range s.cloud.Auth().Stats().Issued {
		for _, token := range []string{pair.Access, pair.Refresh} {
			_, random, _ := strings.Cut(token, "|")
			secrets = append(secrets, random)
		}
	}
	for _, secret := range secrets {
		if strings.Contains(text, secret) {
			s.t.Errorf("a secret (%d characters long) is in %s", len(secret), what)
		}
	}
}

// savedLogin is the content of a token file.
type savedLogin struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}

// readLogin reads the token file in a state directory, if there is one.
func readLogin(t *testing.T, dir fs.FS) (l savedLogin) {
	t.Helper()
	b, err := fs.ReadFile(dir, "token.json")
	if errors.Is(err, fs.ErrNotExist) {
		return savedLogin{}
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &l); err != nil {
		t.Errorf("the token file: %v", err)
	}
	return l
}
