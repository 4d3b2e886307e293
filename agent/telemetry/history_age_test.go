package telemetry

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"netatmo-agent/agent/logtest"
)

// History arrives in slices of half an hour for each module, some with a single
// point. Points outside a backend's window, whether or not the backend says why
// it refuses them, cost about one request for each slice.
func TestHistoryInSlices(t *testing.T) {
	for _, mute := range []bool{false, true} {
		for _, points := range []int{1, 6} {
			t.Run(fmt.Sprintf("mute %t, %d points", mute, points), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b, log := &backend{bounded: true, mute: mute}, &logtest.Log{}
					p := newTestPusher(t, b, log, nil)
					all := past(1, 10*24*time.Hour, 0)
					parts, refused := 0, 0
					for rest := all; len(rest) > 0; parts++ {
						slice := rest[:min(points, len(rest))]
						n, r, err := pushHistory(t.Context(), p, slice)
						if err != nil || n != len(slice) {
							t.Fatalf("%d of %d done, %v", n, len(slice), err)
						}
						rest, refused = rest[n:], refused+r
						time.Sleep(5 * time.Millisecond)
					}
					b.check(t, 0, all, time.Now().Add(-55*time.Minute))
					if n := b.count(); refused < len(all)-12 || n > parts+parts/20+40 {
						t.Errorf("%d of %d points refused, %d requests for %d slices", refused, len(all), n, parts)
					}
					if log.Count("the backend refused") != 1 {
						t.Errorf("want one line:\n%s", log)
					}
				})
			})
		}
	}
}

// A backend whose window grows accepts older points again.
func TestHistoryAfterTheWindowGrows(t *testing.T) {
	for _, mute := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			b := &backend{bounded: true, mute: mute}
			p := newTestPusher(t, b, &logtest.Log{}, nil)
			points := past(1, 5*time.Hour, 2*time.Hour)
			if done, refused, err := pushHistory(t.Context(), p, points); err != nil || done != len(points) || refused != done {
				t.Fatalf("%d of %d done, %d refused, %v", done, len(points), refused, err)
			}
			b.mu.Lock()
			b.window = 10 * time.Hour
			b.mu.Unlock()
			if done, refused, err := pushHistory(t.Context(), p, points); err != nil || done != len(points) || refused != 0 {
				t.Errorf("%d of %d done, %d refused, %v; want all accepted", done, len(points), refused, err)
			}
			b.check(t, 0, points, time.Time{})
		})
	}
}
