package telemetry

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"netatmo-agent/agent/config"
)

// The settings were read, judged and handed over; whatever the environment
// says besides them must not count, and must not be logged.
func TestTheEnvironmentHasNoSay(t *testing.T) {
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
	t.Setenv("OTEL_GO_X_CARDINALITY_LIMIT", "1")
	t.Setenv("OTEL_METRICS_EXEMPLAR_FILTER", "always_on")
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
	p, log := httpPush(t, server), &testLog{}
	p.Headers = map[string]config.Secret{"authorization": "ours"}
	if err := newTestExporter(t, p, log).Export(t.Context(), onePoint()); err != nil {
		t.Errorf("over HTTP: %v", err)
	}

	var received []ReceivedPoint
	r, err := NewReceiver("127.0.0.1:0", func(p ReceivedPoint) { received = append(received, p) })
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p = testPush()
	p.URL = &url.URL{Scheme: "http", Host: r.Addr()}
	pusher, err := NewPusher(Options{Exporter: newTestExporter(t, p, log), Push: p, InstanceID: "an-instance", Logger: log.logger(),
		Agent: func() AgentValues { return AgentValues{Refreshes: map[string]int64{"ok": 1, "passing": 2, "final": 3}} }})
	if err != nil {
		t.Fatal(err)
	}
	if err := pusher.PushNow(t.Context()); err != nil {
		t.Errorf("over gRPC: %v", err)
	}
	outcomes := 0
	for _, p := range received {
		if len(p.Resource) != 2 || p.Resource["service.name"] != "netatmo-agent" || p.Attributes["otel.metric.overflow"] != "" {
			t.Errorf("%+v", p)
		}
		if p.Attributes["outcome"] != "" {
			outcomes++
		}
	}
	if requests.Load() != 1 || outcomes != 3 {
		t.Errorf("%d requests, %d outcomes", requests.Load(), outcomes)
	}
	if s := log.String(); strings.Contains(s, "WARN") || strings.Contains(s, "ERROR") {
		t.Errorf("log:\n%s", s)
	}
}

// The proxy's variables are read once in a process, so the test has processes
// of its own.
func TestHTTPProxy(t *testing.T) {
	if target := os.Getenv("TELEMETRY_TEST_PUSH_TO"); target != "" {
		u, err := url.Parse(target)
		if err != nil {
			t.Fatal(err)
		}
		p := testPush()
		p.Protocol, p.URL = config.HTTP, u
		fmt.Fprintln(os.Stdout, Classify(newTestExporter(t, p, &testLog{}).Export(t.Context(), onePoint())))
		return
	}
	const backend = "http://backend.example/v1/metrics"
	var asked atomic.Value
	open := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked.Store(r.RequestURI) }))
	defer open.Close()
	closed := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusProxyAuthRequired) }))
	defer closed.Close()
	for _, tt := range []struct{ proxy, target, want string }{
		{open.URL, backend, "<nil>"},
		{closed.URL, backend, "the proxy wants a login"},
		{closed.URL, "https://backend.example/v1/metrics", "the proxy wants a login"},
		{"http://" + closedPort(t), backend, "the proxy cannot be reached"},
	} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHTTPProxy$")
		cmd.Env = append(os.Environ(), "TELEMETRY_TEST_PUSH_TO="+tt.target, "HTTP_PROXY="+tt.proxy, "HTTPS_PROXY="+tt.proxy, "NO_PROXY=")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), tt.want) {
			t.Errorf("%s over %s: %v\n%s; want %q", tt.target, tt.proxy, err, out, tt.want)
		}
	}
	if asked.Load() != backend {
		t.Errorf("the proxy was asked for %v", asked.Load())
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
			if _, err := NewExporter(t.Context(), p, ExporterOptions{UserAgent: "netatmo-agent/v1", Logger: slog.New(slog.DiscardHandler)}); err == nil || !strings.Contains(err.Error(), tt.names) {
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
		{config.Push{Exporter: config.Console},
			"printing metrics to standard output (OTEL_METRICS_EXPORTER=console)"},
	} {
		if got := DescribePush(tt.push); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

func TestProbe(t *testing.T) {
	var received []ReceivedPoint
	r, err := NewReceiver("127.0.0.1:0", func(p ReceivedPoint) { received = append(received, p) })
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p := testPush()
	p.URL = &url.URL{Scheme: "http", Host: r.Addr()}
	p.Attributes = map[string]string{"deployment.environment": "cellar"}
	probe := func() error {
		return Probe(t.Context(), Options{Exporter: newTestExporter(t, p, &testLog{}), Push: p, InstanceID: "an-instance", Version: "v1"})
	}
	if err := probe(); err != nil {
		t.Fatal(err)
	}
	if len(received) != 1 || received[0].Metric != "netatmo.agent.info" || received[0].Value != 1 ||
		received[0].Attributes["version"] != "v1" || received[0].Resource["service.instance.id"] != "an-instance" {
		t.Errorf("%+v", received)
	}
	p.URL.Host = closedPort(t)
	judged(t, probe(), reasonUnreachable, "nothing listens")
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

func TestOpenTelemetrysOwnWords(t *testing.T) {
	log := &testLog{}
	newTestExporter(t, config.Push{Exporter: config.Console}, log)
	otel.Handle(errors.New("a broken thing"))
	sink := otelSink{log.logger()}
	sink.Info(1, "a warning")
	sink.Error(errors.New("boom"), "an error", "key", "value")
	for _, want := range []string{`level=WARN msg="OpenTelemetry reports an error" error="a broken thing"`,
		`level=WARN msg="OpenTelemetry: a warning"`,
		`level=ERROR msg="OpenTelemetry: an error" key=value error=boom`} {
		if log.lines(want) != 1 {
			t.Errorf("%q is not in\n%s", want, log)
		}
	}
	if sink.Enabled(4) || !sink.Enabled(1) {
		t.Error("warnings and errors are wanted, nothing else")
	}
}
