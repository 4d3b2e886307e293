package telemetry

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	colmetricpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"netatmo-agent/agent/logtest"
	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/otlp"
)

// While the backend is down, megabytes of history are not sent in vain: history
// waits until a live push has succeeded.
func TestHistoryWaitsForALivePush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{}
		p := newTestPusher(t, b, &logtest.Log{}, func(o *Options) {
			o.Readings = func() []netatmo.Reading { return []netatmo.Reading{outdoor("02:00", time.Now(), 4)} }
		})
		points := past(2, time.Hour, 30*time.Minute)
		b.answer = func(*colmetricpb.ExportMetricsServiceRequest) (*colmetricpb.ExportMetricsServiceResponse, error) {
			return nil, status.Error(codes.Unavailable, "away")
		}
		_ = p.PushNow(t.Context())
		waits := func(requests int) {
			t.Helper()
			if done, _, err := pushHistory(t.Context(), p, points); otlp.Classify(err) == nil || otlp.Classify(err).Reason != otlp.Unreachable || done != 0 {
				t.Errorf("%d done, error %v", done, err)
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
		if done, refused, err := pushHistory(t.Context(), p, points); err != nil || done != len(points) || refused != 0 {
			t.Errorf("%d done, %d refused, error %v", done, refused, err)
		}
	})
}

// A backend that asks the agent to wait when it receives history gets no live
// push either, until that time has passed.
func TestARetryDelayForHistoryHoldsLivePushes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		later, err := status.New(codes.ResourceExhausted, "slow down").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(15 * time.Minute)})
		if err != nil {
			t.Fatal(err)
		}
		var throttle atomic.Bool
		b := &backend{answer: func(*colmetricpb.ExportMetricsServiceRequest) (*colmetricpb.ExportMetricsServiceResponse, error) {
			if throttle.Load() {
				return nil, later.Err()
			}
			return nil, nil
		}}
		p := newTestPusher(t, b, &logtest.Log{}, nil)
		ctx, cancel := context.WithCancel(t.Context())
		var ended sync.WaitGroup
		ended.Go(func() { p.Run(ctx) })
		time.Sleep(61 * time.Second)
		throttle.Store(true)
		if _, _, err := pushHistory(ctx, p, past(1, time.Hour, 30*time.Minute)); otlp.Classify(err) == nil || otlp.Classify(err).Reason != otlp.Throttled {
			t.Errorf("error %v", err)
		}
		throttle.Store(false)
		before := b.count()
		time.Sleep(14 * time.Minute)
		if n := b.count() - before; n != 0 {
			t.Errorf("%d requests meanwhile", n)
		}
		time.Sleep(2 * time.Minute)
		if n := b.count() - before; n == 0 {
			t.Error("no request afterwards")
		}
		cancel()
		ended.Wait()
	})
}

// A push that is accepted except for a point counts as a success.
func TestPartialSuccessCounts(t *testing.T) {
	for rejected, counts := range map[int64]bool{1: true, 1000: false} {
		b := &backend{answer: func(*colmetricpb.ExportMetricsServiceRequest) (*colmetricpb.ExportMetricsServiceResponse, error) {
			return &colmetricpb.ExportMetricsServiceResponse{PartialSuccess: &colmetricpb.ExportMetricsPartialSuccess{RejectedDataPoints: rejected, ErrorMessage: "no"}}, nil
		}}
		p := newTestPusher(t, b, &logtest.Log{}, func(o *Options) {
			o.Readings = func() []netatmo.Reading { return []netatmo.Reading{outdoor("02:00", time.Now(), 4)} }
		})
		_ = p.PushNow(t.Context())
		if s := p.Stats(); s.LastSuccess.IsZero() == counts || s.Points > 0 != counts {
			t.Errorf("%d rejected: %+v", rejected, s)
		}
	}
}
