package telemetry

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	colmetricpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"netatmo-agent/agent/netatmo"
)

// past returns the history of some outdoor modules, a measurement every five
// minutes from 'from' ago to 'to' ago, each module with an offset of its own.
func past(modules int, from, to time.Duration) []netatmo.Measurement {
	var all []netatmo.Measurement
	now := time.Now()
	for at := now.Add(-from).Truncate(time.Second); at.Before(now.Add(-to)); at = at.Add(5 * time.Minute) {
		for m := range modules {
			t := at.Add(time.Duration(m) * 7 * time.Second)
			all = append(all, netatmo.Measurement{
				Reading: outdoor(moduleID(m), t, 0), Time: t,
				Values: netatmo.Values{{Field: netatmo.Temperature, Number: truth(m, t)}, {Field: netatmo.Humidity, Number: 50}},
			})
		}
	}
	return all
}

func moduleID(m int) string { return fmt.Sprintf("02:00:00:%06x", m) }

// check compares what the backend has of a module's temperature with the
// truth: nothing else, and everything from 'from' on that is in want.
func (b *backend) check(t *testing.T, m int, want []netatmo.Measurement, from time.Time) {
	t.Helper()
	got := b.held("netatmo.temperature", "module.id="+moduleID(m)+",")
	expected := 0
	for _, h := range want {
		if h.Reading.ModuleID != moduleID(m) || h.Time.Before(from) {
			continue
		}
		expected++
		if v, ok := got[h.Time]; !ok || v != truth(m, h.Time) {
			t.Errorf("module %d at %s: %v (there: %t), want %v", m, h.Time.Format(time.TimeOnly), v, ok, truth(m, h.Time))
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
		p := newTestPusher(t, b, &testLog{}, func(o *Options) {
			o.ExporterNames = exporterNames
			o.Readings = func() []netatmo.Reading { return []netatmo.Reading{outdoor(moduleID(0), time.Now(), 1)} }
		})
		points := past(1, time.Hour, 0)
		done, refused, err := p.PushHistory(t.Context(), points)
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
		held    time.Duration // everything younger is there
	}{
		{"takes everything", false, false, false, 0, 48 * time.Hour},
		{"a Prometheus as it comes", true, false, false, 0, 55 * time.Minute},
		{"a Prometheus behind a Collector", true, false, true, 0, 55 * time.Minute},
		{"a window of ten hours", true, false, false, 10 * time.Hour, 10 * time.Hour},
		{"a window of ten hours behind a Collector", true, false, true, 10 * time.Hour, 10 * time.Hour},
		{"a window of half an hour", true, false, false, 30 * time.Minute, 59 * time.Minute}, // fresh series: an hour
		{"a window longer than the gap", true, false, false, 72 * time.Hour, 48 * time.Hour},
		{"Mimir: takes a part", true, true, false, 10 * time.Hour, 10 * time.Hour},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, log := &backend{bounded: tt.bounded, partial: tt.partial, mute: tt.mute, window: tt.window}, &testLog{}
				p := newTestPusher(t, b, log, nil)
				points := past(2, day, 0)
				done, refused, err := p.PushHistory(t.Context(), points)
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
				if said := log.lines("level=WARN") == 1; said != refuses {
					t.Errorf("log:\n%s", log)
				}
				if said := log.lines("storage.tsdb.out_of_order_time_window") == 1; said != refuses {
					t.Errorf("log:\n%s", log)
				}
				if said := log.lines("newest=") == 1; said != (refuses && !tt.partial) {
					t.Errorf("log:\n%s", log)
				}
				stats := p.Stats()
				if stats.BackfillPoints+stats.BackfillRefused != int64(2*len(points)) || len(stats.Failures) > 0 {
					t.Errorf("stats %+v for %d measurements", stats, len(points))
				}
				if n := b.count(); n > 100 {
					t.Errorf("%d requests", n)
				}

				// It is said once; the next gap is no news.
				if _, _, err := p.PushHistory(t.Context(), past(1, 2*day, 47*time.Hour)); err != nil {
					t.Fatal(err)
				}
				if n := log.lines("level=WARN"); n > 1 {
					t.Errorf("%d warnings", n)
				}
			})
		})
	}
}

// One module is ahead in the backend; the others lose nothing by it.
func TestHistoryOfOneModuleAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{bounded: true}
		p := newTestPusher(t, b, &testLog{}, nil)
		ahead := past(1, 50*time.Minute, 20*time.Minute)
		if _, _, err := p.PushHistory(t.Context(), ahead); err != nil {
			t.Fatal(err)
		}
		points := past(4, 50*time.Minute, 0)
		_, refused, err := p.PushHistory(t.Context(), points)
		if err != nil {
			t.Fatal(err)
		}
		for m := range 4 {
			b.check(t, m, points, time.Now().Add(-time.Hour))
		}
		// The newest that it had was taken again: same time, same value.
		if refused != len(ahead)-1 {
			t.Errorf("%d refused, want the %d that were there", refused, len(ahead)-1)
		}
	})
}

// After a crash the marks are older than the live points that the backend has.
// Those are refused one after another, however fast the modules measure, and
// nothing that is newer.
func TestHistoryBesideNewerLivePoints(t *testing.T) {
	for _, mute := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			b := &backend{bounded: true, mute: mute}
			r := outdoor(moduleID(0), time.Now(), truth(0, time.Now()))
			p := newTestPusher(t, b, &testLog{}, func(o *Options) {
				o.Readings = func() []netatmo.Reading { return []netatmo.Reading{r} }
			})
			start := time.Now()
			time.Sleep(17 * time.Second)
			if err := p.PushNow(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Minute)
			var points []netatmo.Measurement
			for at := start; at.Before(time.Now()); at = at.Add(5 * time.Second) {
				points = append(points, netatmo.Measurement{Reading: r, Time: at, Values: netatmo.Values{{Field: netatmo.Temperature, Number: truth(0, at)}}})
			}
			done, refused, err := p.PushHistory(t.Context(), points)
			if err != nil || refused != 4 || done != len(points) {
				t.Errorf("mute: %t: %d of %d done, %d refused, %v; want the 4 before the live point refused", mute, done, len(points), refused, err)
			}
		})
	}
}

// The request took effect but its answer got lost: what is pushed again is
// refused as out of order, and what is new beside it is not lost.
func TestHistoryFailedButTookEffect(t *testing.T) {
	for _, window := range []time.Duration{0, 6 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			b := &backend{bounded: true, window: window, lost: 1}
			p := newTestPusher(t, b, &testLog{}, nil)
			points := past(3, 50*time.Minute, 0)
			done, _, err := p.PushHistory(t.Context(), points)
			if f := Classify(err); f == nil || f.Reason != reasonTimeout || done != 0 {
				t.Fatalf("%d done, %v", done, err)
			}
			time.Sleep(6 * time.Minute)
			again := append(points, past(3, 5*time.Minute, 0)...)
			if done, _, err = p.PushHistory(t.Context(), again); err != nil || done != len(again) {
				t.Fatalf("%d of %d done, %v", done, len(again), err)
			}
			for m := range 3 {
				b.check(t, m, again, time.Now().Add(-time.Hour))
			}
		})
	}
}

// What a passing failure interrupts is left to the next call, oldest first.
func TestHistoryInterrupted(t *testing.T) {
	b := &backend{}
	p := newTestPusher(t, b, &testLog{}, nil)
	points := past(5, 120*time.Hour, 0) // 14 400 values
	b.answer = func(*colmetricpb.ExportMetricsServiceRequest) (*colmetricpb.ExportMetricsServiceResponse, error) {
		if len(b.requests) == 3 {
			return nil, status.Error(codes.Unavailable, "away")
		}
		return nil, nil
	}
	done, _, err := p.PushHistory(t.Context(), points)
	if f := Classify(err); f == nil || f.Reason != reasonUnreachable || done != 5000 {
		t.Fatalf("%d done, %v; want two full requests accepted", done, err)
	}
	if done, refused, err := p.PushHistory(t.Context(), points[done:]); err != nil || done != len(points)-5000 || refused != 0 {
		t.Fatalf("%d done, %d refused, %v", done, refused, err)
	}
	for i, r := range b.requests {
		all := samples(r)
		if len(all) > 5000 {
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
	if s := p.Stats(); s.Failures[reasonUnreachable] != 1 {
		t.Errorf("stats %+v", s)
	}
}

func TestHistoryIsSortedAndGivesUpWhenCancelled(t *testing.T) {
	b := &backend{}
	p := newTestPusher(t, b, &testLog{}, nil)
	points := past(1, time.Hour, 0)
	slices.Reverse(points)
	if _, _, err := p.PushHistory(t.Context(), points); err != nil {
		t.Fatal(err)
	}
	var times []time.Time
	for _, s := range samples(b.requests[0]) {
		if strings.HasPrefix(s.series, "netatmo.temperature{") {
			times = append(times, s.at)
		}
	}
	if !slices.IsSortedFunc(times, time.Time.Compare) {
		t.Errorf("not ascending: %v", times)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if done, _, err := p.PushHistory(ctx, points); !errors.Is(err, context.Canceled) || done != 0 {
		t.Errorf("%d done, %v", done, err)
	}
}

func TestHistoryPartlyAccepted(t *testing.T) {
	b, log := &backend{}, &testLog{}
	p := newTestPusher(t, b, log, nil)
	b.answer = func(*colmetricpb.ExportMetricsServiceRequest) (*colmetricpb.ExportMetricsServiceResponse, error) {
		return &colmetricpb.ExportMetricsServiceResponse{PartialSuccess: &colmetricpb.ExportMetricsPartialSuccess{
			RejectedDataPoints: 3, ErrorMessage: "err-mimir-sample-timestamp-too-old",
		}}, nil
	}
	points := past(1, time.Hour, 0)
	done, refused, err := p.PushHistory(t.Context(), points)
	if err != nil || refused != 3 || done != len(points) {
		t.Errorf("%d done, %d refused, %v", done, refused, err)
	}
	if s := p.Stats(); s.BackfillRefused != 3 || s.BackfillPoints != int64(2*len(points)-3) {
		t.Errorf("stats %+v", s)
	}
	if log.lines("err-mimir-sample-timestamp-too-old") != 1 {
		t.Errorf("log:\n%s", log)
	}
}

// A backend that takes nothing does not refuse history for its age: it is kept
// for later.
func TestHistoryRefusedForAnotherReasonIsKept(t *testing.T) {
	b := &backend{}
	p := newTestPusher(t, b, &testLog{}, nil)
	b.answer = func(*colmetricpb.ExportMetricsServiceRequest) (*colmetricpb.ExportMetricsServiceResponse, error) {
		return nil, status.Error(codes.InvalidArgument, "no tenant")
	}
	done, _, err := p.PushHistory(t.Context(), past(1, time.Hour, 0))
	if f := Classify(err); f == nil || f.Reason != reasonRefused || done != 0 || b.count() != 2 {
		t.Errorf("%d done, %v, %d requests", done, err, b.count())
	}
}

func TestHistoryTooLargeIsHalved(t *testing.T) {
	b := &backend{}
	p := newTestPusher(t, b, &testLog{}, nil)
	b.answer = func(r *colmetricpb.ExportMetricsServiceRequest) (*colmetricpb.ExportMetricsServiceResponse, error) {
		if len(samples(r)) > 100 {
			return nil, status.Error(codes.ResourceExhausted, "grpc: received message larger than max (1 vs. 0)")
		}
		return nil, nil
	}
	points := past(2, 24*time.Hour, 0)
	if done, refused, err := p.PushHistory(t.Context(), points); err != nil || done != len(points) || refused != 0 {
		t.Errorf("%d done, %d refused, %v", done, refused, err)
	}
	b.check(t, 1, points, time.Time{})
}

// A long history holds a live push back for one request only.
func TestLivePushesGoBetween(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{delay: 3 * time.Second}
		p := newTestPusher(t, b, &testLog{}, nil)
		done := make(chan error, 1)
		go func() {
			_, _, err := p.PushHistory(t.Context(), past(5, 120*time.Hour, 0))
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
