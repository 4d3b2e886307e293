package e2e

import (
	"encoding/json"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"netatmo-agent/agent/simcloud"
)

// The app that is registered in the simulated cloud. The tests search for the
// secret in places where it must not be.
const (
	ClientID     = "5f00000000000000000000aa"
	ClientSecret = "TheSecretOfTheApp"
)

// Cloud is a simulated Netatmo cloud that listens on loopback.
type Cloud struct {
	*simcloud.Cloud
	URL string

	mu     sync.Mutex
	served map[string][]byte
}

// NewCloud starts a cloud with ClientID's app, and without a quota unless o
// says otherwise.
func NewCloud(t testing.TB, o simcloud.Options) *Cloud {
	t.Helper()
	o.ClientID, o.ClientSecret = ClientID, ClientSecret
	if o.QuotaPer10s == 0 {
		o.QuotaPer10s = -1
	}
	if o.QuotaPerHour == 0 {
		o.QuotaPerHour = -1
	}
	c := &Cloud{Cloud: simcloud.New(o), served: map[string][]byte{}}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	c.URL = server.URL
	return c
}

// ServeHTTP serves like the embedded cloud and records what it served.
func (c *Cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rec := &recorder{ResponseWriter: w, status: http.StatusOK}
	c.Cloud.ServeHTTP(rec, r)
	endpoint, isAPI := strings.CutPrefix(r.URL.Path, "/api/")
	if !isAPI || rec.status != http.StatusOK {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.served[endpoint] = rec.body
}

// Served returns the body of the latest successful answer of an endpoint, such
// as getstationsdata.
func (c *Cloud) Served(endpoint string) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.served[endpoint]
}

type recorder struct {
	http.ResponseWriter
	status int
	body   []byte
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if len(r.body) < 1<<20 {
		r.body = append(r.body, b...)
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// Env returns the settings for an agent that uses the cloud.
func (c *Cloud) Env() Env {
	return Env{"NETATMO_API_URL": c.URL, "NETATMO_CLIENT_ID": ClientID, "NETATMO_CLIENT_SECRET": ClientSecret}
}

// LogIn gives the agent a token file like the one that a login writes.
func (c *Cloud) LogIn(a *Agent, scopes ...string) {
	a.t.Helper()
	pair := c.Auth().Grant(scopes...)
	a.WriteToken(map[string]any{
		"access_token": pair.Access, "refresh_token": pair.Refresh, "expiry": pair.Expiry.Format(time.RFC3339),
	})
}

// WriteToken writes the agent's token file.
func (a *Agent) WriteToken(token map[string]any) {
	a.t.Helper()
	b, err := json.Marshal(token)
	if err != nil {
		a.t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(a.TokenFile()), 0o700); err != nil {
		a.t.Fatal(err)
	}
	if err := os.WriteFile(a.TokenFile(), b, 0o600); err != nil {
		a.t.Fatal(err)
	}
}

var loginLink = regexp.MustCompile(`https?://\S+/\?key=[\w-]+`)

// LoginLink waits until the agent logs a login link, and returns the latest.
func (a *Agent) LoginLink() *url.URL {
	a.t.Helper()
	a.Eventually("logs a link to log in", func() bool { return loginLink.MatchString(a.Log()) })
	links := loginLink.FindAllString(a.Log(), -1)
	link, err := url.Parse(links[len(links)-1])
	if err != nil {
		a.t.Fatal(err)
	}
	return link
}

// Authorise does with plain HTTP what a user does with the link that the agent
// logs: press the button, consent, return.
func (a *Agent) Authorise() {
	a.t.Helper()
	link := a.LoginLink()
	jar, err := cookiejar.New(nil)
	if err != nil {
		a.t.Fatal(err)
	}
	browser := &http.Client{Jar: jar, Timeout: patience}
	press := func(action *url.URL, form url.Values) *url.URL {
		resp, err := browser.PostForm(action.String(), form)
		if err != nil {
			a.t.Fatalf("log in: %v", err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			a.t.Fatalf("log in: %s answers %s", resp.Request.URL.Path, resp.Status)
		}
		return resp.Request.URL
	}
	button := link.JoinPath("auth/authorize")
	button.RawQuery = ""
	consent := press(button, link.Query())
	answer := consent.Query()
	answer.Set("answer", "accept")
	press(consent, answer)
}
