package otlp

import (
	"compress/gzip"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	colmetricpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"netatmo-agent/agent/config"
	"netatmo-agent/agent/logtest"
)

// A socket, and a name to resolve, are gRPC targets. No proxy stands in between.
func TestGRPCTargets(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "otlp.sock")
	for _, tt := range []struct {
		network, address string
		push             func(l net.Listener) (*url.URL, string)
	}{
		{"unix", socket, func(net.Listener) (*url.URL, string) {
			return &url.URL{Scheme: "unix", Opaque: socket}, "unix:" + socket
		}},
		{"unix", "@otlp-of-" + filepath.Base(t.TempDir()) + socket, func(l net.Listener) (*url.URL, string) {
			name := strings.TrimPrefix(l.Addr().String(), "@")
			return &url.URL{Scheme: "unix-abstract", Opaque: name}, "unix-abstract:" + name
		}},
		{"tcp", "127.0.0.1:0", func(l net.Listener) (*url.URL, string) {
			return &url.URL{Scheme: "http", Host: l.Addr().String()}, "dns:///" + l.Addr().String()
		}},
	} {
		l, err := net.Listen(tt.network, tt.address)
		if err != nil {
			if strings.HasPrefix(tt.address, "@") {
				continue // Linux alone has them
			}
			t.Fatal(err)
		}
		s, arrived := grpc.NewServer(), 0
		colmetricpb.RegisterMetricsServiceServer(s, handler{handle: func(context.Context, *colmetricpb.ExportMetricsServiceRequest) (*colmetricpb.ExportMetricsServiceResponse, error) {
			arrived++
			return &colmetricpb.ExportMetricsServiceResponse{}, nil
		}})
		go func() { _ = s.Serve(l) }()
		p := testPush()
		p.URL, p.Target = tt.push(l)
		if err := newTestExporter(t, p, &logtest.Log{}).Export(t.Context(), onePoint()); err != nil || arrived != 1 {
			t.Errorf("%s: %v, %d arrived", p.Target, err, arrived)
		}
		if line := Describe(p); !strings.Contains(line, "pushing to "+p.URL.String()+" (OTLP, grpc)") {
			t.Error(line)
		}
		s.Stop()
	}
}

// Escapes in a path arrive as they are.
func TestEscapedPath(t *testing.T) {
	var asked string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked = r.RequestURI }))
	defer server.Close()
	p := httpPush(t, server)
	p.URL.Path, p.URL.RawPath = "/a/b/v1/metrics", "/a%2Fb/v1/metrics"
	if err := newTestExporter(t, p, &logtest.Log{}).Export(t.Context(), onePoint()); err != nil || asked != "/a%2Fb/v1/metrics" {
		t.Errorf("%v, asked for %q", err, asked)
	}
}

// Some receivers answer 400 to a body that they cannot read because it is
// compressed.
func TestGzipNotUnderstood(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Content-Encoding") != "" {
			http.Error(w, "invalid OTLP payload", http.StatusBadRequest)
		}
	}))
	defer server.Close()
	p := httpPush(t, server)
	if err := newTestExporter(t, p, &logtest.Log{}).Export(t.Context(), onePoint()); err != nil {
		t.Fatal(err)
	}
	p.Gzip = true
	judged(t, newTestExporter(t, p, &logtest.Log{}).Export(t.Context(), onePoint()), Refused, "OTEL_EXPORTER_OTLP_COMPRESSION=none")

	// One that reads gzip, and has something else to complain about.
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.Copy(io.Discard, body)
		http.Error(w, "out of order sample", http.StatusBadRequest)
	})
	f := Classify(newTestExporter(t, p, &logtest.Log{}).Export(t.Context(), onePoint()))
	if f == nil || f.Reason != OutOfOrder || strings.Contains(f.Remedy, "COMPRESSION") {
		t.Errorf("%v", f)
	}
}

// A Collector's own troubles are not the agent's connection or credentials.
func TestBehindACollector(t *testing.T) {
	for _, tt := range []struct {
		err    error
		reason Reason
		text   string
	}{
		{status.Error(codes.Unavailable, `rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing: dial tcp 10.0.0.1:4317: connect: connection refused"`), Unavailable, "backend behind it"},
		{status.Error(codes.PermissionDenied, "Permanent error: rpc error: code = PermissionDenied desc = error exporting items, request to https://otlp.example/v1/metrics responded with HTTP Status Code 403"), Auth, "the Collector's credentials"},
	} {
		p := grpcServer(t, nil, func(context.Context, *colmetricpb.ExportMetricsServiceRequest) (*colmetricpb.ExportMetricsServiceResponse, error) {
			return nil, tt.err
		})
		judged(t, newTestExporter(t, p, &logtest.Log{}).Export(t.Context(), onePoint()), tt.reason, tt.text)
	}
}

// A header file that breaks the transport is refused when it is read.
func TestReservedHeaderInFile(t *testing.T) {
	if _, err := config.ParseHeaderFile(strings.NewReader("Host: other.example\n")); err == nil || !strings.Contains(err.Error(), "header host") {
		t.Error(err)
	}
}
