package e2e

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// Gateway replaces Grafana Cloud's: https with a certificate of its own CA,
// Basic credentials, OTLP over HTTP below /otlp. It forwards everything to a
// backend, and can be turned off.
type Gateway struct {
	URL    string // its OTLP endpoint, https://…/otlp
	CAFile string // the CA to trust

	user, password string
	backend        http.Handler
	down           atomic.Bool
	refused        atomic.Int64
}

// NewGateway starts a gateway in front of an OTLP endpoint (without
// /v1/metrics).
func NewGateway(t testing.TB, user, password, endpoint string) *Gateway {
	t.Helper()
	target, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	g := &Gateway{user: user, password: password}
	g.backend = http.StripPrefix("/otlp", &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) },
	})
	server := httptest.NewTLSServer(g)
	t.Cleanup(server.Close)
	g.URL = server.URL + "/otlp"
	g.CAFile = filepath.Join(t.TempDir(), "ca.pem")
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(g.CAFile, ca, 0o600); err != nil {
		t.Fatal(err)
	}
	return g
}

// Down turns the gateway off, so that it answers 503, or on again.
func (g *Gateway) Down(down bool) { g.down.Store(down) }

// Refused counts the requests without the right credentials.
func (g *Gateway) Refused() int { return int(g.refused.Load()) }

// ServeHTTP implements http.Handler.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	user, password, _ := r.BasicAuth()
	switch {
	case g.down.Load():
		http.Error(w, "the gateway is down", http.StatusServiceUnavailable)
	case user != g.user || password != g.password:
		g.refused.Add(1)
		http.Error(w, "invalid authentication", http.StatusUnauthorized)
	case !strings.HasPrefix(r.URL.Path, "/otlp/"):
		http.NotFound(w, r)
	default:
		g.backend.ServeHTTP(w, r)
	}
}
