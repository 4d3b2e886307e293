package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"netatmo-agent/agent/check"
	"netatmo-agent/agent/simcloud"
)

// tlsPort is a server that requires TLS. Like OpenSSL's, it says so with an
// alert.
func tlsPort(r *checkRig) string { return r.says("\x15\x03\x01\x00\x02\x02\x46") }

// tlsBackend makes a server with a certificate of an unknown authority the backend.
func tlsBackend(r *checkRig, scheme, path, name string, from, to int) {
	server := r.tlsServer(name, from, to, http.NotFoundHandler())
	_, address, _ := strings.Cut(server.URL, "://")
	r.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", scheme+"://"+address+path)
}

// brokenPaths are faults between the agent and the servers, which also affect
// "run".
var brokenPaths = []brokenSetup{
	{"hotspot redirects", func(r *checkRig) { r.answersInNetatmosPlace(302, "http://portal.example/login?mac=1") }, "", check.Fail, "netatmo",
		"a redirect to http://portal.example instead of an answer from Netatmo (HTTP 302)", "set NETATMO_API_URL to the address of Netatmo's API", 1},
	{"network requires a login", func(r *checkRig) { r.answersInNetatmosPlace(511, "") }, "", check.Fail, "netatmo",
		"the network requires a login (HTTP 511)", "a router or hotspot answers instead of Netatmo", 1},
	{"proxy requires credentials", func(r *checkRig) { r.answersInNetatmosPlace(407, "") }, "", check.Fail, "netatmo",
		"the proxy requires credentials (HTTP 407)", "http://user:password@proxy:port", 1},
	{"unknown authority", func(r *checkRig) { r.certificate("127.0.0.1", -1, 1) }, "", check.Fail, "netatmo",
		`Netatmo's certificate is signed by an unknown authority, "CN=A firewall" (tls: failed to verify certificate: x509: certificate signed by unknown authority)`, "SSL_CERT_FILE", 1},
	{"certificate not valid yet", func(r *checkRig) { r.certificate("127.0.0.1", 1, 2) }, "", check.Fail, "netatmo",
		"Netatmo's certificate is not valid yet", "set this machine's clock", 1},
	{"certificate expired", func(r *checkRig) { r.certificate("127.0.0.1", -2, -1) }, "", check.Fail, "netatmo",
		"Netatmo's certificate has expired", "check this machine's clock", 1},
	{"certificate for another name", func(r *checkRig) { r.certificate("router.example", -1, 1) }, "", check.Fail, "netatmo",
		"the certificate is not Netatmo's", "set NETATMO_API_URL", 1},
	{"no TLS at Netatmo's address", func(r *checkRig) {
		server := httptest.NewServer(http.NotFoundHandler())
		r.Cleanup(server.Close)
		r.Setenv("NETATMO_API_URL", strings.Replace(server.URL, "http", "https", 1))
	}, "", check.Fail, "netatmo", "the server does not use TLS", "set NETATMO_API_URL", 1},
	{"TLS at Netatmo's address", func(r *checkRig) { r.Setenv("NETATMO_API_URL", "http://"+tlsPort(r)) }, "", check.Fail, "netatmo",
		"the server requires TLS", "begin NETATMO_API_URL with https://", 1},
	{"TLS at Netatmo's address, which says so", func(r *checkRig) {
		r.certificate("127.0.0.1", -1, 1)
		r.Setenv("NETATMO_API_URL", strings.Replace(os.Getenv("NETATMO_API_URL"), "https", "http", 1))
	}, "", check.Fail, "netatmo", "the server does not answer as Netatmo does (HTTP 400)", "begin NETATMO_API_URL with https://", 1},
	{"nobody answers at Netatmo's address", env("NETATMO_API_URL", "http://127.0.0.1:1"), "", check.Fail, "netatmo", "no complete answer from Netatmo", "check network", 1},
}

// brokenPushes are those between the agent and the backend.
var brokenPushes = []brokenSetup{
	{"http to a TLS port, over HTTP", func(r *checkRig) { tlsBackend(r, "http", "/v1/metrics", "127.0.0.1", -1, 1) },
		"", check.Fail, "push", "no TLS connection to the backend", "the port speaks TLS: begin the endpoint with https://", 1},
	{"http to a TLS port, over gRPC", func(r *checkRig) { tlsBackend(r, "http", "", "127.0.0.1", -1, 1) },
		"", check.Fail, "push", "no TLS connection to the backend", "the port speaks TLS: begin the endpoint with https://", 1},
	{"http to a TLS port that says so on a page", func(r *checkRig) {
		r.backendAnswers(400, "Content-Type", "text/html", "<html><head><title>400 The plain HTTP request was sent to HTTPS port</title></head></html>")
	}, "", check.Fail, "push", "no TLS connection to the backend", "the port speaks TLS: begin the endpoint with https://", 1},
	{"unknown authority, over HTTP", func(r *checkRig) { tlsBackend(r, "https", "/v1/metrics", "127.0.0.1", -1, 1) },
		"", check.Fail, "push", "no TLS connection to the backend (tls: failed to verify certificate: x509: certificate signed by unknown authority)", "OTEL_EXPORTER_OTLP_CERTIFICATE", 1},
	{"unknown authority, over gRPC", func(r *checkRig) { tlsBackend(r, "https", "", "127.0.0.1", -1, 1) },
		"", check.Fail, "push", "no TLS connection to the backend (Unavailable: tls: failed to verify certificate: x509: certificate signed by unknown authority)", "OTEL_EXPORTER_OTLP_CERTIFICATE", 1},
	{"certificate for another name, over gRPC", func(r *checkRig) { tlsBackend(r, "https", "", "otel.example", -1, 1) },
		"", check.Fail, "push", "because it doesn't contain any IP SANs)", "the certificate is for another name", 1},
	{"certificate not valid yet, over HTTP", func(r *checkRig) { tlsBackend(r, "https", "/v1/metrics", "127.0.0.1", 1, 2) },
		"", check.Fail, "push", "x509: certificate has expired or is not yet valid: current time ", "this machine's clock", 1},
	{"certificate expired, over gRPC", func(r *checkRig) { tlsBackend(r, "https", "", "127.0.0.1", -2, -1) },
		"", check.Fail, "push", "x509: certificate has expired or is not yet valid: current time ", "renew the backend's certificate", 1},
}

// The agent's log explains a fault in the same words as check.
func TestRunSaysWhatCheckSays(t *testing.T) {
	for _, group := range [][]brokenSetup{brokenPaths, brokenPushes, brokenBackends} {
		for _, tc := range group {
			t.Run(tc.name, func(t *testing.T) {
				r := newCheckRig(t)
				tc.brk(r)
				code, findings := r.check(strings.Fields(tc.args)...)
				f, named := tc.find(findings)
				if !named || code != tc.code {
					t.Errorf("check ended with %d and said %+v", code, findings)
				}
				what, _, _ := strings.Cut(f.Text, " (") // a library's text in parentheses can vary
				if log, found := r.logOf(what, tc.text, f.Next); !found {
					t.Errorf("check said\n%s; %s\nrun said\n%s", f.Text, f.Next, log)
				}
			})
		}
	}
}

// What the token endpoint says about an expired access token is the same in check
// and in the agent's log, which has the link where a new login helps at once.
func TestRunSaysWhatCheckSaysAboutTheLogin(t *testing.T) {
	says := func(status int, kind, body string) func(*checkRig) {
		return func(r *checkRig) {
			cloud := r.cloud
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if req.URL.Path != "/oauth2/token" {
					cloud.ServeHTTP(w, req)
					return
				}
				w.Header().Set("Content-Type", kind)
				w.WriteHeader(status)
				fmt.Fprint(w, body)
			}))
			r.Cleanup(server.Close)
			r.Setenv("NETATMO_API_URL", server.URL)
		}
	}
	for name, tt := range map[string]struct {
		brk  func(*checkRig)
		text string
		code int
		link bool
	}{
		"500":                    {says(500, "application/json", `{"error":{"code":500,"message":"Internal Server Error"}}`), "Netatmo answered HTTP 500 Internal Server Error", 1, false},
		"403 text":               {says(403, "text/plain", "forbidden"), "Netatmo answered HTTP 403 Forbidden", 1, false},
		"503 page":               {says(503, "text/html", "<!DOCTYPE html><title>Maintenance</title>"), "Netatmo answered HTTP 503 Service Unavailable", 1, false},
		"page instead of tokens": {says(200, "text/html", "<!DOCTYPE html><title>Welcome</title>"), "Netatmo's answer was not understood", 1, false},
		"object for an error":    {says(400, "application/json", `{"error":{"code":21,"message":"Invalid"}}`), "Netatmo answered HTTP 400 Bad Request", 1, false},
		"access_denied":          {says(403, "application/json", `{"error":"access_denied"}`), `Netatmo answered "access_denied"`, 3, true},
		"invalid_request":        {says(400, "application/json", `{"error":"invalid_request"}`), `Netatmo answered "invalid_request"`, 3, true},
		"an unheard-of error":    {says(400, "application/json", `{"error":"slow_down"}`), "Netatmo answered with an unknown error", 3, true},
		"invalid_grant":          {func(r *checkRig) { r.cloud.Auth().Revoke() }, "Netatmo refuses the refresh token (invalid_grant)", 3, true},
		"invalid_client":         {env("NETATMO_CLIENT_SECRET", "another"), "Netatmo refuses the client ID or secret (invalid_client)", 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newCheckRig(t)
			r.token(-time.Hour, true)
			tt.brk(r)
			code, findings := r.check()
			want := brokenSetup{level: check.Fail, area: "login", text: tt.text}
			if _, named := want.find(findings); !named || code != tt.code {
				t.Errorf("check ended with %d and said %+v", code, findings)
			}
			line := "renewing the access token failed"
			if tt.link {
				line = "a login is needed"
			}
			if log, found := r.logOf(line, tt.text); !found {
				t.Errorf("run said\n%s", log)
			}
		})
	}
}

// A renewal of the access token meets the same faults, and explains them in the same
// words.
func TestRenewalsSayWhatCheckSays(t *testing.T) {
	for _, tc := range brokenPaths {
		t.Run(tc.name, func(t *testing.T) {
			r := newCheckRig(t)
			r.token(-time.Hour, true)
			tc.brk(r)
			_, findings := r.check()
			f, named := tc.find(findings)
			if !named {
				t.Errorf("check said %+v", findings)
			}
			what, _, _ := strings.Cut(f.Text, " (")
			if log, found := r.logOf("renewing the access token failed", what, f.Next); !found {
				t.Errorf("check said\n%s; %s\nrun said\n%s", f.Text, f.Next, log)
			}
		})
	}
}

// Otherwise, ids in NETATMO_STATIONS that match nothing would be ignored
// silently.
func TestRunSaysWhichStationsAreUnknown(t *testing.T) {
	for stations, want := range map[string]string{
		"70:ee:50:ff:ff:ff":                   "NETATMO_STATIONS contains 70:ee:50:ff:ff:ff, but no station or home has this id; the ids are ",
		"70:ee:50:00:10:01,70:ee:50:ff:ff:ff": "NETATMO_STATIONS contains 70:ee:50:ff:ff:ff, but no station or home has this id; the ids are ",
		"70:ee:50:00:10:01,Nursery":           "NETATMO_STATIONS contains nursery, but no station or home has this id; these are ids, not names: use 70:ee:50:00:20:01 (Nursery)",
		"70:ee:50:00:20:01,Living room":       "NETATMO_STATIONS contains livingroom, but no station or home has this id; these are ids, not names: use 70:ee:50:00:10:01 (Home (Living room))",
		"70:ee:50:00:20:01,!Attic":            "NETATMO_STATIONS contains !attic (which has no effect), but no station or home has this id; these are ids, not names: the ids are ",
	} {
		t.Run(stations, func(t *testing.T) {
			r := newCheckRig(t)
			r.Setenv("NETATMO_STATIONS", stations)
			if log, found := r.logOf(want); !found {
				t.Errorf("run said\n%s", log)
			}
			if _, findings := r.check(); !strings.Contains(fmt.Sprint(findings), strings.Split(want, ";")[0]) {
				t.Errorf("check said %+v", findings)
			}
		})
	}
}

// Devices in homes have no time of last contact and no station, so check mentions
// neither.
func TestCheckOfADeviceInAHomeThatIsAway(t *testing.T) {
	r := newCheckRig(t)
	r.heated(simcloud.TypeValve, simcloud.Unreachable)
	_, findings := r.check()
	for _, f := range findings {
		if f.Area == "module" && (strings.Contains(f.Text, "never") || strings.Contains(f.Text+f.Next, "remove") || strings.Contains(f.Next, "the distance")) {
			t.Errorf("%+v", f)
		}
	}
}
