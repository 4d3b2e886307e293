package otlp

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"netatmo-agent/agent/config"
	"netatmo-agent/agent/logtest"
)

// The settings were read, checked and passed on; other values in the
// environment must have no effect, and must not be logged.
func TestTheEnvironmentHasNoEffect(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("pushed elsewhere") }))
	defer elsewhere.Close()
	for name, value := range map[string]string{
		"ENDPOINT": elsewhere.URL, "METRICS_ENDPOINT": "127.0.0.1:4317", "INSECURE": "true",
		"HEADERS": "x-from-environment=1,authorization=hidden%zzvalue", "METRICS_HEADERS": "authorization: Basic aGlkZGVu",
		"COMPRESSION": "gzip", "TIMEOUT": "1", "CERTIFICATE": "/no/such/file", "METRICS_CERTIFICATE": newAuthority(t).File,
		"METRICS_TEMPORALITY_PREFERENCE": "delta", "METRICS_DEFAULT_HISTOGRAM_AGGREGATION": "nonsense",
	} {
		t.Setenv("OTEL_EXPORTER_OTLP_"+name, value)
	}
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "service.version=1,unwanted=yes")
	t.Setenv("OTEL_SERVICE_NAME", "another")

	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		time.Sleep(5 * time.Millisecond) // longer than TIMEOUT
		if r.Header.Get("Authorization") != "ours" || r.Header.Get("X-From-Environment") != "" || r.Header.Get("Content-Encoding") != "" {
			t.Errorf("headers %v", r.Header)
		}
	}))
	defer server.Close()
	p, log := httpPush(t, server), &logtest.Log{}
	p.Headers = map[string]config.Secret{"authorization": "ours"}
	if err := newTestExporter(t, p, log).Export(t.Context(), onePoint()); err != nil {
		t.Errorf("over HTTP: %v", err)
	}

	var received []Point
	r, err := Listen("127.0.0.1:0", func(p Point) { received = append(received, p) })
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p = testPush()
	p.URL = &url.URL{Scheme: "http", Host: r.Addr()}
	if err := newTestExporter(t, p, log).Export(t.Context(), onePoint()); err != nil {
		t.Errorf("over gRPC: %v", err)
	}
	if requests.Load() != 1 || len(received) != 1 || len(received[0].Resource) != 1 {
		t.Errorf("%d requests over HTTP, over gRPC %+v", requests.Load(), received)
	}
	if s := log.String(); strings.Contains(s, "WARN") || strings.Contains(s, "ERROR") {
		t.Errorf("log:\n%s", s)
	}
}

func TestFilesThatCannotBeUsed(t *testing.T) {
	ca := newAuthority(t)
	cert, key := ca.issue("client", "", time.Now().Add(time.Hour))
	noPEM := filepath.Join(t.TempDir(), "no.pem")
	if err := os.WriteFile(noPEM, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		names string
		set   func(*config.Push)
	}{
		{"OTEL_EXPORTER_OTLP_CERTIFICATE", func(p *config.Push) { p.CAFile = "/no/such/file" }},
		{"OTEL_EXPORTER_OTLP_CERTIFICATE", func(p *config.Push) { p.CAFile = noPEM }},
		{"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", func(p *config.Push) { p.CertFile, p.KeyFile = cert, "/no/such/file" }},
		{"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", func(p *config.Push) { p.CertFile, p.KeyFile = key, key }},
		{"OTEL_EXPORTER_OTLP_HEADERS_FILE", func(p *config.Push) { p.HeadersFile = noPEM }},
	} {
		for _, protocol := range []string{config.GRPC, config.HTTP} {
			p := testPush()
			p.Protocol, p.URL = protocol, &url.URL{Scheme: "https", Host: "localhost:1"}
			tt.set(&p)
			if _, err := New(t.Context(), p, Options{UserAgent: "netatmo-agent/v1", Logger: slog.New(slog.DiscardHandler)}); err == nil || !strings.Contains(err.Error(), tt.names) {
				t.Errorf("%v; want an error that names %s", err, tt.names)
			}
		}
	}
}

func TestDescribePush(t *testing.T) {
	u := func(s string) *url.URL {
		parsed, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	for _, tt := range []struct {
		push config.Push
		want string
	}{
		{config.Push{Exporter: config.OTLP, Protocol: config.GRPC, URL: u("http://localhost:4317"), Default: true},
			"pushing to http://localhost:4317 (OTLP, grpc), the default; OTEL_EXPORTER_OTLP_ENDPOINT changes it"},
		{config.Push{Exporter: config.OTLP, Protocol: config.HTTP, URL: u("https://otlp.example/otlp/v1/metrics")},
			"pushing to https://otlp.example/otlp/v1/metrics (OTLP, http/protobuf)"},
		{config.Push{Exporter: config.OTLP, Protocol: config.HTTP, URL: u("https://endpoint.example/receiver/v1/otlp/ZaVnC4dhaV/v1/metrics")},
			"pushing to https://endpoint.example/… (OTLP, http/protobuf)"},
		{config.Push{Exporter: config.Console},
			"printing metrics to standard output (OTEL_METRICS_EXPORTER=console)"},
	} {
		if got := Describe(tt.push); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

func TestConsole(t *testing.T) {
	var out bytes.Buffer
	rm := onePoint()
	rm.ScopeMetrics[0].Metrics = append(rm.ScopeMetrics[0].Metrics, metricdata.Metrics{
		Name: "netatmo.agent.push.points",
		Data: metricdata.Sum[int64]{IsMonotonic: true, DataPoints: []metricdata.DataPoint[int64]{{
			Attributes: attribute.NewSet(), Time: time.Unix(1_760_000_000, 0), Value: 7,
		}}},
	})
	if err := (&console{out: &out}).Export(t.Context(), rm); err != nil {
		t.Fatal(err)
	}
	want := "2025-10-09T08:53:20Z netatmo.temperature 24.6 Cel {module.id=02:00}\n" +
		"2025-10-09T08:53:20Z netatmo.agent.push.points 7 {}\n"
	if out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}
