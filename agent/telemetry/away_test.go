package telemetry

import (
	"testing"
	"testing/synctest"
	"time"

	colmetricpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"netatmo-agent/agent/netatmo"
)

// While the backend is away, history is not sent in vain, megabytes at a time:
// it waits until a live push has found the backend.
func TestHistoryWaitsForALivePush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{}
		p := newTestPusher(t, b, &testLog{}, func(o *Options) {
			o.Readings = func() []netatmo.Reading { return []netatmo.Reading{outdoor("02:00", time.Now(), 4)} }
		})
		points := past(2, time.Hour, 30*time.Minute)
		b.answer = func(*colmetricpb.ExportMetricsServiceRequest) (*colmetricpb.ExportMetricsServiceResponse, error) {
			return nil, status.Error(codes.Unavailable, "away")
		}
		_ = p.PushNow(t.Context())
		waits := func(requests int) {
			t.Helper()
			if r, err := p.PushHistory(t.Context(), points); Classify(err) == nil || Classify(err).Reason != Unreachable || r != (HistoryResult{}) {
				t.Errorf("result %+v, error %v", r, err)
			}
			if len(b.requests) != requests {
				t.Errorf("%d requests, want %d", len(b.requests), requests)
			}
		}
		waits(1)
		b.answer = nil
		waits(1)
		if err := p.PushNow(t.Context()); err != nil {
			t.Fatal(err)
		}
		if r, err := p.PushHistory(t.Context(), points); err != nil || r.Accepted != len(points) {
			t.Errorf("result %+v, error %v", r, err)
		}
	})
}
