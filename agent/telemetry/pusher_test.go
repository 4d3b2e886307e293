package telemetry

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
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

// running runs a pusher until the returned func is called.
func running(t *testing.T, p *Pusher) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var ended sync.WaitGroup
	ended.Go(func() { p.Run(ctx) })
	return func() {
		cancel()
		ended.Wait()
	}
}

// since returns when requests arrived, in whole seconds after start.
func (b *backend) since(start time.Time) []int {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []int
	for _, t := range b.times {
		all = append(all, int(t.Sub(start).Seconds()))
	}
	return all
}

func TestPushesAtIntervalsAndWhenWoken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, start := &backend{}, time.Now()
		p := newTestPusher(t, b, &logtest.Log{}, nil)
		stop := running(t, p)
		time.Sleep(10 * time.Second)
		b.wake()
		b.wake() // one push for both
		time.Sleep(2*time.Minute + time.Second)
		stop()
		if want, got := []int{10, 70, 130, 131}, b.since(start); !slices.Equal(got, want) {
			t.Errorf("pushes after %v seconds, want %v", got, want)
		}
	})
}

func TestDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		fresh, stale, dead := outdoor("02:00", now, 4), outdoor("02:01", now.Add(-time.Hour), 4), outdoor("02:02", now, 4)
		dead.Values = netatmo.Values{{Field: netatmo.Reachable, Number: 0}}
		var at time.Time
		var ids []string
		b := &backend{}
		p := newTestPusher(t, b, &logtest.Log{}, func(o *Options) {
			o.Readings = func() []netatmo.Reading { return []netatmo.Reading{fresh, stale, dead} }
			o.Delivered = func(stamp time.Time, rs []netatmo.Reading) {
				at = stamp
				for _, r := range rs {
					ids = append(ids, r.ModuleID)
				}
			}
		})
		if err := p.PushNow(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(ids, []string{"02:00", "02:02"}) {
			t.Errorf("delivered %v, want only the modules of which something was pushed", ids)
		}
		if got := slices.Collect(maps.Keys(b.held("netatmo.temperature", "02:00"))); len(got) != 1 || !got[0].Equal(at) {
			t.Errorf("the point is stamped %v, Delivered said %v", got, at)
		}

		// A push is reported as delivered even if all values wait.
		fresh.Values, at = dead.Values, time.Time{}
		if err := p.PushNow(t.Context()); err != nil || at.IsZero() {
			t.Errorf("error %v, and a push without a value that has a history is not told", err)
		}

		// Not if it failed.
		fresh, ids = outdoor("02:00", now, 4), nil
		b.answer = func(*colmetricpb.ExportMetricsServiceRequest) (*colmetricpb.ExportMetricsServiceResponse, error) {
			return nil, status.Error(codes.Unavailable, "away")
		}
		if err := p.PushNow(t.Context()); otlp.Classify(err).Reason != otlp.Unreachable {
			t.Errorf("error %v, want unreachable", err)
		}
		if ids != nil {
			t.Errorf("delivered %v although the push failed", ids)
		}
	})
}

func TestPartialSuccess(t *testing.T) {
	tests := []struct {
		rejected  int64
		delivered int
		reason    otlp.Reason
	}{
		{0, 1, ""}, // a remark, not a failure
		{1, 1, otlp.Partial},
		{1000, 0, otlp.Partial}, // everything
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.rejected), func(t *testing.T) {
			b, log := &backend{}, &logtest.Log{}
			delivered := 0
			p := newTestPusher(t, b, log, func(o *Options) {
				o.Readings = func() []netatmo.Reading { return []netatmo.Reading{outdoor("02:00", time.Now(), 4)} }
				o.Delivered = func(_ time.Time, rs []netatmo.Reading) { delivered = len(rs) }
			})
			b.answer = func(*colmetricpb.ExportMetricsServiceRequest) (*colmetricpb.ExportMetricsServiceResponse, error) {
				return &colmetricpb.ExportMetricsServiceResponse{PartialSuccess: &colmetricpb.ExportMetricsPartialSuccess{
					RejectedDataPoints: tt.rejected, ErrorMessage: "the label is too long",
				}}, nil
			}
			reason := otlp.Reason("")
			if f := otlp.Classify(p.PushNow(t.Context())); f != nil {
				reason = f.Reason
			}
			if reason != tt.reason || delivered != tt.delivered {
				t.Errorf("reason %q, %d delivered; want %q, %d", reason, delivered, tt.reason, tt.delivered)
			}
			if log.Count("the label is too long") != 1 {
				t.Errorf("the backend's message is not in the log once:\n%s", log)
			}
		})
	}
}

// refuse answers a request that contains a module with an error.
func refuse(id string, err error) func(*colmetricpb.ExportMetricsServiceRequest) (*colmetricpb.ExportMetricsServiceResponse, error) {
	return func(r *colmetricpb.ExportMetricsServiceRequest) (*colmetricpb.ExportMetricsServiceResponse, error) {
		for _, s := range samples(r) {
			if strings.Contains(s.series, "module.id="+id+",") {
				return nil, err
			}
		}
		return nil, nil
	}
}

func TestOneBadModuleCostsNoOther(t *testing.T) {
	b, log := &backend{}, &logtest.Log{}
	var readings []netatmo.Reading
	for i := range 6 {
		readings = append(readings, outdoor(fmt.Sprintf("02:0%d", i), time.Now(), float64(i)))
	}
	var delivered []string
	p := newTestPusher(t, b, log, func(o *Options) {
		o.Readings = func() []netatmo.Reading { return readings }
		o.Delivered = func(_ time.Time, rs []netatmo.Reading) {
			for _, r := range rs {
				delivered = append(delivered, r.ModuleID)
			}
		}
	})
	b.answer = refuse("02:03", status.Error(codes.InvalidArgument, "label value too long"))
	if f := otlp.Classify(p.PushNow(t.Context())); f == nil || f.Reason != otlp.Refused {
		t.Errorf("failure %v, want refused", f)
	}
	slices.Sort(delivered)
	if want := []string{"02:00", "02:01", "02:02", "02:04", "02:05"}; !slices.Equal(delivered, want) {
		t.Errorf("delivered %v, want %v", delivered, want)
	}
	if n := len(b.held("netatmo.agent.info", "")); n != 1 {
		t.Errorf("%d points of the agent itself, want 1", n)
	}

	// If the backend accepts nothing at all, the agent does not try each
	// module.
	before := b.count()
	b.answer = func(*colmetricpb.ExportMetricsServiceRequest) (*colmetricpb.ExportMetricsServiceResponse, error) {
		return nil, status.Error(codes.InvalidArgument, "no metrics here")
	}
	if err := p.PushNow(t.Context()); err == nil {
		t.Error("no error")
	}
	if n := b.count() - before; n != 3 {
		t.Errorf("%d requests, want 3", n)
	}
}

// Only the agent splits requests, and some backends accept 500 kB at most.
func TestLargeAccountIsSplit(t *testing.T) {
	var readings []netatmo.Reading
	for i := range 2100 {
		r := outdoor(fmt.Sprintf("02:00:00:%06x", i), time.Now(), truth(i, time.Now()))
		r.ModuleName = "A rather long name of a module in a garden, number " + r.ModuleID
		for _, f := range []netatmo.Field{netatmo.TemperatureMin, netatmo.TemperatureMax, netatmo.TemperatureTrend,
			netatmo.MeasurementTime, netatmo.BatteryPercent, netatmo.BatteryVoltage} {
			r.Values = append(r.Values, netatmo.Value{Field: f, Number: 1})
		}
		readings = append(readings, r)
	}
	b, delivered := &backend{}, 0
	p := newTestPusher(t, b, &logtest.Log{}, func(o *Options) {
		o.Readings = func() []netatmo.Reading { return readings }
		o.Delivered = func(_ time.Time, rs []netatmo.Reading) { delivered += len(rs) }
	})
	if err := p.PushNow(t.Context()); err != nil {
		t.Fatal(err)
	}
	stamps, points := map[time.Time]bool{}, 0
	for i, r := range b.requests {
		all := samples(r)
		points += len(all)
		if len(all) > maxValues || encodedSize(r) > 512<<10 {
			t.Errorf("request %d: %d points in %d bytes", i, len(all), encodedSize(r))
		}
		for _, s := range all {
			stamps[s.at] = true
		}
	}
	if points < 9*2100 || delivered != 2100 || len(stamps) != 1 {
		t.Errorf("%d points, %d modules delivered, %d different times", points, delivered, len(stamps))
	}
	if got := b.held("netatmo.temperature", "02:00:00:0007d0"); len(got) != 1 {
		t.Errorf("module 2000 has %d points", len(got))
	}
}

func TestAnOutageIsTriedSoonAndLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, log, start := &backend{}, &logtest.Log{}, time.Now()
		b.answer = func(*colmetricpb.ExportMetricsServiceRequest) (*colmetricpb.ExportMetricsServiceResponse, error) {
			if time.Since(start) < 5*time.Minute {
				return nil, status.Error(codes.Unavailable, "away")
			}
			return nil, nil
		}
		p := newTestPusher(t, b, log, nil)
		stop := running(t, p)
		b.wake()
		time.Sleep(7 * time.Minute)
		stop()
		for i, seconds := range []int{5, 10, 20, 40, 60, 60, 60} { // up to a fifth less, so that agents do not retry together
			pause := time.Duration(seconds) * time.Second
			if got := b.times[i+1].Sub(b.times[i]); got > pause || got < pause*4/5 {
				t.Errorf("pause %d is %s, want about %s", i, got, pause)
			}
		}
		if log.Count("level=WARN") != 1 || log.Count("push works again") != 1 {
			t.Errorf("want one line for the outage and one for its end:\n%s", log)
		}
		if s := p.Stats(); s.Failures[otlp.Unreachable] < 8 || s.Points == 0 || s.LastSuccess.IsZero() {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestTheBackendsRetryDelayIsRespected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, log, start := &backend{}, &logtest.Log{}, time.Now()
		throttle, err := status.New(codes.ResourceExhausted, "slow down").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(5 * time.Minute)})
		if err != nil {
			t.Fatal(err)
		}
		b.answer = func(*colmetricpb.ExportMetricsServiceRequest) (*colmetricpb.ExportMetricsServiceResponse, error) {
			if len(b.requests) == 1 {
				return nil, throttle.Err()
			}
			return nil, nil
		}
		p := newTestPusher(t, b, log, nil)
		stop := running(t, p)
		time.Sleep(61 * time.Second)
		if next := p.Stats().Next.Sub(start); next != 6*time.Minute {
			t.Errorf("the next push is announced for %s after the start, want 6m", next)
		}
		b.wake()
		_, _, err = pushHistory(t.Context(), p, now("02:00"))
		if f := otlp.Classify(err); f == nil || f.Reason != otlp.Throttled || f.RetryAfter != 5*time.Minute-time.Second {
			t.Errorf("history while the backend wants a pause: %v", err)
		}
		time.Sleep(5 * time.Minute)
		stop()
		if want, got := []int{60, 360, 361}, b.since(start); !slices.Equal(got, want) {
			t.Errorf("pushes after %v seconds, want %v", got, want)
		}
	})
}

// However long a backend asks to wait, the agent waits no longer than a value
// is repeated, and still attempts the last push.
func TestTheWaitIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, log, start := &backend{}, &logtest.Log{}, time.Now()
		throttle, err := status.New(codes.Unavailable, "later").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(1e9 * time.Second)})
		if err != nil {
			t.Fatal(err)
		}
		b.answer = func(*colmetricpb.ExportMetricsServiceRequest) (*colmetricpb.ExportMetricsServiceResponse, error) {
			return nil, throttle.Err()
		}
		p := newTestPusher(t, b, log, nil) // values are repeated for 20 minutes
		stop := running(t, p)
		time.Sleep(25 * time.Minute)
		stop()
		if want, got := []int{60, 21 * 60, 25 * 60}, b.since(start); !slices.Equal(got, want) {
			t.Errorf("pushes after %v seconds, want %v", got, want)
		}
		if log.Count("waiting_until=2000-01-01T00:21:00") != 1 {
			t.Errorf("log:\n%s", log)
		}
	})
}

func TestTheLastPushTakesFiveSecondsAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{delay: time.Hour}
		p := newTestPusher(t, b, &logtest.Log{}, nil)
		stop := running(t, p)
		b.wake()
		time.Sleep(time.Second)
		start := time.Now()
		stop()
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("the stop took %s", took)
		}
	})
}

func TestResources(t *testing.T) {
	b := &backend{}
	var got []map[string]string
	p := newTestPusher(t, b, &logtest.Log{}, func(o *Options) {
		o.Push.ServiceNamespace = "home"
		o.Push.Attributes = map[string]string{"deployment.environment": "cellar"}
	})
	if err := p.PushNow(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := pushHistory(t.Context(), p, now("02:00")); err != nil {
		t.Fatal(err)
	}
	for _, r := range b.requests {
		if len(r.GetResourceMetrics()) != 1 || len(r.GetResourceMetrics()[0].GetScopeMetrics()) != 1 {
			t.Fatalf("not one resource and one scope: %v", r)
		}
		if scope := r.GetResourceMetrics()[0].GetScopeMetrics()[0].GetScope(); scope.GetName() != "netatmo-agent" || scope.GetVersion() != "" {
			t.Errorf("scope %v", scope)
		}
		got = append(got, otlp.Points(r)[0].Resource)
	}
	identifying := map[string]string{"service.name": "netatmo-agent", "service.namespace": "home", "service.instance.id": "an-instance"}
	identifying["deployment.environment"] = "cellar"
	if !maps.Equal(got[0], identifying) {
		t.Errorf("live resource %v, want %v", got[0], identifying)
	}
	if !maps.Equal(got[1], identifying) {
		t.Errorf("history's resource %v, want %v", got[1], identifying)
	}
}
