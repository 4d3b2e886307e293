package telemetry

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"netatmo-agent/agent/logtest"
	"netatmo-agent/agent/netatmo"
)

// Whatever the backend has of each module already, and whatever its window:
// afterwards it has all of the history that it can accept, except for at most a
// sixteenth of the age at which the history begins if the window is unknown.
func TestHistoryIntoAnyState(t *testing.T) {
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			windows := []time.Duration{0, 0, 20 * time.Minute, 3 * time.Hour, 8 * time.Hour}
			b := &backend{bounded: true, window: windows[random.IntN(len(windows))], partial: random.IntN(3) == 0}
			p := newTestPusher(t, b, &logtest.Log{}, nil)
			now, modules := time.Now(), 1+random.IntN(5)
			newest := make([]time.Duration, modules) // age of the backend's newest sample
			for m := range newest {
				newest[m] = time.Hour
				if random.IntN(2) == 0 {
					newest[m] = time.Duration(random.IntN(50)) * time.Minute
					r := outdoor(moduleID(m), now, 0)
					ahead := measurement{Reading: r, Time: now.Add(-newest[m]), Values: r.Values[:1]}
					ahead.Values = netatmo.Values{{Field: netatmo.Temperature, Number: truth(m, ahead.Time)}}
					if _, _, err := pushHistory(t.Context(), p, []measurement{ahead}); err != nil {
						t.Fatal(err)
					}
				}
			}
			points := past(modules, time.Duration(1+random.IntN(6*60))*time.Minute, 0)
			before := p.Stats()
			done, _, err := pushHistory(t.Context(), p, points)
			if err != nil || done != len(points) {
				t.Fatalf("seed %d: %d of %d done, %v", seed, done, len(points), err)
			}
			s := p.Stats()
			if n := s.BackfillPoints + s.BackfillRefused - before.BackfillPoints - before.BackfillRefused; n != int64(2*len(points)) {
				t.Errorf("seed %d: %d of %d values counted", seed, n, 2*len(points))
			}
			if n := b.count(); n > 60*modules {
				t.Errorf("seed %d: %d requests", seed, n)
			}
			for m := range modules {
				limit := max(newest[m]*15/16-time.Second, b.window)
				for _, h := range points {
					if h.Reading.ModuleID != moduleID(m) || now.Sub(h.Time) >= limit {
						continue
					}
					if v, ok := b.held("netatmo.temperature", "module.id="+moduleID(m)+",")[h.Time]; !ok || v != truth(m, h.Time) {
						t.Errorf("seed %d, window %s: module %d lacks %s ago (it had %s ago)", seed, b.window, m, now.Sub(h.Time), newest[m])
					}
				}
			}
		})
	}
}
