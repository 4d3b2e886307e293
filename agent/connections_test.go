package main

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"netatmo-agent/agent/config"
	"netatmo-agent/auth/authtest"
)

// A connection to Netatmo that died silently is soon replaced.
func TestSilentlyDeadConnection(t *testing.T) {
	borrowed := httptest.NewTLSServer(nil) // for its certificate
	certificate, trusted := borrowed.TLS.Certificates[0], borrowed.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	borrowed.Close()
	synctest.Test(t, func(t *testing.T) {
		l := authtest.NewListener()
		server := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), ReadHeaderTimeout: time.Minute,
			TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}}
		go func() { _ = server.ServeTLS(l, "", "") }()
		defer server.Close()

		var dead atomic.Pointer[net.Conn]
		var newest net.Conn
		transport := oneByOne()
		transport.TLSClientConfig.RootCAs, transport.TLSClientConfig.ServerName = trusted, "example.com"
		transport.Proxy = nil
		transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := l.Dial(ctx, network, addr)
			newest = c
			return &mortal{c, &dead}, err
		}
		defer transport.CloseIdleConnections()
		get := func() (proto string, err error) {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://example.com/", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			response, err := (&http.Client{Transport: transport}).Do(request)
			if err != nil {
				return "", err
			}
			defer response.Body.Close()
			return response.Proto, nil
		}
		if proto, err := get(); err != nil || proto != "HTTP/1.1" {
			t.Fatal(proto, err)
		}
		first := newest
		dead.Store(&first)
		if _, err := get(); err == nil {
			t.Fatal("the connection is not dead")
		}
		if _, err := get(); err != nil {
			t.Errorf("the dead connection is reused: %v", err)
		}
	})
}

// mortal is a connection on which nothing arrives after its death.
type mortal struct {
	net.Conn
	dead *atomic.Pointer[net.Conn]
}

func (m *mortal) isDead() bool {
	dead := m.dead.Load()
	return dead != nil && *dead == m.Conn
}

func (m *mortal) Write(b []byte) (int, error) {
	if m.isDead() {
		return len(b), nil
	}
	return m.Conn.Write(b)
}

// A port that the system chooses becomes part of the redirect URI, unless the
// user says how the browser reaches the pages.
func TestChosenPort(t *testing.T) {
	for external, want := range map[string]string{
		"http://localhost:0":           "http://localhost:PORT",
		"https://home.example/netatmo": "https://home.example/netatmo",
	} {
		u, err := url.Parse(external)
		if err != nil {
			t.Fatal(err)
		}
		a := &agent{log: slog.New(slog.DiscardHandler), cfg: &config.Config{ListenAddr: "127.0.0.1:0", External: u}}
		if err := a.listen(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, port, _ := net.SplitHostPort(a.listener.Addr().String())
		_ = a.listener.Close()
		if got := a.cfg.External.String(); got != strings.ReplaceAll(want, "PORT", port) {
			t.Errorf("%s becomes %s", external, got)
		}
	}
}
