package telemetry

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	colmetricpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"netatmo-agent/agent/logtest"
	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/otlp"
)

// past returns the history of some outdoor modules, a measurement every five
// minutes from 'from' ago to 'to' ago, each module with its own offset.
func past(modules int, from, to time.Duration) []measurement {
	var all []measurement
	now := time.Now()
	for m := range modules {
		for at := now.Add(-from).Truncate(time.Second); at.Before(now.Add(-to)); at = at.Add(5 * time.Minute) {
			t := at.Add(time.Duration(m) * 7 * time.Second)
			all = append(all, measurement{
				Reading: outdoor(moduleID(m), t, 0), Time: t,
				Values: netatmo.Values{{Field: netatmo.Temperature, Number: truth(m, t)}, {Field: netatmo.Humidity, Number: 50}},
			})
		}
	}
	return all
}

func moduleID(m int) string { return fmt.Sprintf("02:00:00:%06x", m) }

// check compares the backend's samples of a module's temperature with the
// truth: no others, and all of those since 'from' in want.
func (b *backend) check(t *testing.T, m int, want []measurement, from time.Time) {
	t.Helper()
	got := b.held("netatmo.temperature", "module.id="+moduleID(m)+",")
	expected := 0
	for _, h := range want {
		if h.Reading.ModuleID != moduleID(m) || h.Time.Before(from) {
			continue
		}
		expected++
		if v, ok := got[h.Time]; !ok || v != truth(m, h.Time) {
			t.Errorf("module %d at %s: %v (present: %t), want %v", m, h.Time.Format(time.TimeOnly), v, ok, truth(m, h.Time))
		}
	}
	if expected == 0 {
		t.Errorf("module %d: the test expects nothing", m)
	}
	for at, v := range got {
		if v != truth(m, at) {
			t.Errorf("module %d has %v at %s, want %v", m, v, at.Format(time.TimeOnly), truth(m, at))
		}
	}
}

func TestHistoryGoesIntoTheSeriesOfTheLivePoints(t *testing.T) {
	for _, exporterNames := range []bool{false, true} {
		b := &backend{}
		p := newTestPusher(t, b, &logtest.Log{}, func(o *Options) {
			o.ExporterNames = exporterNames
			o.Readings = func() []netatmo.Reading { return []netatmo.Reading{outdoor(moduleID(0), time.Now(), 1)} }
		})
		points := past(1, time.Hour, 0)
		done, refused, err := pushHistory(t.Context(), p, points)
		if err != nil || done != len(points) || refused != 0 {
			t.Fatalf("%d done, %d refused, %v", done, refused, err)
		}
		historic := map[string]bool{}
		for _, s := range samples(b.requests[0]) {
			historic[s.series] = true
		}
		if err := p.PushNow(t.Context()); err != nil {
			t.Fatal(err)
		}
		live := map[string]bool{}
		for _, s := range samples(b.requests[1]) {
			live[s.series] = true
		}
		if len(historic) != 2 {
			t.Errorf("history has %d series, want temperature and humidity", len(historic))
		}
		for s := range historic {
			if !live[s] {
				t.Errorf("no live point goes into %s", s)
			}
		}
	}
}

func TestHistoryByBackend(t *testing.T) {
	const day = 24 * time.Hour
	tests := []struct {
		name    string
		bounded bool
		partial bool
		mute    bool
		window  time.Duration
		held    time.Duration // everything younger must be present
	}{
		{"takes everything", false, false, false, 0, 48 * time.Hour},
		{"a Prometheus as it comes", true, false, false, 0, 55 * time.Minute},
		{"a Prometheus behind a Collector", true, false, true, 0, 55 * time.Minute},
		{"a window of ten hours", true, false, false, 10 * time.Hour, 10 * time.Hour},
		{"a window of ten hours behind a Collector", true, false, true, 10 * time.Hour, 10 * time.Hour},
		{"a window of half an hour", true, false, false, 30 * time.Minute, 59 * time.Minute}, // new series: an hour
		{"a window longer than the gap", true, false, false, 72 * time.Hour, 48 * time.Hour},
		{"Mimir: takes a part", true, true, false, 10 * time.Hour, 10 * time.Hour},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, log := &backend{bounded: tt.bounded, partial: tt.partial, mute: tt.mute, window: tt.window}, &logtest.Log{}
				p := newTestPusher(t, b, log, nil)
				points := past(2, day, 0)
				done, refused, err := pushHistory(t.Context(), p, points)
				if err != nil || done != len(points) {
					t.Fatalf("%d of %d done, %v", done, len(points), err)
				}
				for m := range 2 {
					b.check(t, m, points, time.Now().Add(-tt.held))
				}
				refuses := tt.bounded && tt.window < day
				if refuses != (refused > 0) {
					t.Errorf("%d refused", refused)
				}
				if said := log.Count("level=WARN") == 1; said != refuses {
					t.Errorf("log:\n%s", log)
				}
				if said := log.Count("storage.tsdb.out_of_order_time_window") == 1; said != refuses {
					t.Errorf("log:\n%s", log)
				}
				if said := log.Count("newest=") == 1; said != (refuses && !tt.partial) {
					t.Errorf("log:\n%s", log)
				}
				stats := p.Stats()
				if stats.BackfillPoints+stats.BackfillRefused != int64(2*len(points)) || len(stats.Failures) > 0 {
					t.Errorf("stats %+v for %d measurements", stats, len(points))
				}
				if n := b.count(); n > 100 {
					t.Errorf("%d requests", n)
				}

				// It is logged once; the next gap is not news.
				if _, _, err := pushHistory(t.Context(), p, past(1, 2*day, 47*time.Hour)); err != nil {
					t.Fatal(err)
				}
				if n := log.Count("level=WARN"); n > 1 {
					t.Errorf("%d warnings", n)
				}
			})
		})
	}
}

// One module is ahead in the backend; the others lose nothing.
func TestHistoryOfOneModuleAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{bounded: true}
		p := newTestPusher(t, b, &logtest.Log{}, nil)
		ahead := past(1, 50*time.Minute, 20*time.Minute)
		if _, _, err := pushHistory(t.Context(), p, ahead); err != nil {
			t.Fatal(err)
		}
		points := past(4, 50*time.Minute, 0)
		_, refused, err := pushHistory(t.Context(), p, points)
		if err != nil {
			t.Fatal(err)
		}
		for m := range 4 {
			b.check(t, m, points, time.Now().Add(-time.Hour))
		}
		// Its newest sample was accepted again: same time, same value.
		if refused != len(ahead)-1 {
			t.Errorf("%d refused, want the %d that it already had", refused, len(ahead)-1)
		}
	})
}

// After a crash the marks are older than the backend's live points. Samples
// before those are refused one after another, however fast the modules measure,
// but nothing newer is.
func TestHistoryBesideNewerLivePoints(t *testing.T) {
	for _, mute := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			b := &backend{bounded: true, mute: mute}
			r := outdoor(moduleID(0), time.Now(), truth(0, time.Now()))
			p := newTestPusher(t, b, &logtest.Log{}, func(o *Options) {
				o.Readings = func() []netatmo.Reading { return []netatmo.Reading{r} }
			})
			start := time.Now()
			time.Sleep(17 * time.Second)
			if err := p.PushNow(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Minute)
			var points []measurement
			for at := start; at.Before(time.Now()); at = at.Add(5 * time.Second) {
				points = append(points, measurement{Reading: r, Time: at, Values: netatmo.Values{{Field: netatmo.Temperature, Number: truth(0, at)}}})
			}
			done, refused, err := pushHistory(t.Context(), p, points)
			if err != nil || refused != 4 || done != len(points) {
				t.Errorf("mute: %t: %d of %d done, %d refused, %v; want the 4 before the live point refused", mute, done, len(points), refused, err)
			}
		})
	}
}

// The request took effect but its answer was lost: when it is repeated, its
// points are refused as out of order, and new ones beside them are not lost.
func TestHistoryFailedButTookEffect(t *testing.T) {
	for _, window := range []time.Duration{0, 6 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			b := &backend{bounded: true, window: window, lost: 1}
			p := newTestPusher(t, b, &logtest.Log{}, nil)
			points := past(3, 50*time.Minute, 0)
			done, _, err := pushHistory(t.Context(), p, points)
			if err != nil || done != len(points) {
				t.Fatalf("%d of %d done, %v", done, len(points), err)
			}
			time.Sleep(6 * time.Minute)
			again := append(points, past(3, 5*time.Minute, 0)...)
			if done, _, err = pushHistory(t.Context(), p, again); err != nil || done != len(again) {
				t.Fatalf("%d of %d done, %v", done, len(again), err)
			}
			for m := range 3 {
				b.check(t, m, again, time.Now().Add(-time.Hour))
			}
		})
	}
}

// What a temporary failure interrupts is left to the next call, oldest first.
func TestHistoryInterrupted(t *testing.T) {
	b := &backend{}
	p := newTestPusher(t, b, &logtest.Log{}, nil)
	points, away := past(5, 120*time.Hour, 0), true // 14 400 values
	b.answer = func(*colmetricpb.ExportMetricsServiceRequest) (*colmetricpb.ExportMetricsServiceResponse, error) {
		if away && len(b.requests) >= 3 {
			return nil, status.Error(codes.Unavailable, "away")
		}
		return nil, nil
	}
	done, _, err := pushHistory(t.Context(), p, points)
	if f := otlp.Classify(err); f == nil || f.Reason != otlp.Unreachable || done != 1000 {
		t.Fatalf("%d done, %v; want two full requests accepted", done, err)
	}
	away = false
	if done, refused, err := pushHistory(t.Context(), p, points[done:]); err != nil || done != len(points)-1000 || refused != 0 {
		t.Fatalf("%d done, %d refused, %v", done, refused, err)
	}
	for i, r := range b.requests {
		all := samples(r)
		if len(all) > maxValues {
			t.Errorf("request %d has %d points", i, len(all))
		}
		last := map[string]time.Time{}
		for _, s := range all {
			if s.at.Before(last[s.series]) {
				t.Fatalf("request %d goes back in time in %s", i, s.series)
			}
			last[s.series] = s.at
		}
	}
	for m := range 5 {
		b.check(t, m, points, time.Time{})
	}
	if s := p.Stats(); s.Failures[otlp.Unreachable] != 1 {
		t.Errorf("stats %+v", s)
	}
}

func TestHistoryGivesUpWhenCancelled(t *testing.T) {
	p := newTestPusher(t, &backend{}, &logtest.Log{}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if done, _, err := pushHistory(ctx, p, past(1, time.Hour, 0)); !errors.Is(err, context.Canceled) || done != 0 {
		t.Errorf("%d done, %v", done, err)
	}
}

func TestHistoryPartlyAccepted(t *testing.T) {
	b, log := &backend{}, &logtest.Log{}
	p := newTestPusher(t, b, log, nil)
	b.answer = func(*colmetricpb.ExportMetricsServiceRequest) (*colmetricpb.ExportMetricsServiceResponse, error) {
		return &colmetricpb.ExportMetricsServiceResponse{PartialSuccess: &colmetricpb.ExportMetricsPartialSuccess{
			RejectedDataPoints: 3, ErrorMessage: "err-mimir-sample-timestamp-too-old",
		}}, nil
	}
	points := past(1, time.Hour, 0)
	done, refused, err := pushHistory(t.Context(), p, points)
	if err != nil || refused != 3 || done != len(points) {
		t.Errorf("%d done, %d refused, %v", done, refused, err)
	}
	if s := p.Stats(); s.BackfillRefused != 3 || s.BackfillPoints != int64(2*len(points)-3) {
		t.Errorf("stats %+v", s)
	}
	if log.Count("err-mimir-sample-timestamp-too-old") != 1 {
		t.Errorf("log:\n%s", log)
	}
}

// A backend that accepts nothing does not refuse history for its age: history
// is kept for later.
func TestHistoryRefusedForAnotherReasonIsKept(t *testing.T) {
	b := &backend{}
	p := newTestPusher(t, b, &logtest.Log{}, nil)
	b.answer = func(*colmetricpb.ExportMetricsServiceRequest) (*colmetricpb.ExportMetricsServiceResponse, error) {
		return nil, status.Error(codes.InvalidArgument, "no tenant")
	}
	done, _, err := pushHistory(t.Context(), p, past(1, time.Hour, 0))
	if f := otlp.Classify(err); f == nil || f.Reason != otlp.Refused || done != 0 || b.count() != 2 {
		t.Errorf("%d done, %v, %d requests", done, err, b.count())
	}
}

// A long history delays a live push by one request only.
func TestLivePushesGoBetween(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{delay: 3 * time.Second}
		p := newTestPusher(t, b, &logtest.Log{}, nil)
		done := make(chan error, 1)
		go func() {
			_, _, err := pushHistory(t.Context(), p, past(5, 120*time.Hour, 0))
			done <- err
		}()
		waits := map[time.Duration]int{}
		for range 3 {
			time.Sleep(time.Second)
			start := time.Now()
			if err := p.PushNow(t.Context()); err != nil {
				t.Fatal(err)
			}
			waits[time.Since(start)]++
		}
		for wait := range maps.Keys(waits) {
			if wait > 6*time.Second { // the request under way, and its own
				t.Errorf("a live push took %s", wait)
			}
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}
