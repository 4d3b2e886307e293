package telemetry

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	colmetricpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"netatmo-agent/agent/logtest"
	"netatmo-agent/agent/otlp"
)

func TestWrongClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, log := &backend{}, &logtest.Log{}
		var wrong atomic.Bool
		wrong.Store(true)
		p := newTestPusher(t, b, log, func(o *Options) {
			o.Clock = func() (bool, error) {
				if wrong.Load() {
					return false, errors.New("it is 3h0m0s ahead of Netatmo's")
				}
				return false, nil
			}
		})
		stop := running(t, p)
		time.Sleep(10 * time.Minute)
		if b.count() != 0 {
			t.Errorf("%d requests with a wrong clock", b.count())
		}
		if _, _, err := pushHistory(t.Context(), p, now("02:00")); otlp.Classify(err) == nil {
			t.Error("history was pushed with a wrong clock")
		}
		if log.Count("level=WARN") != 1 || log.Count("it is 3h0m0s ahead of Netatmo's") == 0 || log.Count("time synchronization") == 0 {
			t.Errorf("want one line that says why nothing is pushed:\n%s", log)
		}
		wrong.Store(false)
		time.Sleep(time.Minute)
		stop()
		if b.count() == 0 {
			t.Error("nothing was pushed when the clock was right again")
		}
	})
}

// Before the time is known, the backend gets requests without points, so that
// its answer can give the time, and so that the log says what is wrong with the
// backend.
func TestUnknownTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, log := &backend{}, &logtest.Log{}
		var points atomic.Int64
		var away atomic.Bool
		b.answer = func(r *colmetricpb.ExportMetricsServiceRequest) (*colmetricpb.ExportMetricsServiceResponse, error) {
			for _, rm := range r.GetResourceMetrics() {
				for _, sm := range rm.GetScopeMetrics() {
					points.Add(int64(len(sm.GetMetrics())))
				}
			}
			if away.Load() {
				return nil, status.Error(codes.Unauthenticated, "who are you?")
			}
			return nil, nil
		}
		var told atomic.Bool
		p := newTestPusher(t, b, log, func(o *Options) {
			o.Clock = func() (bool, error) {
				if !told.Load() {
					return true, errors.New("the time is not known yet")
				}
				return true, nil
			}
		})
		stop := running(t, p)
		time.Sleep(90 * time.Second)
		if b.count() == 0 || points.Load() > 0 || log.Count("WARN") > 0 {
			t.Errorf("%d requests with %d metrics\n%s", b.count(), points.Load(), log)
		}
		time.Sleep(10 * time.Minute)
		if points.Load() > 0 || log.Count("level=WARN") != 1 || log.Count("the time is not known yet") == 0 || !p.Stats().LastSuccess.IsZero() {
			t.Errorf("%d metrics\n%s", points.Load(), log)
		}
		away.Store(true)
		time.Sleep(10 * time.Minute)
		if points.Load() > 0 || log.Count("who are you?") == 0 {
			t.Errorf("%d metrics\n%s", points.Load(), log)
		}
		away.Store(false)
		told.Store(true)
		time.Sleep(2 * time.Minute)
		stop()
		if points.Load() == 0 {
			t.Error("nothing was pushed when the time was known")
		}
	})
}

// Counters start when the process did, by the clock of the first push: the
// clock may have been set in between.
func TestCountersStartByTheRightClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, log := &backend{}, &logtest.Log{}
		p := newTestPusher(t, b, log, nil)
		begin := time.Now()
		time.Sleep(10 * time.Second)
		if err := p.PushNow(t.Context()); err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, sm := range b.requests[0].GetResourceMetrics()[0].GetScopeMetrics() {
			for _, m := range sm.GetMetrics() {
				for _, point := range m.GetSum().GetDataPoints() {
					found++
					if got := time.Unix(0, int64(point.GetStartTimeUnixNano())); !got.Equal(begin) {
						t.Errorf("%s starts %s after the process", m.GetName(), got.Sub(begin))
					}
				}
			}
		}
		if found == 0 {
			t.Error("no counter")
		}
	})
}
