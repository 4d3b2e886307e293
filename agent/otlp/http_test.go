package otlp

import (
	"compress/gzip"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	colmetricpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"

	"netatmo-agent/agent/config"
	"netatmo-agent/agent/logtest"
)

const secretValue = "Basic MTIzNDU2OmdsY19hX3ZlcnlfbG9uZ19zZWNyZXQ=" // of 123456:glc_a_very_long_secret

func marshal(t *testing.T, m proto.Message) string {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestHTTPAnswers(t *testing.T) {
	const protobuf = "application/x-protobuf"
	empty := marshal(t, &colmetricpb.ExportMetricsServiceResponse{})
	partial := marshal(t, &colmetricpb.ExportMetricsServiceResponse{PartialSuccess: &colmetricpb.ExportMetricsPartialSuccess{
		RejectedDataPoints: 3, ErrorMessage: "label too long"}})
	story := marshal(t, &colmetricpb.ExportMetricsServiceResponse{PartialSuccess: &colmetricpb.ExportMetricsPartialSuccess{
		RejectedDataPoints: 3, ErrorMessage: "label too long" + strings.Repeat("; too old sample", 5000)}})
	remark := marshal(t, &colmetricpb.ExportMetricsServiceResponse{PartialSuccess: &colmetricpb.ExportMetricsPartialSuccess{
		ErrorMessage: "please upgrade"}})
	mimir := marshal(t, &spb.Status{Code: 3, Message: "beyond the out-of-order time window (err-mimir-sample-timestamp-too-old)"})

	lying := marshal(t, &colmetricpb.ExportMetricsServiceResponse{PartialSuccess: &colmetricpb.ExportMetricsPartialSuccess{
		ErrorMessage: "err-mimir-sample-timestamp-too-old"}})

	permanent := func(status int) string {
		return marshal(t, &spb.Status{Code: 2, Message: fmt.Sprintf("Permanent error: rpc error: code = Unknown desc = error exporting items, request to http://mimir/v1/metrics responded with HTTP Status Code %d", status)})
	}

	tests := []struct {
		name    string
		status  int
		headers map[string]string
		body    string
		reason  Reason // empty: success
		text    string // part of the message
	}{
		{"an empty answer", 200, map[string]string{"Content-Type": protobuf}, empty, "", ""},
		{"Prometheus: no type, no body", 200, nil, "", "", ""},
		{"no content", 204, nil, "", "", ""},
		{"accepted", 202, nil, "", "", ""},
		{"JSON", 200, map[string]string{"Content-Type": "application/json"}, `{"partialSuccess":{}}`, "", ""},
		{"a remark", 200, map[string]string{"Content-Type": protobuf}, remark, "", ""},
		{"partial success", 200, map[string]string{"Content-Type": protobuf}, partial, Partial, "3 points: label too long"},
		{"with parameters of the type", 200, map[string]string{"Content-Type": protobuf + "; charset=utf-8"}, partial, Partial, "label too long"},
		{"without a type", 200, map[string]string{"Content-Type": ""}, partial, Partial, "label too long"},
		{"with something about each point", 200, map[string]string{"Content-Type": protobuf}, story, Partial, "3 points: label too long"},
		{"in JSON", 200, map[string]string{"Content-Type": "application/json; charset=utf-8"},
			`{"partialSuccess":{"rejectedDataPoints":"3","errorMessage":"label too long"},"new":1}`, Partial, "3 points: label too long"},
		{"a login page", 200, map[string]string{"Content-Type": "text/html"}, "<!doctype html><title>Log in</title>", NotOTLP, "an HTML page"},
		{"a login page that calls itself protobuf", 200, map[string]string{"Content-Type": protobuf}, "\n<html><body>Log in</body></html>", NotOTLP, "an HTML page"},
		{"another service that calls itself protobuf", 200, map[string]string{"Content-Type": protobuf}, "OK", NotOTLP, "something other"},
		{"a gateway's OK", 200, map[string]string{"Content-Type": "text/plain"}, "OK", "", ""},
		{"a gateway's success", 200, nil, "success", "", ""},
		{"a gateway's JSON", 200, map[string]string{"Content-Type": "application/json"}, `{"ok":1}`, "", ""},
		{"a gateway's JSON string", 202, map[string]string{"Content-Type": "application/json"}, `"accepted"`, "", ""},
		{"Mimir: 0 rejected, but too old", 200, map[string]string{"Content-Type": protobuf}, lying, TooOld, "err-mimir-sample-timestamp-too-old"},
		{"Mimir: 0 rejected, but out of order", 200, map[string]string{"Content-Type": "application/json"},
			`{"partialSuccess":{"errorMessage":"err-mimir-sample-out-of-order"}}`, OutOfOrder, "err-mimir-sample-out-of-order"},
		{"less than nothing rejected", 200, map[string]string{"Content-Type": "application/json"}, `{"partialSuccess":{"rejectedDataPoints":"-3"}}`, "", ""},
		{"moved", 301, map[string]string{"Location": "https://user:pass@elsewhere.example/otlp?key=1"}, "", Redirect, "to https://elsewhere.example/otlp)"},
		{"found", 302, map[string]string{"Location": "/login"}, "", Redirect, "/login)"},
		{"moved, keep the body", 308, map[string]string{"Location": "https://elsewhere.example/"}, "", Redirect, "OTEL_EXPORTER_OTLP_ENDPOINT"},
		{"not modified", 304, nil, "", Redirect, "nowhere"},
		{"bad request", 400, nil, "bad label", Refused, "bad label"},
		{"a secret in the answer", 401, nil, "no user with " + secretValue + " or MTIzNDU2OmdsY19hX3ZlcnlfbG9uZ19zZWNyZXQ= or glc_a_very_long_secret", Auth, "[redacted]"},
		{"forbidden", 403, map[string]string{"Content-Type": "text/html"}, "<html>forbidden</html>", Auth, "(403 Forbidden): check the header with the credentials"},
		{"the wrong path", 404, nil, "404 page not found", NotOTLP, "check path and port"},
		{"a Collector without a metrics pipeline", 404, nil, "404 page not found", NotOTLP, "no metrics pipeline"},
		{"GET only", 405, nil, "", NotOTLP, ""},
		{"too large", 413, nil, "", TooLarge, "1 MiB"},
		{"throttled", 429, map[string]string{"Retry-After": "17"}, "", Throttled, ""},
		{"a pause", 503, map[string]string{"Retry-After": "17"}, "", Throttled, ""},
		{"a fault", 500, nil, "boom", Unavailable, "boom"},
		{"a bad gateway", 502, map[string]string{"Content-Type": "text/html"}, "<html>502</html>", Unavailable, "(502 Bad Gateway)"},
		{"a gateway's timeout", 504, nil, "", Timeout, ""},
		{"Prometheus: out of order", 400, nil, "out of order sample", OutOfOrder, "storage.tsdb.out_of_order_time_window"},
		{"Prometheus: out of bounds", 400, nil, "out of bounds", TooOld, "out_of_order_time_window"},
		{"Prometheus: too old", 400, nil, "too old sample", TooOld, ""},
		{"Prometheus: duplicate", 400, nil, "duplicate sample for timestamp 1; overrides not allowed", OutOfOrder, ""},
		{"Mimir: too old", 400, map[string]string{"Content-Type": protobuf}, mimir, TooOld, "err-mimir-sample-timestamp-too-old"},
		{"Mimir: too old, in bytes", 400, map[string]string{"Content-Type": "application/octet-stream"}, mimir, TooOld, "err-mimir-sample-timestamp-too-old"},
		{"Thanos: conflict without a reason", 409, nil, "conflict", Refused, "conflict"},
		{"a Collector: 422 behind it", 500, map[string]string{"Content-Type": protobuf}, permanent(422), Refused, "passes on"},
		{"a Collector: 413 behind it", 500, map[string]string{"Content-Type": protobuf}, permanent(413), TooLarge, ""},
		{"a Collector: nothing behind it", 503, nil, "failed to make an HTTP request: dial tcp 10.0.0.1:9009: connect: connection refused", Unavailable, "behind it"},
		{"a Collector's limit of size", 400, nil, "http: request body too large", TooLarge, ""},
		{"a Collector's limit of memory", 503, nil, "data refused due to high memory usage", Unavailable, "memory_limiter"},
		{"a Collector's queue", 503, nil, "sending queue is full", Unavailable, "queue"},
		{"Mimir: no tenant", 401, nil, "no org id", Auth, "X-Scope-OrgID"},
		{"gzip not accepted", 415, nil, "", NotOTLP, ""},
		{"Dynatrace: counters", 200, map[string]string{"Content-Type": "application/json"},
			`{"partialSuccess":{"rejectedDataPoints":"3","errorMessage":"Unsupported metric: 'x' - Reason: UNSUPPORTED_METRIC_TYPE_MONOTONIC_CUMULATIVE_SUM"}}`, Partial, "TEMPORALITY_PREFERENCE=delta"},
		{"from the future", 400, nil, "sample timestamp too far in the future", Clock, "NTP"},
		{"from the future, out of bounds", 400, nil, "out of bounds: timestamp is in the future", Clock, "NTP"},
		{"too new", 400, nil, "timestamp too new: 1790000000000", Clock, "NTP"},
		{"Thanos: conflict", 409, nil, "out of order sample", OutOfOrder, ""},
		{"JSON error", 400, map[string]string{"Content-Type": "application/json"}, `{"code":3,"message":"bad label"}`, Refused, "bad label"},
		{"a novel", 400, nil, strings.Repeat("много букв ", 1000), Refused, "…"},
		{"the plain port of a TLS server", 400, nil, "Client sent an HTTP request to an HTTPS server.\n", TLS, "https://"},
		{"bytes", 500, nil, "\xff\xfe\x00", Unavailable, "(500 Internal Server Error)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			requests := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				requests++
				for k, v := range tt.headers {
					w.Header()[k] = []string{v}
				}
				w.WriteHeader(tt.status)
				io.WriteString(w, tt.body)
			}))
			defer server.Close()
			p, log := httpPush(t, server), &logtest.Log{}
			p.Headers = map[string]config.Secret{"authorization": secretValue}
			f := Classify(newTestExporter(t, p, log).Export(t.Context(), onePoint()))
			if tt.reason == "" {
				if f != nil {
					t.Errorf("failed: %v", f)
				}
			} else if f == nil || f.Reason != tt.reason || !strings.Contains(f.Error(), tt.text) {
				t.Fatalf("%+v, want %s with %q", f, tt.reason, tt.text)
			}
			if requests != 1 {
				t.Errorf("%d requests, want 1", requests)
			}
			if f == nil {
				return
			}
			if len([]rune(f.Error())) > 500 || strings.ContainsAny(f.Error(), "\n\x00") {
				t.Errorf("not one line of a reasonable length: %q", f)
			}
			for _, secret := range []string{"glc_a_very", "MTIzNDU2", "pass@", "key=1"} {
				if strings.Contains(f.Error()+log.String(), secret) {
					t.Errorf("%q shows %q", f, secret)
				}
			}
			if _, wants := tt.headers["Retry-After"]; wants != (f.RetryAfter == 17*time.Second) {
				t.Errorf("RetryAfter %s", f.RetryAfter)
			}
			if (tt.reason == Partial) != (f.Rejected == 3) {
				t.Errorf("Rejected %d", f.Rejected)
			}
		})
	}
}

func TestHTTPRequest(t *testing.T) {
	for _, compressed := range []bool{false, true} {
		var arrived []Point
		server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			body := io.Reader(r.Body)
			if r.Header.Get("Content-Encoding") == "gzip" {
				z, err := gzip.NewReader(body)
				if err != nil {
					t.Error(err)
				}
				body = z
			}
			if (r.Header.Get("Content-Encoding") == "gzip") != compressed {
				t.Errorf("encoding %q", r.Header.Get("Content-Encoding"))
			}
			if r.Method != http.MethodPost || r.URL.Path != "/otlp/v1/metrics" || r.Header.Get("Authorization") != secretValue ||
				r.Header.Get("User-Agent") != "netatmo-agent/v1" || r.Header.Get("Content-Type") != "application/x-protobuf" {
				t.Errorf("%s %s with %v", r.Method, r.URL, r.Header)
			}
			raw, err := io.ReadAll(body)
			var request colmetricpb.ExportMetricsServiceRequest
			if err != nil || proto.Unmarshal(raw, &request) != nil {
				t.Errorf("body: %v", err)
			}
			arrived = append(arrived, Points(&request)...)
		}))
		p := httpPush(t, server)
		p.URL.Path, p.Gzip = "/otlp/v1/metrics", compressed
		p.Headers = map[string]config.Secret{"authorization": secretValue}
		if err := newTestExporter(t, p, &logtest.Log{}).Export(t.Context(), onePoint()); err != nil {
			t.Error(err)
		}
		if len(arrived) != 1 || arrived[0].Metric != "netatmo.temperature" || arrived[0].Value != 24.6 || arrived[0].Time.Unix() != 1_760_000_000 {
			t.Errorf("arrived: %+v", arrived)
		}
		server.Close()
	}
}

func TestHTTPConnections(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	later := time.Now().Add(time.Hour)
	clientCert, clientKey := ca.issue("client", "", later)
	strangerCert, strangerKey := other.issue("client", "", later)
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	slow := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	tests := []struct {
		name    string
		handler http.Handler
		tls     *tls.Config
		adjust  func(*config.Push)
		reason  Reason
		text    string
	}{
		{"TLS", ok, ca.serverTLS("", later, false), func(p *config.Push) { p.CAFile = ca.File }, "", ""},
		{"mutual TLS", ok, ca.serverTLS("", later, true), func(p *config.Push) {
			p.CAFile, p.CertFile, p.KeyFile = ca.File, clientCert, clientKey
		}, "", ""},
		{"an authority that is not known", ok, ca.serverTLS("", later, false), nil, TLS, "set OTEL_EXPORTER_OTLP_CERTIFICATE"},
		{"the certificate of another", ok, ca.serverTLS("elsewhere.example", later, false), func(p *config.Push) { p.CAFile = ca.File }, TLS, "another name"},
		{"an old certificate", ok, ca.serverTLS("", time.Now().Add(-time.Minute), false), func(p *config.Push) { p.CAFile = ca.File }, TLS, "renew"},
		{"no client certificate", ok, ca.serverTLS("", later, true), func(p *config.Push) { p.CAFile = ca.File }, TLS, "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"},
		{"a stranger's client certificate", ok, ca.serverTLS("", later, true), func(p *config.Push) {
			p.CAFile, p.CertFile, p.KeyFile = ca.File, strangerCert, strangerKey
		}, TLS, ""},
		{"https to a plain port", ok, nil, func(p *config.Push) { p.URL.Scheme = "https" }, TLS, "http://"},
		{"http to a TLS port", ok, ca.serverTLS("", later, false), func(p *config.Push) { p.URL.Scheme = "http" }, TLS, "https://"},
		{"no answer", slow, nil, func(p *config.Push) { p.Timeout = 50 * time.Millisecond }, Timeout, "OTEL_EXPORTER_OTLP_TIMEOUT"},
		{"nothing listens", ok, nil, func(p *config.Push) { p.URL.Host = closedPort(t) }, Unreachable, "nothing listens there"},
		{"another protocol", ok, nil, func(p *config.Push) { p.URL.Host = greeting(t, "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n") }, NotOTLP, "check path and port"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(tt.handler)
			server.Config.ErrorLog = silent
			if tt.tls != nil {
				server.TLS = tt.tls
				server.StartTLS()
			} else {
				server.Start()
			}
			defer server.Close()
			p := httpPush(t, server)
			if tt.adjust != nil {
				tt.adjust(&p)
			}
			err := newTestExporter(t, p, &logtest.Log{}).Export(t.Context(), onePoint())
			// As over gRPC, see TestGRPCConnections.
			for tries := 0; tt.reason == TLS && Classify(err).Reason == Unreachable && tries < 20; tries++ {
				err = newTestExporter(t, p, &logtest.Log{}).Export(t.Context(), onePoint())
			}
			judged(t, err, tt.reason, tt.text)
		})
	}
}

func TestHTTPShutdownClosesIdleConnections(t *testing.T) {
	states := make(chan http.ConnState, 10)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) { states <- state }
	server.Start()
	defer server.Close()
	e := newTestExporter(t, httpPush(t, server), &logtest.Log{})
	if err := e.Export(t.Context(), onePoint()); err != nil {
		t.Fatal(err)
	}
	if err := e.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	for {
		select {
		case state := <-states:
			if state == http.StateClosed {
				return
			}
		case <-time.After(time.Minute):
			t.Fatal("the connection is still open a minute later")
		}
	}
}

func judged(t *testing.T, err error, reason Reason, text string) {
	t.Helper()
	f := Classify(err)
	switch {
	case reason == "" && f == nil:
	case reason == "":
		t.Errorf("failed: %s: %v", f.Reason, f)
	case f == nil:
		t.Errorf("success, want %s", reason)
	case f.Reason != reason || !strings.Contains(f.Error(), text):
		t.Errorf("%s: %v; want %s with %q", f.Reason, f, reason, text)
	}
}

func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// An incomplete answer is not a success: the points may or may not have
// arrived.
func TestHTTPTruncatedAnswer(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "x")
	}))
	defer server.Close()
	if err := newTestExporter(t, httpPush(t, server), &logtest.Log{}).Export(t.Context(), onePoint()); err == nil {
		t.Error("success")
	}
}

func TestHeadersFileIsReadAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "headers")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var got atomic.Value
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got.Store(r.Header.Get("Authorization") + " for " + r.Header.Get("X-Scope-OrgID"))
	}))
	defer server.Close()
	p, log := httpPush(t, server), &logtest.Log{}
	p.HeadersFile = file
	p.Headers = map[string]config.Secret{"x-scope-orgid": "home", "authorization": "Bearer fixed"}
	if _, err := New(t.Context(), p, Options{UserAgent: "netatmo-agent/v1", Logger: log.Logger()}); err == nil || !strings.Contains(err.Error(), "OTEL_EXPORTER_OTLP_HEADERS_FILE") {
		t.Errorf("a missing file: %v", err)
	}
	write("Authorization: Bearer one\n")
	e := newTestExporter(t, p, log)
	for _, step := range []struct{ content, want string }{
		{"Authorization: Bearer one\n", "Bearer one for home"},
		{"Authorization: Bearer two-is-longer\n", "Bearer two-is-longer for home"},
		{"Authorization Bearer half-written", "Bearer two-is-longer for home"},
		{"", "Bearer two-is-longer for home"},
		{"Authorization: Bearer six\n", "Bearer six for home"},
	} {
		write(step.content)
		if err := e.Export(t.Context(), onePoint()); err != nil {
			t.Fatal(err)
		}
		if got.Load() != step.want {
			t.Errorf("with %q: sent %q, want %q", step.content, got.Load(), step.want)
		}
	}
	if log.Count("level=WARN") != 1 || log.Count("works again") != 1 || strings.Contains(log.String(), "Bearer") {
		t.Errorf("log:\n%s", log)
	}
}
