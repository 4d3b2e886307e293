package e2e

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// The agent classifies a refused request by Prometheus' answer to late points,
// so this test pins that answer, including its text. Each step pushes points of
// one module, with the given ages, after those of the steps before.
func TestAnswersToLatePoints(t *testing.T) {
	const day = 24 * time.Hour
	type step struct {
		what   string
		module string
		ages   []time.Duration
		status int
		text   string
	}
	first := step{"a new series, now", "a", []time.Duration{0}, 200, ""}
	future := step{"11 minutes ahead", "a", []time.Duration{-11 * time.Minute}, 400, "out of bounds: timestamp is too far in the future"}
	for _, tt := range []struct {
		name   string
		window time.Duration
		steps  []step
	}{
		{"no window", 0, []step{
			first,
			{"the same point again", "a", []time.Duration{0}, 200, ""},
			{"a minute late", "a", []time.Duration{time.Minute}, 400, "out of order sample"},
			{"two hours late", "a", []time.Duration{2 * time.Hour}, 400, "out of bounds"},
			{"a new series, half an hour old", "b", []time.Duration{30 * time.Minute}, 200, ""},
			{"a new series, three hours old", "c", []time.Duration{3 * time.Hour}, 400, "out of bounds"},
			{"one late point spoils good ones", "d", []time.Duration{3 * time.Hour, time.Second, 0}, 400, "out of bounds"},
			{"in time order, up to now", "e", []time.Duration{30 * time.Minute, time.Minute, 0}, 200, ""},
			future,
		}},
		{"half an hour", 30 * time.Minute, []step{
			first,
			{"within the window", "a", []time.Duration{20 * time.Minute}, 200, ""},
			{"before the window", "a", []time.Duration{40 * time.Minute}, 400, "too old sample"},
			{"a new series, three hours old", "c", []time.Duration{3 * time.Hour}, 400, "too old sample"},
			future,
		}},
		{"as shipped", AsShipped, []step{
			first,
			{"a month late", "a", []time.Duration{30 * day}, 200, ""},
			{"a year late", "a", []time.Duration{364 * day}, 200, ""},
			{"more than a year late", "a", []time.Duration{367 * day}, 400, "too old sample"},
			future,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			prom := NewPrometheus(t, tt.window).Start()
			prom.WaitScraped()
			forwarder := NewForwarder(t, prom.OTLP()).Start()
			now := time.Now()
			for _, s := range tt.steps {
				if status, text := pushHTTP(t, prom.OTLP(), temperatures("straight "+s.module, now, s.ages)); status != s.status || text != s.text {
					t.Errorf("%s: Prometheus answers %d %q, want %d %q", s.what, status, text, s.status, s.text)
				}
				checkForwarded(t, forwarder, s.what, s.status, func(way string) pmetric.Metrics {
					return temperatures(way+s.module, now, s.ages)
				})
			}
		})
	}
}

// checkForwarded pushes through a Collector without a queue. It passes a
// refusal on, but never its reason, so the agent cannot rely on one.
func checkForwarded(t *testing.T, c *Collector, what string, want int, points func(way string) pmetric.Metrics) {
	t.Helper()
	got, text := pushHTTP(t, "http://"+c.HTTP, points("HTTP "))
	if got != want {
		t.Errorf("%s: the Collector answers %d over HTTP, want %d", what, got, want)
	}
	err := pushGRPC(t, c.GRPC, points("gRPC "))
	code := map[int]codes.Code{200: codes.OK, 400: codes.InvalidArgument}[want]
	if status.Code(err) != code {
		t.Errorf("%s: the Collector answers %v over gRPC, want %v", what, err, code)
	}
	for _, answer := range []string{text, status.Convert(err).Message()} {
		if strings.Contains(answer, "out of") || strings.Contains(answer, "too old") {
			t.Errorf("%s: the Collector passes the reason on: %s", what, answer)
		}
	}
}

// A Collector that cannot reach its backend says so, and the agent keeps its
// mark.
func TestForwarderWithoutBackendRefuses(t *testing.T) {
	c := NewForwarder(t, "http://"+FreeAddr(t)).Start()
	md := temperatures("a", time.Now(), []time.Duration{0})
	if code, _ := pushHTTP(t, "http://"+c.HTTP, md); code != http.StatusServiceUnavailable {
		t.Errorf("over HTTP: %d, want 503", code)
	}
	if err := pushGRPC(t, c.GRPC, md); status.Code(err) != codes.Unavailable {
		t.Errorf("over gRPC: %v, want Unavailable", err)
	}
}

func TestVictoriaMetricsAcceptsLatePoints(t *testing.T) {
	t.Parallel()
	v := NewVictoria(t).Start()
	now := time.Now().Truncate(time.Millisecond)
	ages := []time.Duration{0, 11 * time.Minute, 30 * 24 * time.Hour}
	for _, age := range ages {
		if code, text := pushHTTP(t, v.OTLP(), temperatures("a", now, []time.Duration{age})); code != http.StatusOK {
			t.Errorf("%v late: %d %q, want 200", age, code, text)
		}
	}
	series := v.Raw("netatmo_temperature_celsius", now.Add(-40*24*time.Hour), now.Add(time.Minute))
	if len(series) != 1 || len(series[0].Samples) != len(ages) {
		t.Fatalf("stored %v, want one series of %d samples", series, len(ages))
	}
	for i, s := range series[0].Samples { // in time order
		if want := now.Add(-ages[len(ages)-1-i]); !s.Time.Equal(want) {
			t.Errorf("sample %d is of %v, want %v", i, s.Time, want)
		}
	}
}

// temperatures returns a request with one series of points of the given ages,
// in that order.
func temperatures(module string, now time.Time, ages []time.Duration) pmetric.Metrics {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr("service.name", "netatmo-agent")
	rm.Resource().Attributes().PutStr("service.instance.id", "11111111-2222-4333-8444-555555555555")
	m := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName("netatmo.temperature")
	m.SetUnit("Cel")
	points := m.SetEmptyGauge().DataPoints()
	for _, age := range ages {
		p := points.AppendEmpty()
		p.SetTimestamp(pcommon.NewTimestampFromTime(now.Add(-age)))
		p.SetDoubleValue(20.8)
		p.Attributes().PutStr("module.id", module)
	}
	return md
}

// pushHTTP returns the status of the answer and, if it is text, the body.
func pushHTTP(t testing.TB, endpoint string, md pmetric.Metrics) (int, string) {
	t.Helper()
	body, err := pmetricotlp.NewExportRequestFromMetrics(md).MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(endpoint+"/v1/metrics", "application/x-protobuf", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSpace(string(text))
}

func pushGRPC(t testing.TB, addr string, md pmetric.Metrics) error {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err = pmetricotlp.NewGRPCClient(conn).Export(ctx, pmetricotlp.NewExportRequestFromMetrics(md))
	return err
}
