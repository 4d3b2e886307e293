package telemetry

import (
	"testing"
	"time"

	colmetricpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	metricpb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"netatmo-agent/agent/logtest"
	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/otlp"
)

// refreshes returns the points of the counter of token refreshes in a request.
func refreshes(r *colmetricpb.ExportMetricsServiceRequest) (sum *metricpb.Sum, points []*metricpb.NumberDataPoint) {
	for _, m := range r.GetResourceMetrics()[0].GetScopeMetrics()[0].GetMetrics() {
		if m.GetName() == "netatmo.agent.token.refreshes" {
			return m.GetSum(), m.GetSum().GetDataPoints()
		}
	}
	return nil, nil
}

// A delta is what was counted since the last accepted push. What was counted
// during failed and divided pushes is neither lost nor counted twice.
func TestDeltas(t *testing.T) {
	b := &backend{}
	var refused error
	var total, got int64
	var covered time.Time
	b.answer = func(r *colmetricpb.ExportMetricsServiceRequest) (*colmetricpb.ExportMetricsServiceResponse, error) {
		for _, p := range otlp.Points(r) {
			if refused != nil || p.Attributes["module.id"] == "03:00" { // a module that it refuses
				return nil, status.Error(codes.InvalidArgument, "no")
			}
		}
		if sum, points := refreshes(r); len(points) > 0 {
			if sum.GetAggregationTemporality() != metricpb.AggregationTemporality_AGGREGATION_TEMPORALITY_DELTA || !sum.GetIsMonotonic() {
				t.Errorf("%s, monotonic: %t", sum.GetAggregationTemporality(), sum.GetIsMonotonic())
			}
			got += points[0].GetAsInt()
			start := time.Unix(0, int64(points[0].GetStartTimeUnixNano()))
			if !covered.IsZero() && !start.Equal(covered) {
				t.Errorf("a delta begins at %s, want %s", start, covered)
			}
			covered = time.Unix(0, int64(points[0].GetTimeUnixNano()))
		}
		return nil, nil
	}
	p := newTestPusher(t, b, &logtest.Log{}, func(o *Options) {
		o.Push.Delta = true
		o.Readings = func() []netatmo.Reading {
			return []netatmo.Reading{outdoor("02:00", time.Now(), 1), outdoor("03:00", time.Now(), 2)}
		}
		o.Agent = func() AgentValues { return AgentValues{Refreshes: map[string]int64{"ok": total}} }
	})
	for _, step := range []struct {
		count   int64
		refused error
		want    int64
	}{{3, nil, 3}, {2, status.Error(codes.Unavailable, "away"), 3}, {0, status.Error(codes.Unavailable, "away"), 3}, {4, nil, 9}, {0, nil, 9}} {
		total, refused = total+step.count, step.refused
		_ = p.PushNow(t.Context())
		if got != step.want {
			t.Errorf("%d arrived of %d, want %d", got, total, step.want)
		}
	}
}

// History goes into the series of live points, whatever attributes identify
// them. If the backend refuses that, history has only the identifying
// attributes.
func TestHistoryHasTheIdentityOfLivePoints(t *testing.T) {
	for _, refuses := range []error{
		nil,
		status.Error(codes.InvalidArgument, "out of order sample"),
		status.Error(codes.InvalidArgument, "Permanent error: responded with HTTP Status Code 400"), // through a Collector
	} {
		b, log := &backend{}, &logtest.Log{}
		b.answer = func(r *colmetricpb.ExportMetricsServiceRequest) (*colmetricpb.ExportMetricsServiceResponse, error) {
			p := otlp.Points(r)[0]
			if refuses != nil && p.Resource["room"] != "" && time.Since(p.Time) > time.Minute {
				return nil, refuses // for its target_info
			}
			return nil, nil
		}
		p := newTestPusher(t, b, log, func(o *Options) { o.Push.Attributes = map[string]string{"room": "attic"} })
		points := past(1, time.Hour, 5*time.Minute)
		for range 2 {
			if done, refused, err := pushHistory(t.Context(), p, points); err != nil || done != len(points) || refused != 0 {
				t.Errorf("%v: %d of %d done, %d refused, %v", refuses, done, len(points), refused, err)
			}
		}
		last := otlp.Points(b.requests[len(b.requests)-1])[0].Resource
		if (last["room"] == "attic") != (refuses == nil) || last["service.instance.id"] != "an-instance" {
			t.Errorf("%v: resource %v", refuses, last)
		}
		want := 0
		if refuses != nil {
			want = 1
		}
		if log.Count("history is now sent without them") != want || b.count() != 2+want {
			t.Errorf("%v: %d requests; log:\n%s", refuses, b.count(), log)
		}
	}
}
