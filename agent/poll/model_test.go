package poll_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/simcloud"
)

var runs = flag.Uint64("runs", 6, "how many random histories TestRandomOutages goes through")

// TestRandomOutages makes collector, cloud, station and agent fail at random
// and then compares the backend's points with the cloud's: no sample may be
// missing from a period that live values do not cover, none may arrive twice,
// and every value must be one that its own sensor measured.
func TestRandomOutages(t *testing.T) {
	for seed := range *runs {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { randomOutages(t, seed) })
		})
	}
}

func randomOutages(t *testing.T, seed uint64) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 7))
	r := newRig(t, simcloud.Options{}, netatmo.Weather, netatmo.HomeCoach)
	r.backend.onLive = r.checkLive
	r.known.MaxGap = 72 * time.Hour
	r.start()
	begin := time.Now()
	time.Sleep(40 * time.Minute)

	var history []string // for the report
	killed := false
	running := map[string]func(){}
	for range 16 {
		names := make([]string, 0, len(outages))
		for name := range outages {
			names = append(names, name)
		}
		slices.Sort(names)
		name := names[random.IntN(len(names))]
		if end := running[name]; end != nil {
			end()
			delete(running, name)
			history = append(history, fmt.Sprintf("%s %s over", time.Since(begin), name))
		} else if !agentAway(running) || !agentOutage(name) {
			running[name] = outages[name](r)
			killed = killed || agentOutage(name)
			history = append(history, fmt.Sprintf("%s %s", time.Since(begin), name))
		}
		time.Sleep(time.Duration(random.ExpFloat64() * float64(50*time.Minute)))
	}
	for _, end := range running {
		end()
	}
	r.cloud.Down(false)
	r.backend.setDown(false)
	setOffline(r, false)
	time.Sleep(3 * time.Hour)
	r.terminate()

	lost, expected := r.lost(begin.Add(30*time.Minute), time.Now().Add(-2*time.Hour))
	t.Logf("%d samples expected where there are no live values, %d lost, %d points of history twice", expected, len(lost), r.backend.twice)
	if len(lost) > 0 || r.backend.twice > 0 && !killed {
		t.Errorf("lost: %v\n%v\n%s", lost, history, r.log)
	}
	r.checkValues()
}

func agentOutage(name string) bool {
	return name == "agent killed" || name == "agent stopped" || name == "collector away and agent killed"
}

func agentAway(running map[string]func()) bool {
	for name := range running {
		if agentOutage(name) {
			return true
		}
	}
	return false
}

// uncovered is the longest period without a point in a series that is not a
// gap: one upload was delivered live just before, the next one just before the
// following one is due.
const uncovered = 2 * 607 * time.Second

// lost lists the cloud's samples that the backend lacks in periods that no live
// value covers.
func (r *rig) lost(from, to time.Time) (lost []string, expected int) {
	for _, m := range r.cloud.Modules() {
		for _, c := range moduleHistory(m) {
			s := series{stationOf(m), m.ID, c.Field}
			live := r.backend.live(s)
			if len(live) == 0 {
				continue // not polled
			}
			for _, x := range r.cloud.Held(m.ID, c.Type, from, to) {
				n, _ := slices.BinarySearch(live, x.Time.UnixMilli())
				if n == 0 || n == len(live) || live[n]-live[n-1] <= uncovered.Milliseconds() {
					continue
				}
				if x.Time.After(r.backend.measured[s][live[n]]) {
					continue // uploaded after the live values had resumed
				}
				expected++
				if !r.backend.has(s, x.Time, x.Value) {
					lost = append(lost, fmt.Sprintf("%s %s at %s", m.Name, c.Type, x.Time.UTC().Format(time.DateTime)))
				}
			}
		}
	}
	return lost, expected
}

// live returns the times of the live points of a series, ascending.
func (b *backend) live(s series) []int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	var times []int64
	for ms := range b.points[s] {
		if !b.history[s][ms] {
			times = append(times, ms)
		}
	}
	slices.Sort(times)
	return times
}

// checkLive checks that a reading has the values that its own sensors measured.
func (r *rig) checkLive(now time.Time, x netatmo.Reading) {
	for _, m := range r.cloud.Modules() {
		if m.ID != x.ModuleID {
			continue
		}
		for _, c := range moduleHistory(m) {
			v, ok := x.Values.Get(c.Field)
			if !ok {
				continue
			}
			held := r.cloud.Held(m.ID, c.Type, x.Measured, x.Measured)
			if len(held) != 1 || held[0].Value != v {
				r.t.Errorf("at %s %s %s has %v, the cloud %v", now, m.Name, c.Type, v, held)
			}
		}
	}
}

// checkValues checks that every point of history is a sample of its own sensor.
func (r *rig) checkValues() {
	r.t.Helper()
	for _, m := range r.cloud.Modules() {
		for _, c := range moduleHistory(m) {
			s := series{stationOf(m), m.ID, c.Field}
			held := map[int64]float64{}
			for _, x := range r.cloud.Held(m.ID, c.Type, time.Unix(0, 0), time.Now()) {
				held[x.Time.UnixMilli()] = x.Value
			}
			for ms := range r.backend.history[s] {
				if v, ok := held[ms]; !ok || v != r.backend.points[s][ms] {
					r.t.Errorf("%s %s at %s: the backend has %v, the cloud %v", m.Name, c.Type, time.UnixMilli(ms), r.backend.points[s][ms], v)
				}
			}
		}
	}
}
