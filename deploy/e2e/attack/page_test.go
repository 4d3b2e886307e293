package attack

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"
)

// browser opens the login pages, for a user or for an attacker.
type browser struct {
	*http.Client
	s *scene
}

func (s *scene) browser() *browser {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	must(s, err)
	return &browser{&http.Client{Jar: jar, Timeout: patience}, s}
}

// ask sends a request with header lines, as "Name: value", and returns the
// answer and its body. A form makes it a POST.
func (b *browser) ask(target string, form url.Values, header ...string) (*http.Response, string) {
	b.s.t.Helper()
	method, body := http.MethodGet, io.Reader(nil)
	if form != nil {
		method, body = http.MethodPost, strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(b.s.t.Context(), method, target, body)
	must(b.s, err)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		if name == "Host" {
			r.Host = value
		}
		r.Header.Set(name, value)
	}
	resp, err := b.Do(r)
	must(b.s, err)
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	must(b.s, err)
	return resp, string(page)
}

// refused sends a request and checks the status of the refusal.
func (b *browser) refused(status int, what, target string, form url.Values, header ...string) {
	b.s.t.Helper()
	b.s.strikes.Add(1)
	if resp, _ := b.ask(target, form, header...); resp.StatusCode != status {
		b.s.t.Errorf("%s: status %d, want %d", what, resp.StatusCode, status)
	}
}

// waiting starts the agent without a login and returns the base of its pages
// and the key.
func (s *scene) waiting() (base, key string) {
	s.t.Helper()
	s.start()
	s.eventually("asks for a login", func() bool { return loginLink.MatchString(s.log.text()) })
	link, err := url.Parse(loginLink.FindString(s.log.text()))
	must(s, err)
	return "http://" + link.Host, link.Query().Get("key")
}

// begin presses the button and returns the address of Netatmo's consent page.
func (b *browser) begin(base, key string) *url.URL {
	b.s.t.Helper()
	resp, _ := b.ask(base+"/auth/authorize", url.Values{"key": {key}})
	if resp.StatusCode != http.StatusOK {
		b.s.t.Fatalf("the button: status %d", resp.StatusCode)
	}
	return resp.Request.URL
}

// consent consents and returns the address that Netatmo redirects the browser
// to, without opening it.
func (b *browser) consent(page *url.URL) string {
	b.s.t.Helper()
	answer := page.Query()
	answer.Set("answer", "accept")
	stay := *b.Client
	stay.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, _ := (&browser{&stay, b.s}).ask(page.String(), answer)
	back := resp.Header.Get("Location")
	if back == "" {
		b.s.t.Fatalf("consent: status %d", resp.StatusCode)
	}
	return back
}

// loggedIn logs in like a user after an attack, and returns the callback's
// address.
func (s *scene) loggedIn(base, key string) (back string) {
	s.t.Helper()
	b := s.browser()
	back = b.consent(b.begin(base, key))
	if resp, _ := b.ask(back, nil); resp.StatusCode != http.StatusOK {
		s.t.Errorf("the login: status %d", resp.StatusCode)
	}
	return back
}

// untouched checks that the agent has made no token request.
func (s *scene) untouched() {
	s.t.Helper()
	if n := len(s.cloud.Auth().Stats().Requests); n != 0 {
		s.t.Errorf("%d kinds of token requests, want none", n)
	}
}

// pageAttacks attack the login pages while a login is needed.
func pageAttacks() []attack {
	return []attack{
		{"pages", "forged", forged},
		{"pages", "replayed", replayed},
		{"pages", "fixed session", fixedSession},
		{"pages", "cross-site", crossSite},
		{"pages", "rebinding", rebinding},
		{"pages", "smuggled", smuggled},
		{"pages", "a form of 64 MiB", hugeForm},
	}
}

func forged(s *scene) {
	base, key := s.waiting()
	b := s.browser()
	foreign := s.cloud.Auth().Grant("read_station").Refresh
	for _, wrong := range []string{"", "A", strings.ToLower(key), key + "A", key[1:], strings.Repeat("A", len(key))} {
		b.refused(403, "the button", base+"/auth/authorize", url.Values{"key": {wrong}})
		b.refused(403, "a token", base+"/auth/token", url.Values{"key": {wrong}, "token": {foreign}})
		b.refused(403, "the key in the address", base+"/auth/token?key="+key, url.Values{"key": {wrong}, "token": {foreign}})
	}
	for _, state := range []string{"", "A", strings.Repeat("A", 26)} {
		b.refused(400, "a callback", base+"/auth/callback?code=aaaa&state="+state, nil)
	}
	s.untouched()
	s.loggedIn(base, key)
	s.recovers()
}

func replayed(s *scene) {
	base, key := s.waiting()
	back := s.loggedIn(base, key)
	before := fmt.Sprint(s.cloud.Auth().Stats().Requests)
	b := s.browser()
	for range 5 {
		b.refused(200, "the callback once more", back, nil) // it shows that a login exists
		b.refused(409, "the key once more", base+"/auth/authorize", url.Values{"key": {key}})
		b.refused(409, "a token with the key", base+"/auth/token", url.Values{"key": {key}, "token": {"5a1b2c3d4e5f60718293a4b5|00112233445566778899aabbccddeeff"}})
	}
	if after := fmt.Sprint(s.cloud.Auth().Stats().Requests); after != before {
		s.t.Errorf("token requests %s, want %s", after, before)
	}
	s.recovers()
}

// fixedSession brings another account's code into a login that a user has
// begun, with an overheard state and planted cookies.
func fixedSession(s *scene) {
	base, key := s.waiting()
	victim, other := s.browser(), s.browser()
	page := victim.begin(base, key)
	state := page.Query().Get("state")
	const code = "/auth/callback?code=0123456789abcdef0123456789abcdef&state="
	other.refused(400, "another browser", base+code+state, nil)
	for _, planted := range []string{"", state, strings.Repeat("A", 26)} {
		other.refused(400, "a planted cookie", base+code+state, nil, "Cookie: netatmo-agent-login-"+state[:8]+"="+planted)
	}
	victim.refused(400, "another state in the same browser", base+code+strings.Repeat("A", 26), nil)
	s.untouched()
	if resp, _ := victim.ask(victim.consent(page), nil); resp.StatusCode != http.StatusOK {
		s.t.Errorf("the user's own login: status %d", resp.StatusCode)
	}
	s.recovers()
}

func crossSite(s *scene) {
	base, key := s.waiting()
	b := s.browser()
	for _, from := range [][]string{
		{"Origin: http://evil.example.com"}, {"Origin: null"}, {"Origin: http://localhost:1"},
		{"Sec-Fetch-Site: cross-site"}, {"Sec-Fetch-Site: same-site"}, {"Origin: http://evil.example.com", "Sec-Fetch-Site: cross-site"},
	} {
		b.refused(403, "the button", base+"/auth/authorize", url.Values{"key": {key}}, from...)
		b.refused(403, "a token", base+"/auth/token", url.Values{"key": {key}, "token": {"5a1b2c3d4e5f60718293a4b5|00112233445566778899aabbccddeeff"}}, from...)
	}
	for _, method := range []string{"/auth/authorize?key=", "/auth/token?token=aaaa&key="} {
		b.refused(405, "a link", base+method+key, nil)
	}
	s.untouched()
	s.loggedIn(base, key)
	s.recovers()
}

// rebinding reaches the pages under the attacker's host name.
func rebinding(s *scene) {
	base, key := s.waiting()
	b := s.browser()
	for _, name := range []string{"Host: evil.example.com", "Host: evil.example.com:80", "X-Forwarded-Host: evil.example.com"} {
		for _, path := range []string{"/", "/?key=" + key, "/?key=AAAA", "/auth/callback", "/none"} {
			resp, page := b.ask(base+path, nil, name)
			if strings.Contains(page, "evil.example.com") && !strings.Contains(path, key) {
				s.t.Errorf("%s with %s: without the key, the page names the attacker's host", path, name)
			}
			if strings.Contains(page, "NETATMO_EXTERNAL_URL=http://evil") {
				s.t.Errorf("%s with %s: the page suggests the attacker's host", path, name)
			}
			if !strings.Contains(path, key) && strings.Contains(page, key) {
				s.t.Errorf("%s with %s: the key is on the page", path, name)
			}
			if resp.Header.Get("X-Frame-Options") != "DENY" || !strings.Contains(resp.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
				s.t.Errorf("%s: the page may be framed", path)
			}
			if location := resp.Header.Get("Location"); strings.Contains(location, "evil.example.com") {
				s.t.Errorf("%s with %s: sent on to %s", path, name, location)
			}
		}
	}
	s.untouched()
	s.loggedIn(base, key)
	s.recovers()
}

// smuggled sends requests that two servers may read in different ways.
func smuggled(s *scene) {
	base, key := s.waiting()
	address := strings.TrimPrefix(base, "http://")
	hidden := "POST /auth/token HTTP/1.1\r\nHost: " + address + "\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 200\r\n\r\nkey=" + key + "&token=5a1b2c3d4e5f60718293a4b5|00112233445566778899aabbccddeeff"
	for _, header := range []string{
		"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n",
		"Content-Length: 0\r\nContent-Length: 300\r\n\r\n",
		"Content-Length: +0\r\n\r\n", "Content-Length: 0x0\r\n\r\n", "Content-Length: 0, 0\r\n\r\n",
		"Transfer-Encoding: xchunked\r\n\r\n", "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
		"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n0;x=\n\r\n\r\n",
		"X: a\r\n b\r\nContent-Length: 0\r\n\r\n", "X\x00: a\r\n\r\n", "X: a\rContent-Length: 300\r\n\r\n", "Host: evil.example.com\r\n\r\n",
	} {
		conn, err := net.DialTimeout("tcp", address, patience)
		must(s, err)
		_ = conn.SetDeadline(time.Now().Add(patience))
		fmt.Fprintf(conn, "POST /auth/authorize HTTP/1.1\r\nHost: %s\r\nConnection: keep-alive\r\n%s%s", address, header, hidden)
		_ = conn.(*net.TCPConn).CloseWrite()
		in := bufio.NewReader(conn)
		for {
			resp, err := http.ReadResponse(in, nil)
			if err != nil {
				break
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode < 400 {
				s.t.Errorf("%q: status %d", header, resp.StatusCode)
			}
		}
		conn.Close()
		s.strikes.Add(1)
	}
	s.untouched()
	s.loggedIn(base, key)
	s.recovers()
}

// hugeForm sends an absurdly long form and address.
func hugeForm(s *scene) {
	base, key := s.waiting()
	b := s.browser()
	// Either may also be cut off while it is sent.
	form := url.Values{"key": {key}, "token": {babble(64 * mebibyte)}}
	if resp, err := b.PostForm(base+"/auth/token", form); err == nil {
		resp.Body.Close()
		if resp.StatusCode != http.StatusRequestEntityTooLarge {
			s.t.Errorf("a form: status %d, want 413", resp.StatusCode)
		}
	}
	if resp, err := b.Get(base + "/?key=" + babble(mebibyte)); err == nil {
		resp.Body.Close()
		if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			s.t.Errorf("an address: status %d, want 431", resp.StatusCode)
		}
	}
	s.untouched()
	s.loggedIn(base, key)
	s.recovers()
}
