package otlp

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"netatmo-agent/agent/config"
	"netatmo-agent/agent/logtest"
)

// A process reads the proxy variables only once, so the test starts separate
// processes.
func TestProxies(t *testing.T) {
	if target := os.Getenv("OTLP_TEST_PUSH_TO"); target != "" {
		u, err := url.Parse(target)
		if err != nil {
			t.Fatal(err)
		}
		p := testPush()
		p.Exporter, p.Protocol, p.URL = config.OTLP, os.Getenv("OTLP_TEST_PROTOCOL"), u
		fmt.Fprintln(os.Stdout, Describe(p))
		fmt.Fprintln(os.Stdout, Classify(newTestExporter(t, p, &logtest.Log{}).Export(t.Context(), onePoint())))
		return
	}
	const backend, grpcBackend = "http://backend.example/v1/metrics", "http://backend.example:4317"
	var asked, connected atomic.Value
	open := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked.Store(r.RequestURI) }))
	defer open.Close()
	r, err := Listen("127.0.0.1:0", func(Point) {})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	tunnel := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		connected.Store(req.Method + " " + req.RequestURI)
		w.WriteHeader(http.StatusOK)
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		join(t, conn, buffered, r.Addr())
	}))
	defer tunnel.Close()
	closed := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusProxyAuthRequired) }))
	defer closed.Close()
	strict := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	defer strict.Close()
	talkative := speaks(t, "HTTP/1.1 403 Forbidden\r\n\r\n", strings.Repeat("no ", 1<<20))
	for _, tt := range []struct{ proxy, protocol, target, want string }{
		{open.URL, config.HTTP, backend, "<nil>"},
		{closed.URL, config.HTTP, backend, "the proxy asks for a password"},
		{closed.URL, config.HTTP, "https://backend.example/v1/metrics", "the proxy asks for a password"},
		{"http://" + closedPort(t), config.HTTP, backend, "the proxy cannot be reached"},
		{tunnel.URL, config.GRPC, grpcBackend, "<nil>"},
		{tunnel.URL, config.GRPC, grpcBackend, "through the proxy " + tunnel.URL},
		{"socks5://" + socks(t, r.Addr()), config.GRPC, grpcBackend, "<nil>"},
		{closed.URL, config.GRPC, grpcBackend, "the proxy asks for a password"},
		{strict.URL, config.GRPC, grpcBackend, "the proxy does not pass the connection on"},
		{talkative, config.GRPC, grpcBackend, "the proxy does not pass the connection on"},
		{"http://" + closedPort(t), config.GRPC, grpcBackend, "the proxy cannot be reached"},
		{"ftp://proxy.example", config.GRPC, grpcBackend, "use http, https or socks5"},
	} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProxies$")
		cmd.Env = append(os.Environ(), "OTLP_TEST_PUSH_TO="+tt.target, "OTLP_TEST_PROTOCOL="+tt.protocol, "HTTP_PROXY="+tt.proxy, "HTTPS_PROXY="+tt.proxy, "NO_PROXY=")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), tt.want) || len(out) > 4096 {
			t.Errorf("%s over %s: %v\n%.2000s; want %q", tt.target, tt.proxy, err, out, tt.want)
		}
	}
	if asked.Load() != backend || connected.Load() != "CONNECT backend.example:4317" {
		t.Errorf("the proxies were asked for %v and %v", asked.Load(), connected.Load())
	}
}

// join connects a client with an address.
func join(t *testing.T, client net.Conn, from io.Reader, addr string) {
	t.Helper()
	defer client.Close()
	server, err := net.Dial("tcp", addr)
	if err != nil {
		t.Error(err)
		return
	}
	go func() { _, _ = io.Copy(client, server) }()
	_, _ = io.Copy(server, from)
	_ = server.Close()
}

// socks starts a SOCKS5 proxy that connects every client to one address.
func socks(t *testing.T, to string) (addr string) {
	t.Helper()
	return listen(t, func(conn net.Conn) {
		greeting := make([]byte, 3)
		request := make([]byte, 5+len("backend.example")+2)
		if _, err := io.ReadFull(conn, greeting); err != nil {
			return
		}
		_, _ = conn.Write([]byte{5, 0})
		if _, err := io.ReadFull(conn, request); err != nil {
			return
		}
		_, _ = conn.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
		join(t, conn, conn, to)
	})
}

// listen handles connections at the address that it returns.
func listen(t *testing.T, handle func(net.Conn)) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				handle(conn)
			}()
		}
	}()
	return l.Addr().String()
}

// speaks starts a server that answers each connection with texts, whatever it
// receives, and returns its URL.
func speaks(t *testing.T, texts ...string) (url string) {
	t.Helper()
	return "http://" + listen(t, func(conn net.Conn) {
		go func() { _, _ = io.Copy(io.Discard, conn) }()
		for _, text := range texts {
			if _, err := io.WriteString(conn, text); err != nil {
				return
			}
		}
	})
}
