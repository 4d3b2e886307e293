package netatmo_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"netatmo-agent/agent/netatmo"
)

// Polls, and check, which requests the time, explain a fault on the way to
// Netatmo in the same words.
func TestFaultsOnTheWayAreExplained(t *testing.T) {
	refusing := func(status int) *url.URL {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		t.Cleanup(server.Close)
		u, _ := url.Parse(server.URL)
		u.User = url.UserPassword("ada", "open-sesame")
		return u
	}
	through := func(proxy *url.URL) http.RoundTripper { return &http.Transport{Proxy: http.ProxyURL(proxy)} }
	closed := &url.URL{Scheme: "http", Host: "127.0.0.1:1", User: url.UserPassword("ada", "open-sesame")}
	needy, strict := refusing(407), refusing(403)
	redirect := transport(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 302, Header: http.Header{"Location": {"http://portal.example/login?session=open-sesame"}}, Body: io.NopCloser(strings.NewReader(""))}, nil
	})
	for _, tc := range []struct {
		name   string
		http   http.RoundTripper
		what   string
		remedy string
	}{
		{"proxy away", through(closed), "the proxy http://127.0.0.1:1 cannot be reached (proxyconnect tcp: ", "check HTTPS_PROXY"},
		{"proxy wants credentials", through(needy), "the proxy http://" + needy.Host + " requires credentials", "http://user:password@proxy:port"},
		{"proxy refuses", through(strict), "no answer from Netatmo through the proxy http://" + strict.Host + " (Forbidden)", "allows connections to api.netatmo.com"},
		{"hotspot", redirect, "a redirect to http://portal.example instead of an answer from Netatmo (HTTP 302)", "a router or hotspot answers instead of Netatmo: log in to it"},
		{"unknown name", transport(func(*http.Request) (*http.Response, error) {
			return nil, &net.DNSError{Err: "no such host", Name: "api.netatmo.com", IsNotFound: true}
		}), "the host name api.netatmo.com does not exist", "DNS server"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := netatmo.NewClient(netatmo.Options{BaseURL: netatmo.DefaultURL, Tokens: &tokens{}, Gate: netatmo.NewGate(400), HTTP: &http.Client{Transport: tc.http}})
			_, polled := c.Weather(t.Context(), false)
			_, _, _, asked := c.Time(t.Context())
			for _, err := range []error{polled, asked} {
				if err == nil || !strings.Contains(err.Error(), tc.what) || !strings.Contains(err.Error(), tc.remedy) {
					t.Errorf("%v\nwant %s … %s", err, tc.what, tc.remedy)
				}
				if err != nil && strings.Contains(err.Error(), "open-sesame") {
					t.Errorf("shows a secret: %v", err)
				}
			}
		})
	}
}

// Nobody who uses Netatmo's own address is sent to a setting that they never made.
func TestNobodyIsSentToASettingTheyNeverMade(t *testing.T) {
	answer := func(status int, body string) http.RoundTripper {
		return transport(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Header: http.Header{"Location": {"http://portal.example/"}}, Body: io.NopCloser(strings.NewReader(body))}, nil
		})
	}
	const page = "<!DOCTYPE html><title>Welcome</title>"
	for _, tc := range []struct {
		status int
		body   string
	}{
		{200, page}, {200, ""}, {200, "{"}, {302, page}, {307, ""}, {400, page}, {401, ""}, {403, page}, {404, page}, {404, "404 page not found"},
		{405, ""}, {407, ""}, {418, ""}, {429, page}, {500, page}, {502, ""}, {503, page}, {511, page},
	} {
		for _, base := range []string{netatmo.DefaultURL, "https://netatmo.example"} {
			c := netatmo.NewClient(netatmo.Options{BaseURL: base, Tokens: &tokens{}, Gate: netatmo.NewGate(400), HTTP: &http.Client{Transport: answer(tc.status, tc.body)}})
			_, err := c.Weather(t.Context(), false)
			if err == nil || base == netatmo.DefaultURL && strings.Contains(err.Error(), "NETATMO_API_URL") {
				t.Errorf("HTTP %d with %q from %s: %v", tc.status, tc.body, base, err)
			}
			if tc.status == 404 && base != netatmo.DefaultURL && !strings.Contains(err.Error(), "NETATMO_API_URL") {
				t.Errorf("HTTP %d with %q from %s: %v", tc.status, tc.body, base, err)
			}
		}
	}
}
