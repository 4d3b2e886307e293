package auth

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"netatmo-agent/agent/logtest"
)

// ticket makes a refresh against its own server, over the real network stack
// and with the product's client.
func ticket(t *testing.T, handler http.HandlerFunc) (s *Source, requests *atomic.Int64, logs *logtest.Log) {
	t.Helper()
	requests, logs = new(atomic.Int64), &logtest.Log{}
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		handler(w, r)
	}))
	t.Cleanup(far.Close)
	s, err := New(t.Context(), Config{
		External: new(url.URL),
		ClientID: rigID, ClientSecret: rigSecret, APIURL: far.URL, TokenFile: filepath.Join(memoryDir(t), "token.json"),
		Logger: logs.Logger(), UserAgent: "netatmo-agent/test",
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.file.Save(document{Access: "5a|old", Refresh: "5a|secret", Expiry: time.Now().Add(-time.Hour)}); err != nil {
		t.Fatal(err)
	}
	s.reload()
	return s, requests, logs
}

func TestARefreshIsOneRequestAsNetatmoWantsIt(t *testing.T) {
	s, requests, _ := ticket(t, func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		for field, want := range map[string]string{
			"grant_type": "refresh_token", "refresh_token": "5a|secret", "client_id": rigID, "client_secret": rigSecret,
		} {
			if got := r.PostForm.Get(field); got != want {
				t.Errorf("%s is %q", field, got)
			}
		}
		if r.Header.Get("Authorization") != "" || r.URL.RawQuery != "" {
			t.Error("credentials are not in the body alone")
		}
		if r.URL.Path != "/oauth2/token" || r.Header.Get("User-Agent") != "netatmo-agent/test" {
			t.Errorf("%s by %q", r.URL, r.Header.Get("User-Agent"))
		}
		fmt.Fprint(w, `{"access_token":"5a|new","refresh_token":"5a|next","scope":["read_station"],"expires_in":10800,"expire_in":10800}`)
	})
	if access, err := s.Token(t.Context()); err != nil || access != "5a|new" || requests.Load() != 1 {
		t.Errorf("%q, %v after %d requests", access, err, requests.Load())
	}
}

// Whatever the server does, the refresh token is sent once, and neither the
// error nor the log contains anything of the answer.
func TestOneRequestWhateverComesBack(t *testing.T) {
	raw := func(answer string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			_, _ = io.WriteString(conn, answer)
			if tcp, ok := conn.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0) // the client sees a reset
			}
			conn.Close()
		}
	}
	status := func(code int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code); _, _ = io.WriteString(w, body) }
	}
	for _, row := range []struct {
		name    string
		handler http.HandlerFunc
		reason  string
		lost    bool
	}{
		{"redirect that would repeat the form", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}, "http 307", false},
		{"reset", raw(""), "network", true},
		{"cut off in the header", raw("HTTP/1.1 200 OK\r\nContent-Le"), "network", true},
		{"cut off in the body", raw("HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{\"access_token\":\"5a|new\""), "network", true},
		{"not HTTP", raw("5a|secret ESMTP\r\n"), "network", true},
		{"page of HTML, 200", status(200, "<html>5a|secret</html>"), "malformed", true},
		{"empty, 200", status(200, ""), "malformed", true},
		{"no token, 200", status(200, `{"scope":["read_station"]}`), "malformed", true},
		{"error, 200", status(200, `{"error":"invalid_request"}`), "invalid_request", false},
		{"500", status(500, "<html>"), "http 500", true}, // a gateway gave up, but Netatmo may have handled the request
		{"502", status(502, "<html>"), "http 502", true},
		{"504", status(504, "<html>"), "http 504", true},
		{"503", status(503, "<html>"), "http 503", false},
		{"429", status(429, "<html>"), "http 429", false},
		{"error object", status(403, `{"error":{"code":26,"message":"5a|secret"}}`), "http 403", false},
		{"unknown error", status(400, `{"error":"5a|secret"}`), "other error", false},
		{"described error", status(400, `{"error":"invalid_request","error_description":"5a|secret"}`), "invalid_request", false},
		{"endless", func(w http.ResponseWriter, _ *http.Request) {
			for range 4 << 10 {
				if _, err := w.Write(make([]byte, 1<<10)); err != nil {
					return
				}
			}
		}, "malformed", true},
	} {
		t.Run(row.name, func(t *testing.T) {
			s, requests, logs := ticket(t, row.handler)
			_, err := s.Token(t.Context())
			fault, ok := errors.AsType[*TokenError](err)
			if !ok || fault.Reason != row.reason || fault.Lost != row.lost {
				t.Errorf("error %#v", err)
			}
			if requests.Load() != 1 {
				t.Errorf("%d requests", requests.Load())
			}
			for _, secret := range []string{"5a|secret", "5a%7Csecret", "5a|new", rigSecret} {
				if strings.Contains(fmt.Sprint(err), secret) || strings.Contains(logs.String(), secret) {
					t.Errorf("%q leaks", secret)
				}
			}
		})
	}
}

// net/http repeats a request only if it can read the body again.
func TestTheBodyOfATokenRequestCannotBeSentAgain(t *testing.T) {
	sent := 0
	client := newTokenClient(Config{HTTPClient: &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
		if sent++; r.GetBody != nil {
			t.Error("it can")
		}
		return nil, io.EOF
	})}})
	if _, err := client.Post(rigAPI, "text/plain", strings.NewReader("a form")); err == nil || sent != 1 {
		t.Errorf("sent %d times, error %v", sent, err)
	}
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestANetworkThatIsDownLosesNoAnswer(t *testing.T) {
	s, _, _ := ticket(t, nil)
	s.oauth.Endpoint.TokenURL = "http://127.0.0.1:1/oauth2/token"
	_, err := s.Token(t.Context())
	if fault, ok := errors.AsType[*TokenError](err); !ok || fault.Reason != "network" || fault.Lost {
		t.Errorf("error %#v", err)
	}
}

// A connection attempt times out long before the wait for an answer does.
func TestAConnectionTimesOutBeforeAnAnswerDoes(t *testing.T) {
	fault := tokenError(os.ErrDeadlineExceeded, false, nil)
	if fault.Reason != "timeout" || fault.Lost || strings.Contains(fault.Error(), askTimeout.String()) {
		t.Errorf("%#v", fault)
	}
}

// The pair arrived complete, so a connection that breaks afterwards must not
// lose it.
func TestAnAnswerThatBreaksOffAfterThePair(t *testing.T) {
	const pair = `{"access_token":"5a|new","refresh_token":"5a|next","expires_in":3600}`
	for name, header := range map[string]string{
		"longer than it is": "Content-Length: 200",
		"chunks, no end":    "Transfer-Encoding: chunked",
	} {
		t.Run(name, func(t *testing.T) {
			s, _, _ := ticket(t, func(w http.ResponseWriter, _ *http.Request) {
				conn, out, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				body := pair
				if strings.HasSuffix(header, "chunked") {
					body = fmt.Sprintf("%x\r\n%s\r\n", len(pair), pair)
				}
				fmt.Fprintf(out, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n%s\r\n\r\n%s", header, body)
				_ = out.Flush()
			})
			if access, err := s.Token(t.Context()); err != nil || access != "5a|new" {
				t.Fatalf("%q, %v", access, err)
			}
			if d, err := s.file.Load(); err != nil || d.Refresh != "5a|next" {
				t.Errorf("not saved: %v", err)
			}
		})
	}
}

// Odd details of an answer must not lose the pair in it.
func TestAnswersThatAreGoodEnough(t *testing.T) {
	for name, row := range map[string]struct {
		body, contentType string
		life              time.Duration
	}{
		"plain text":             {body: `{"access_token":"5a|new","refresh_token":"5a|next","expires_in":3600}`, contentType: "text/plain", life: time.Hour},
		"life as a float":        {body: `{"access_token":"5a|new","refresh_token":"5a|next","expires_in":3600.0}`, life: time.Hour},
		"life as a string":       {body: `{"access_token":"5a|new","refresh_token":"5a|next","expires_in":"3600"}`, life: time.Hour},
		"life under one name":    {body: `{"access_token":"5a|new","refresh_token":"5a|next","expire_in":3600}`, life: time.Hour},
		"life missing":           {body: `{"access_token":"5a|new","refresh_token":"5a|next"}`, life: 3 * time.Hour},
		"life nonsense":          {body: `{"access_token":"5a|new","refresh_token":"5a|next","expires_in":-1}`, life: 3 * time.Hour},
		"byte order mark":        {body: "\uFEFF" + `{"access_token":"5a|new","refresh_token":"5a|next","expires_in":3600}`, life: time.Hour},
		"more after it":          {body: `{"access_token":"5a|new","refresh_token":"5a|next","expires_in":3600}<!-- served in 3 ms -->`, life: time.Hour},
		"an end that is missing": {body: `{"access_token":"5a|new","refresh_token":"5a\u007cnext","expires_in":3600,"scope":["read_st`, life: time.Hour},
		"a life that breaks off": {body: `{"access_token":"5a|new","refresh_token":"5a|next","expires_in":36`, life: 3 * time.Hour},
		"endless after the pair": {body: `{"access_token":"5a|new","refresh_token":"5a|next","expires_in":3600,"pad":"` + strings.Repeat("x", 3<<20) + `"}`, life: time.Hour},
		"odd types beside them":  {body: `{"access_token":"5a|new","refresh_token":"5a|next","token_type":7,"error":null,"expires_in":3600}`, life: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			s, _, _ := ticket(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", row.contentType)
				fmt.Fprint(w, row.body)
			})
			if access, err := s.Token(t.Context()); err != nil || access != "5a|new" {
				t.Fatalf("%q, %v", access, err)
			}
			d, err := s.file.Load()
			if err != nil || d.Refresh != "5a|next" || d.Life != row.life {
				t.Errorf("saved: life %v, %v", d.Life, err)
			}
		})
	}
}

// The server may just be closing a reused connection, and HTTP/2 sends a
// refused request again: either could spend a refresh token twice.
func TestEveryTokenRequestHasAConnectionOfItsOwnOverHTTP1(t *testing.T) {
	connections := map[string]bool{}
	far := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 1 {
			t.Errorf("asked over %s", r.Proto)
		}
		connections[r.RemoteAddr] = true
		fmt.Fprint(w, `{"access_token":"5a|new","refresh_token":"5a|next","expires_in":10800}`)
	}))
	far.EnableHTTP2 = true
	far.StartTLS()
	defer far.Close()
	client := newTokenClient(Config{})
	once, _ := client.Transport.(*onceTransport)
	own, _ := once.base.(*http.Transport)
	trusted, _ := far.Client().Transport.(*http.Transport)
	own.TLSClientConfig = trusted.TLSClientConfig.Clone()
	for range 3 {
		answer, err := client.Post(far.URL, "text/plain", strings.NewReader("a form"))
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
	}
	if len(connections) != 3 {
		t.Errorf("%d connections for 3 requests", len(connections))
	}
}

// The old refresh token stops working as soon as a new one exists, whatever
// else is wrong with the answer.
func TestANewRefreshTokenBesideAnUnusableAccessTokenIsSavedAndUsed(t *testing.T) {
	for name, access := range map[string]string{"missing": "", "empty": `"access_token":"",`, "null": `"access_token":null,`, "line break": `"access_token":"5a|n\new",`, "number": `"access_token":7,`} {
		t.Run(name, func(t *testing.T) {
			var asked []string
			s, _, _ := ticket(t, func(w http.ResponseWriter, r *http.Request) {
				_ = r.ParseForm()
				asked = append(asked, r.PostForm.Get("refresh_token"))
				if len(asked) == 1 {
					fmt.Fprintf(w, `{%s"refresh_token":"5a|next","expires_in":10800}`, access)
					return
				}
				fmt.Fprint(w, `{"access_token":"5a|new","refresh_token":"5a|last","expires_in":10800}`)
			})
			if _, err := s.Token(t.Context()); err == nil {
				t.Error("an unusable token was returned")
			}
			if d, err := s.file.Load(); err != nil || d.Refresh != "5a|next" || d.Access != "" {
				t.Errorf("on the disk: %q, %v", d.Refresh, err)
			}
			s.locked(func(time.Time) { s.schedule.next, s.schedule.last = time.Time{}, time.Time{} })
			if access, err := s.Token(t.Context()); err != nil || access != "5a|new" || len(asked) != 2 || asked[1] != "5a|next" {
				t.Errorf("%q, %v, asked with %q", access, err, asked)
			}
		})
	}
}
