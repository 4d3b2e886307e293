package e2e

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip" // the compression of Collectors
	"google.golang.org/grpc/status"

	"netatmo-agent/agent/simcloud"
)

// till is a backend that accepts everything and only counts it, so that it
// costs little compared with what is measured.
type till struct {
	pmetricotlp.UnimplementedGRPCServer
	grpc, http string // addresses

	down     atomic.Bool
	requests atomic.Int64
	points   atomic.Int64
	received atomic.Int64 // bytes that the agent sent, including HTTP and HTTP/2
	sent     atomic.Int64 // bytes that the agent received

	mu    sync.Mutex
	first time.Time // when the first request with readings was answered
}

func newTill(t testing.TB) *till {
	t.Helper()
	b := &till{}
	listen := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return countingListener{l, b}
	}
	g := grpc.NewServer()
	pmetricotlp.RegisterGRPCServer(g, b)
	h := &http.Server{Handler: http.HandlerFunc(b.post)}
	gl, hl := listen(), listen()
	b.grpc, b.http = gl.Addr().String(), hl.Addr().String()
	go func() { _ = g.Serve(gl) }()
	go func() { _ = h.Serve(hl) }()
	t.Cleanup(g.Stop)
	t.Cleanup(func() { h.Close() })
	return b
}

// env makes the agent push to b.
func (b *till) env(protocol string) Env {
	return Env{
		"OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
		"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + map[string]string{"grpc": b.grpc, "http/protobuf": b.http}[protocol],
	}
}

func (b *till) Export(_ context.Context, r pmetricotlp.ExportRequest) (pmetricotlp.ExportResponse, error) {
	if b.down.Load() {
		return pmetricotlp.NewExportResponse(), status.Error(codes.Unavailable, "down")
	}
	b.count(r.Metrics())
	return pmetricotlp.NewExportResponse(), nil
}

func (b *till) post(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	b.requests.Add(1)
}

func (b *till) count(md pmetric.Metrics) {
	b.requests.Add(1)
	b.points.Add(int64(md.DataPointCount()))
	for _, p := range flatten(md, 0) {
		if strings.HasPrefix(p.Metric, "netatmo.agent.") {
			continue
		}
		b.mu.Lock()
		if b.first.IsZero() {
			b.first = time.Now()
		}
		b.mu.Unlock()
		return
	}
}

// answered returns when the first request with readings was answered, zero if
// none was.
func (b *till) answered() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.first
}

type countingListener struct {
	net.Listener
	till *till
}

func (l countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return countingConn{c, l.till}, err
}

type countingConn struct {
	net.Conn
	till *till
}

func (c countingConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.till.received.Add(int64(n))
	return n, err
}

func (c countingConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.till.sent.Add(int64(n))
	return n, err
}

// oneHome is a station with four modules.
func oneHome() *simcloud.Scenario {
	s := simcloud.Default()
	h := &s.Homes[0]
	h.Coaches, h.Gateways, h.Rooms = nil, nil, nil
	return s
}

// memory returns a line of /proc/<pid>/status, such as VmHWM, in bytes.
func (p *Process) memory(name string) int64 {
	p.t.Helper()
	content, err := os.ReadFile(p.proc("status"))
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		fields := strings.Fields(line)
		if len(fields) == 3 && fields[0] == name+":" && fields[2] == "kB" {
			n, err := strconv.ParseInt(fields[1], 10, 64)
			if err != nil {
				p.t.Fatal(err)
			}
			return n << 10
		}
	}
	p.t.Fatalf("there is no %s in %s", name, content)
	return 0
}

// cpu returns the CPU time of the process, user and system, to the nanosecond:
// the sum over its threads, none of which a Go program ends.
func (p *Process) cpu() time.Duration {
	p.t.Helper()
	files, err := filepath.Glob(p.proc("task", "*", "schedstat"))
	if err != nil || len(files) == 0 {
		p.t.Fatalf("no threads: %v", err)
	}
	var sum time.Duration
	for _, f := range files {
		content, err := os.ReadFile(f)
		if err != nil {
			p.t.Fatal(err)
		}
		ns, _, _ := strings.Cut(string(content), " ")
		n, err := strconv.ParseInt(ns, 10, 64)
		if err != nil {
			p.t.Fatal(err)
		}
		sum += time.Duration(n)
	}
	return sum
}

func (p *Process) proc(name ...string) string {
	return filepath.Join(append([]string{"/proc", strconv.Itoa(p.cmd.Process.Pid)}, name...)...)
}
