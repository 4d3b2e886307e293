package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"netatmo-agent/agent/check"
	"netatmo-agent/agent/heartbeat"
	"netatmo-agent/agent/otlp"
	"netatmo-agent/agent/simcloud"
	"netatmo-agent/auth/authtest"
	"netatmo-agent/store"
)

const (
	checkID     = "5f0c1d2e3a4b5c6d7e8f9a0b"
	checkSecret = "s3cr3tOfTheApp"
	checkLogin  = "Basic dXNlcjpvcGVuLXNlc2FtZQ==" // user:open-sesame
)

// checkRig is a working setup, until a test breaks it: an app, an account of
// mains-powered devices, a login, and a backend.
type checkRig struct {
	*testing.T
	cloud    *simcloud.Cloud
	skew     time.Duration // of the cloud's clock
	pair     authtest.Pair
	dir      string       // of the token file
	requests atomic.Int64 // to the cloud
	observe  func(*http.Request)

	mu     sync.Mutex
	points []otlp.Point
}

func mains() *simcloud.Scenario {
	return &simcloud.Scenario{Homes: []simcloud.Home{{
		ID: "5f1e2d3c4b5a69788796a5b4", Name: "Home", Place: simcloud.Place{Zone: "UTC"},
		Stations: []simcloud.Station{{Device: simcloud.Device{ID: "70:ee:50:00:10:01", Name: "Living room", Type: simcloud.TypeStation}}},
		Coaches:  []simcloud.Device{{ID: "70:ee:50:00:20:01", Name: "Nursery", Type: simcloud.TypeHomeCoach}},
	}}}
}

func newCheckRig(t *testing.T) *checkRig {
	t.Helper()
	r := &checkRig{T: t, dir: filepath.Join(t.TempDir(), "state")}
	if err := os.Mkdir(r.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	receiver, err := otlp.Listen("127.0.0.1:0", func(p otlp.Point) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.points = append(r.points, p)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(receiver.Close)
	for name, value := range map[string]string{
		"NETATMO_CLIENT_ID":           checkID,
		"NETATMO_CLIENT_SECRET":       checkSecret,
		"NETATMO_TOKEN_FILE":          filepath.Join(r.dir, "token.json"),
		"NETATMO_LISTEN_ADDR":         "off",
		"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + receiver.Addr(),
		"TMPDIR":                      t.TempDir(), // for the heartbeat
		"RUNTIME_DIRECTORY":           "",
	} {
		t.Setenv(name, value)
	}
	r.account(mains(), nil)
	return r
}

// account recreates the account, and logs in.
func (r *checkRig) account(s *simcloud.Scenario, scopes []string) {
	r.cloud = simcloud.New(simcloud.Options{
		ClientID: checkID, ClientSecret: checkSecret, Scenario: s, GrantScopes: scopes,
		Now: func() time.Time { return time.Now().Add(r.skew) },
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.requests.Add(1)
		if r.observe != nil {
			r.observe(req)
		}
		r.cloud.ServeHTTP(w, req)
	}))
	r.Cleanup(server.Close)
	r.Setenv("NETATMO_API_URL", server.URL)
	r.pair = r.cloud.Auth().Grant("read_station", "read_homecoach", "read_thermostat", "read_smarther")
	r.token(2*time.Hour, true)
}

// quirky gives the account a module with a quirk.
func (r *checkRig) quirky(q simcloud.Quirk) {
	s := mains()
	s.Homes[0].Stations[0].Modules = []simcloud.Device{{ID: "02:00:00:00:10:02", Name: "Garden", Type: simcloud.TypeOutdoor, Quirks: q}}
	r.account(s, nil)
}

// heated gives the account a relay and a device on it, and asks for them.
func (r *checkRig) heated(typ string, q simcloud.Quirk) {
	s := mains()
	s.Homes[0].Gateways = []simcloud.Station{{
		Device:  simcloud.Device{ID: "70:ee:50:00:30:09", Name: "Relay", Type: simcloud.TypeRelay},
		Modules: []simcloud.Device{{ID: "04:00:00:00:30:01", Name: "Heater", Type: typ, Quirks: q}},
	}}
	r.account(s, nil)
	r.Setenv("NETATMO_DEVICES", "energy")
}

// token writes the token file.
func (r *checkRig) token(left time.Duration, refresh bool) {
	t := map[string]any{"access_token": r.pair.Access, "expiry": time.Now().Add(left).Format(time.RFC3339), "expires_in": 10800}
	if refresh {
		t["refresh_token"] = r.pair.Refresh
	}
	content, _ := json.Marshal(t)
	r.write("token.json", string(content))
}

// write writes a file into the directory of the token file.
func (r *checkRig) write(name, content string) {
	r.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(content), 0o600); err != nil {
		r.Fatal(err)
	}
}

// before runs act while the cloud's clock is d behind.
func (r *checkRig) before(d time.Duration, act func()) {
	r.skew = -d
	act()
	r.skew = 0
}

// backend makes h the backend, over HTTP.
func (r *checkRig) backend(h http.HandlerFunc) (url string) {
	server := httptest.NewServer(h)
	r.Cleanup(server.Close)
	r.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL+"/v1/metrics")
	return server.URL
}

func (r *checkRig) backendAnswers(status int, header, value, body string) {
	r.backend(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(header, value)
		w.WriteHeader(status)
		w.Write([]byte(body))
	})
}

// runs simulates a running agent with the heartbeat h.
func (r *checkRig) runs(h heartbeat.Heartbeat) {
	r.Helper()
	lock, err := store.TryLock(filepath.Join(r.dir, lockFile))
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { _ = lock.Unlock() })
	h.PID = os.Getpid()
	if err := h.Write(os.Getenv("NETATMO_TOKEN_FILE")); err != nil {
		r.Fatal(err)
	}
}

func alive(polled, pushed time.Duration) heartbeat.Heartbeat {
	now := time.Now()
	return heartbeat.Heartbeat{Started: now.Add(-6 * time.Hour), Written: now, Polled: now.Add(-polled), Pushed: now.Add(-pushed)}
}

// run runs a command as a user types it. No output may contain a secret.
func (r *checkRig) run(args ...string) (code int, stdout, stderr string) {
	r.Helper()
	var out, errOut bytes.Buffer
	code = execute(r.Context(), args, strings.NewReader(""), &out, &errOut)
	secrets := []string{checkSecret, "dXNlcjpvcGVuLXNlc2FtZQ==", "open-sesame"}
	for _, issued := range r.cloud.Auth().Stats().Issued {
		secrets = append(secrets, issued.Access, issued.Refresh)
	}
	for _, secret := range secrets {
		if strings.Contains(out.String()+errOut.String(), secret) {
			r.Errorf("a secret is in the output of %v", args)
		}
	}
	return code, out.String(), errOut.String()
}

// check runs check --json.
func (r *checkRig) check(args ...string) (code int, findings []check.Finding) {
	r.Helper()
	code, stdout, stderr := r.run(append([]string{"check", "--json"}, args...)...)
	if err := json.Unmarshal([]byte(stdout), &findings); err != nil {
		r.Fatalf("check --json printed %q (and %q): %v", stdout, stderr, err)
	}
	return code, findings
}

func (r *checkRig) refreshes() int { return r.cloud.Auth().Stats().Refreshes() }

// takePort makes another program listen on the port of the login pages.
func (r *checkRig) takePort() {
	r.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { l.Close() })
	r.Setenv("NETATMO_LISTEN_ADDR", l.Addr().String())
}

// certificate serves Netatmo with a certificate, see tlsServer.
func (r *checkRig) certificate(name string, fromYear, toYear int) {
	r.Helper()
	r.Setenv("NETATMO_API_URL", r.tlsServer(name, fromYear, toYear, r.cloud).URL)
}

// tlsServer has a certificate of an unknown authority that is for the name and valid
// between two years from now.
func (r *checkRig) tlsServer(name string, fromYear, toYear int, h http.Handler) *httptest.Server {
	r.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		r.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().AddDate(fromYear, 0, 0), NotAfter: time.Now().AddDate(toYear, 0, 0),
		Issuer: pkix.Name{CommonName: "A firewall"}, Subject: pkix.Name{CommonName: "A firewall"},
	}
	if ip := net.ParseIP(name); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{name}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		r.Fatal(err)
	}
	server := httptest.NewUnstartedServer(h)
	server.EnableHTTP2 = true // for gRPC
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	r.Cleanup(server.Close)
	return server
}

// answersInNetatmosPlace makes something else answer at Netatmo's address.
func (r *checkRig) answersInNetatmosPlace(status int, location string) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if location != "" {
			w.Header().Set("Location", location)
		}
		w.WriteHeader(status)
	}))
	r.Cleanup(server.Close)
	r.Setenv("NETATMO_API_URL", server.URL)
}

// says listens on a port and sends the text to every client.
func (r *checkRig) says(text string) (addr string) {
	r.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = conn.Read(make([]byte, 4096))
				_, _ = io.WriteString(conn, text)
			}()
		}
	}()
	return l.Addr().String()
}

// undated replaces the current time, which errors about certificates contain.
func undated(text string) string { return instants.ReplaceAllString(text, "…") }

var instants = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)

// logOf runs the agent until a line of its log contains every text, or for 20 s.
func (r *checkRig) logOf(texts ...string) (log string, found bool) {
	r.Helper()
	r.Setenv("NETATMO_LOG_FORMAT", "json")
	ctx, stop := context.WithCancel(r.Context())
	reader, writer := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		execute(ctx, []string{"run"}, strings.NewReader(""), io.Discard, writer)
		writer.Close()
	}()
	overdue := time.AfterFunc(20*time.Second, stop)
	defer overdue.Stop()
	var said strings.Builder
	for lines := bufio.NewScanner(reader); lines.Scan(); {
		var line map[string]any
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			r.Errorf("the log has the line %s", lines.Bytes())
		}
		text := fmt.Sprint(line["msg"], " ", line["error"], " ", line["reason"])
		said.WriteString(text + "\n")
		all := true
		for _, want := range texts {
			all = all && strings.Contains(undated(text), undated(want))
		}
		if all {
			found = true
			stop()
		}
	}
	stop()
	<-ended
	return said.String(), found
}
