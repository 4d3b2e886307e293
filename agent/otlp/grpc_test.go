package otlp

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"io"
	stdlog "log"
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

	colmetricpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"netatmo-agent/agent/config"
	"netatmo-agent/agent/logtest"
)

var silent = stdlog.New(io.Discard, "", 0)

// grpcServer is a real server on loopback.
func grpcServer(t *testing.T, secure *tls.Config, handle func(context.Context, *colmetricpb.ExportMetricsServiceRequest) (*colmetricpb.ExportMetricsServiceResponse, error)) config.Push {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var options []grpc.ServerOption
	p := testPush()
	p.URL = &url.URL{Scheme: "http", Host: l.Addr().String()}
	if secure != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(secure)))
		p.URL.Scheme = "https"
	}
	s := grpc.NewServer(options...)
	colmetricpb.RegisterMetricsServiceServer(s, handler{handle: handle})
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	return p
}

type handler struct {
	colmetricpb.UnimplementedMetricsServiceServer
	handle func(context.Context, *colmetricpb.ExportMetricsServiceRequest) (*colmetricpb.ExportMetricsServiceResponse, error)
}

func (h handler) Export(ctx context.Context, r *colmetricpb.ExportMetricsServiceRequest) (*colmetricpb.ExportMetricsServiceResponse, error) {
	return h.handle(ctx, r)
}

func accept(context.Context, *colmetricpb.ExportMetricsServiceRequest) (*colmetricpb.ExportMetricsServiceResponse, error) {
	return &colmetricpb.ExportMetricsServiceResponse{}, nil
}

func TestGRPCAnswers(t *testing.T) {
	withDelay := func(code codes.Code, message string, delay time.Duration) error {
		s, err := status.New(code, message).WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(delay)})
		if err != nil {
			t.Fatal(err)
		}
		return s.Err()
	}
	permanent := func(behind int) error {
		return status.Errorf(codes.Unknown, "Permanent error: rpc error: code = Unknown desc = request to http://mimir/v1/metrics responded with HTTP Status Code %d", behind)
	}
	tests := []struct {
		name   string
		err    error
		reason Reason
		text   string
	}{
		{"accepted", nil, "", ""},
		{"no login", status.Error(codes.Unauthenticated, "no user "+secretValue), Auth, "[redacted]"},
		{"no right", status.Error(codes.PermissionDenied, "tenant"), Auth, "tenant"},
		{"invalid", status.Error(codes.InvalidArgument, "bad label"), Refused, "bad label"},
		{"out of order", status.Error(codes.InvalidArgument, "out of order sample"), OutOfOrder, "out_of_order_time_window"},
		{"a Collector that passes on what Mimir said", status.Error(codes.InvalidArgument,
			"responded with HTTP Status Code 400, Message=beyond the out-of-order time window of 1h (err-mimir-sample-timestamp-too-old)"), TooOld, ""},
		{"too large", status.Error(codes.ResourceExhausted, "grpc: received message larger than max (5000000 vs. 4194304)"), TooLarge, ""},
		{"full", status.Error(codes.ResourceExhausted, "sending queue is full"), Throttled, "queue is full"},
		{"full, with a delay", withDelay(codes.ResourceExhausted, "slow down", 17*time.Second), Throttled, ""},
		{"a pause", withDelay(codes.Unavailable, "later", 17*time.Second), Throttled, ""},
		{"a pause of less than nothing", withDelay(codes.Unavailable, "earlier", -5*time.Second), Throttled, ""},
		{"too large for tonic", status.Error(codes.OutOfRange, "Error, decoded message length too large: found 5000000 bytes, the limit is: 4194304 bytes"), TooLarge, ""},
		{"too large for grpc-java", status.Error(codes.ResourceExhausted, "gRPC message exceeds maximum size 4194304: 5000000"), TooLarge, ""},
		{"a Collector: 422 behind it", permanent(422), Refused, "passes on"},
		{"a Collector: 409 behind it", permanent(409), Refused, "passes on"},
		{"a Collector: 413 behind it", permanent(413), TooLarge, ""},
		{"a Collector: credentials behind it", status.Error(codes.Unauthenticated, "Permanent error: rpc error: code = Unauthenticated desc = HTTP Status Code 401"), Auth, "Collector's credentials"},
		{"a Collector: nothing behind it", status.Error(codes.Unavailable, "failed to make an HTTP request: dial tcp 10.0.0.1:9009: connect: connection refused"), Unavailable, "behind it"},
		{"a Collector's limit of memory", status.Error(codes.Unavailable, "data refused due to high memory usage"), Unavailable, "memory_limiter"},
		{"a Collector's queue", status.Error(codes.Unavailable, "sending queue is full"), Unavailable, "queue"},
		{"a Collector without metrics", status.Error(codes.Unimplemented, "unknown service opentelemetry.proto.collector.metrics.v1.MetricsService"), NotOTLP, "pipeline"},
		{"gzip not accepted", status.Error(codes.Unimplemented, `grpc: Decompressor is not installed for grpc-encoding "gzip"`), NotOTLP, "OTEL_EXPORTER_OTLP_COMPRESSION=none"},
		{"away", status.Error(codes.Unavailable, "shutting down"), Unreachable, ""},
		{"what gRPC says of a name that is not known", status.Error(codes.Unavailable, "name resolver error: produced zero addresses"), Unreachable, "the host name is unknown"},
		{"another service", status.Error(codes.Unimplemented, "unknown service"), NotOTLP, ""},
		{"a fault", status.Error(codes.Internal, "boom"), Unavailable, "boom"},
		{"late", status.Error(codes.DeadlineExceeded, "late"), Timeout, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			requests := 0
			p := grpcServer(t, nil, func(ctx context.Context, _ *colmetricpb.ExportMetricsServiceRequest) (*colmetricpb.ExportMetricsServiceResponse, error) {
				requests++
				md, _ := metadata.FromIncomingContext(ctx)
				if got := md.Get("authorization"); len(got) != 1 || got[0] != secretValue {
					t.Errorf("authorization %q", got)
				}
				if got := md.Get("user-agent"); len(got) != 1 || !strings.HasPrefix(got[0], "netatmo-agent/v1 ") {
					t.Errorf("user agent %q", got)
				}
				return &colmetricpb.ExportMetricsServiceResponse{}, tt.err
			})
			p.Headers = map[string]config.Secret{"authorization": secretValue}
			err := newTestExporter(t, p, &logtest.Log{}).Export(t.Context(), onePoint())
			judged(t, err, tt.reason, tt.text)
			if requests != 1 {
				t.Errorf("%d requests, want 1", requests)
			}
			if err == nil {
				return
			}
			if strings.Contains(err.Error(), "MTIz") {
				t.Errorf("%q shows the secret", err)
			}
			wants := time.Duration(0)
			if strings.Contains(tt.name, "delay") || tt.name == "a pause" {
				wants = 17 * time.Second
			}
			if got := Classify(err).RetryAfter; got != wants {
				t.Errorf("RetryAfter %s", got)
			}
		})
	}
}

func TestGRPCConnections(t *testing.T) {
	ca := newAuthority(t)
	later := time.Now().Add(time.Hour)
	clientCert, clientKey := ca.issue("client", "", later)
	hang := func(ctx context.Context, _ *colmetricpb.ExportMetricsServiceRequest) (*colmetricpb.ExportMetricsServiceResponse, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	tests := []struct {
		name   string
		tls    *tls.Config
		handle func(context.Context, *colmetricpb.ExportMetricsServiceRequest) (*colmetricpb.ExportMetricsServiceResponse, error)
		adjust func(*config.Push)
		reason Reason
		text   string
	}{
		{"plain", nil, accept, nil, "", ""},
		{"compressed", nil, accept, func(p *config.Push) { p.Gzip = true }, "", ""},
		{"TLS", ca.serverTLS("", later, false), accept, func(p *config.Push) { p.CAFile = ca.File }, "", ""},
		{"mutual TLS", ca.serverTLS("", later, true), accept, func(p *config.Push) {
			p.CAFile, p.CertFile, p.KeyFile = ca.File, clientCert, clientKey
		}, "", ""},
		{"an authority that is not known", ca.serverTLS("", later, false), accept, nil, TLS, "set OTEL_EXPORTER_OTLP_CERTIFICATE"},
		{"the certificate of another", ca.serverTLS("elsewhere.example", later, false), accept, func(p *config.Push) { p.CAFile = ca.File }, TLS, "another name"},
		{"an old certificate", ca.serverTLS("", time.Now().Add(-time.Minute), false), accept, func(p *config.Push) { p.CAFile = ca.File }, TLS, "renew"},
		{"no client certificate", ca.serverTLS("", later, true), accept, func(p *config.Push) { p.CAFile = ca.File }, TLS, "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"},
		{"https to a plain port", nil, accept, func(p *config.Push) { p.URL.Scheme = "https" }, TLS, "http://"},
		{"http to a TLS port", ca.serverTLS("", later, false), accept, func(p *config.Push) { p.URL.Scheme = "http" }, TLS, "begin the endpoint with https://"},
		{"no answer", nil, hang, func(p *config.Push) { p.Timeout = 100 * time.Millisecond }, Timeout, ""},
		{"nothing listens", nil, accept, func(p *config.Push) { p.URL.Host = closedPort(t) }, Unreachable, "nothing listens there"},
		{"a forwarded port without a program", nil, accept, func(p *config.Push) { p.URL.Host = greeting(t, "") }, Unreachable, "check that the backend runs"},
		{"another protocol", nil, accept, func(p *config.Push) { p.URL.Host = greeting(t, "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n") }, NotOTLP, "check its number"},
		{"an HTTP server", nil, accept, func(p *config.Push) {
			server := httptest.NewServer(http.NotFoundHandler())
			t.Cleanup(server.Close)
			p.URL.Host = strings.TrimPrefix(server.URL, "http://")
		}, NotOTLP, "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"},
		{"a web server without ALPN", nil, accept, webServer(t, http.StatusOK), NotOTLP, "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"},
		{"a web server without HTTP/2", nil, accept, webServer(t, http.StatusOK, "http/1.1"), NotOTLP, "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"},
		{"a web server", nil, accept, webServer(t, http.StatusOK, "h2"), NotOTLP, "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"},
		{"a web server that moved", nil, accept, webServer(t, http.StatusFound, "h2"), NotOTLP, "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"},
		{"a web server without such a page", nil, accept, webServer(t, http.StatusNotFound, "h2"), NotOTLP, "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"},
		{"a web server that asks to wait", nil, accept, webServer(t, http.StatusTooManyRequests, "h2"), Throttled, "OTEL_METRIC_EXPORT_INTERVAL"},
		{"a gateway that wants a login", nil, accept, webServer(t, http.StatusUnauthorized, "h2"), Auth, "Authorization"},
		{"a gateway whose backend is away", nil, accept, webServer(t, http.StatusBadGateway, "h2"), Unreachable, "502"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := grpcServer(t, tt.tls, tt.handle)
			if tt.adjust != nil {
				tt.adjust(&p)
			}
			err := newTestExporter(t, p, &logtest.Log{}).Export(t.Context(), onePoint())
			// TLS 1.3 tells a client only after the handshake that it is
			// rejected; its first write may find a closed connection before
			// that.
			for tries := 0; tt.reason == TLS && Classify(err).Reason == Unreachable && tries < 20; tries++ {
				err = newTestExporter(t, p, &logtest.Log{}).Export(t.Context(), onePoint())
			}
			judged(t, err, tt.reason, tt.text)
		})
	}
}

// webServer configures a push to an HTTPS server that answers with a status
// over one of the protocols.
func webServer(t *testing.T, status int, protocols ...string) func(*config.Push) {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	server.Config.ErrorLog, server.EnableHTTP2 = silent, true
	server.TLS = &tls.Config{NextProtos: append([]string{}, protocols...)}
	server.StartTLS()
	t.Cleanup(server.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return func(p *config.Push) {
		p.URL, p.CAFile = &url.URL{Scheme: "https", Host: server.Listener.Addr().String()}, ca
	}
}

// Hosts keep their names, even if those have a meaning in gRPC.
func TestGRPCHosts(t *testing.T) {
	for _, host := range []string{"dns:4317", "unix:4317", "passthrough:4317", "[::1]:4317", "[fe80::1%eth0]:4317"} {
		p := testPush()
		p.URL = &url.URL{Scheme: "http", Host: host}
		conn := newTestExporter(t, p, &logtest.Log{}).(*grpcExporter).conn
		if got := conn.CanonicalTarget(); got != "dns:///"+host {
			t.Errorf("%s becomes %s", host, got)
		}
	}
}

// A backend that was down is reached again without a new exporter.
func TestGRPCReconnects(t *testing.T) {
	addr := closedPort(t)
	p := testPush()
	p.URL = &url.URL{Scheme: "http", Host: addr}
	e := newTestExporter(t, p, &logtest.Log{})
	judged(t, e.Export(t.Context(), onePoint()), Unreachable, "")
	r, err := Listen(addr, func(Point) {})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for deadline := time.Now().Add(10 * time.Second); e.Export(t.Context(), onePoint()) != nil; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not reached again within 10 s")
		}
	}
}

// A connection that has fallen silent, but that something in between keeps
// open, is not reused.
func TestGRPCSilentConnection(t *testing.T) {
	ca := newAuthority(t)
	for _, secure := range []*tls.Config{nil, ca.serverTLS("", time.Now().Add(time.Hour), false)} {
		p := grpcServer(t, secure, accept)
		p.CAFile = ca.File
		host, mute := forwarder(t, p.URL.Host)
		p.URL.Host, p.Timeout = host, 300*time.Millisecond
		e := newTestExporter(t, p, &logtest.Log{})
		for deadline := time.Now().Add(10 * time.Second); e.Export(t.Context(), onePoint()) != nil; {
			if time.Now().After(deadline) {
				t.Fatal("no connection")
			}
		}
		mute()
		judged(t, e.Export(t.Context(), onePoint()), Timeout, "")
		for deadline := time.Now().Add(10 * time.Second); e.Export(t.Context(), onePoint()) != nil; time.Sleep(50 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("not reached again within 10 s")
			}
		}
	}
}

// forwarder returns an address that forwards to another, and a func that makes
// the existing connections mute without closing them.
func forwarder(t *testing.T, to string) (addr string, mute func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	var accepted, muted atomic.Int64
	forward := func(number int64, to io.WriteCloser, from io.Reader) {
		b := make([]byte, 1<<16)
		for {
			n, err := from.Read(b)
			if number > muted.Load() {
				if _, failed := to.Write(b[:n]); failed != nil || err != nil {
					_ = to.Close()
				}
			}
			if err != nil {
				return
			}
		}
	}
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				_ = near.Close()
				continue
			}
			number := accepted.Add(1)
			go forward(number, far, near)
			go forward(number, near, far)
		}
	}()
	return l.Addr().String(), func() { muted.Store(accepted.Load()) }
}

func TestGRPCHeadersFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "headers")
	var got []string
	p := grpcServer(t, nil, func(ctx context.Context, _ *colmetricpb.ExportMetricsServiceRequest) (*colmetricpb.ExportMetricsServiceResponse, error) {
		md, _ := metadata.FromIncomingContext(ctx)
		got = append(got, md.Get("authorization")...)
		return &colmetricpb.ExportMetricsServiceResponse{}, nil
	})
	p.HeadersFile = file
	var e Exporter
	for _, token := range []string{"Bearer one", "Bearer two"} {
		if err := os.WriteFile(file, []byte("Authorization: "+token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if e == nil {
			e = newTestExporter(t, p, &logtest.Log{})
		}
		if err := e.Export(t.Context(), onePoint()); err != nil {
			t.Fatal(err)
		}
	}
	if strings.Join(got, ", ") != "Bearer one, Bearer two" {
		t.Errorf("sent %q", got)
	}
}

func TestReceiver(t *testing.T) {
	points := make(chan Point, 1)
	r, err := Listen("127.0.0.1:0", func(p Point) { points <- p })
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p := testPush()
	p.URL = &url.URL{Scheme: "http", Host: r.Addr()}
	if err := newTestExporter(t, p, &logtest.Log{}).Export(t.Context(), onePoint()); err != nil {
		t.Fatal(err)
	}
	got := <-points
	if got.Metric != "netatmo.temperature" || got.Unit != "Cel" || got.Value != 24.6 || got.Counter ||
		!got.Time.Equal(time.Unix(1_760_000_000, 0)) || got.Attributes["module.id"] != "02:00" || got.Resource["service.name"] != "netatmo-agent" {
		t.Errorf("%+v", got)
	}
	if _, err := Listen(r.Addr(), nil); err == nil {
		t.Error("two receivers on one port")
	}
}
