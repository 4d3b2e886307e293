package e2e

import (
	"testing"
	"time"

	"netatmo-agent/agent/simcloud"
)

// window0 is the maximum age of a sample that Prometheus accepts without an
// out-of-order window: an hour, less the minutes until it is pushed.
const window0 = 55 * time.Minute

// longGap is an agent that was down for hours.
type longGap struct {
	setup
	away time.Duration
}

func (g longGap) String() string { return "away " + g.away.String() + "/" + g.setup.String() }

// longGaps are the cases to run. The longer one exceeds NETATMO_BACKFILL.
func longGaps(all bool) []longGap {
	var cases []longGap
	for i, away := range []time.Duration{6 * time.Hour, 48 * time.Hour} {
		for j, s := range setups() {
			if all || (i+j/2+j)%2 == 0 {
				cases = append(cases, longGap{s, away})
			}
		}
	}
	return cases
}

// TestLongGaps checks what a backend has after the agent was down for hours, at
// the real cadence and with all families. It begins with an old mark.
func TestLongGaps(t *testing.T) {
	t.Parallel()
	var results table
	atOnceEach(t, longGaps(everything()), 12, func(t *testing.T, g longGap) {
		t.Helper()
		results.add(g.String(), runLongGap(t, g))
	})
	t.Logf("\n%s", &results)
}

func runLongGap(t *testing.T, g longGap) result {
	t.Helper()
	r := newChain(t, g.setup, simcloud.Options{}, Env{"NETATMO_DEVICES": "weather,homecoach,energy", "OTEL_METRIC_EXPORT_INTERVAL": "2000"})
	sensors := sensorsOf(t, r.cloud)
	begin, newest := time.Now(), r.newest(sensors)
	old := state{Instance: "0c4f2a52-6a5d-4d3c-9d39-3b6d0f6a7c11", Marks: map[string]time.Time{}}
	for _, s := range sensors {
		old.Marks[s.ID] = begin.Add(-g.away).UTC()
	}
	r.agent.writeState(old)
	r.agent.Start()
	r.eventually("pushes every sensor", 3*time.Minute, func() bool { return pushedAfter(r.stored(), sensors, begin) })

	const backfill = 24 * time.Hour // NETATMO_BACKFILL
	x := r.truth()
	x.mark, x.hole = begin.Add(-g.away), time.Hour
	if g.away > backfill { // a sample at the limit may be beyond it when it is requested
		x.mark = begin.Add(-backfill + time.Minute)
	}
	stored := r.stored()
	res := result{firstPush: firstAfter(stored, begin)}
	for i, s := range sensors {
		x.until = newest[i]
		v := x.judge(s, stored)
		points, _ := pointsOf(stored, s.metric, s.ID)
		if oldest := begin.Add(-min(g.away, backfill) - time.Second); len(points) > 0 && points[0].Time.Before(oldest) {
			v.fault("%s: a point of %s, which was not to be filled", s, points[0].Time)
		}
		if want := int(min(g.away, backfill, r.horizon()) / (5 * time.Minute)); v.expected < want*49/50-3 {
			v.fault("%s: a gap of %d samples, want about %d", s, v.expected, want)
		}
		res.add(v)
	}
	res.silence, _ = outageCase{setup: g.setup}.silence(stored, begin, begin)
	r.check(res, len(sensors))
	return res
}

// newest returns the time of the newest sample of each sensor that the cloud
// has now. Everything measured before it is available now; everything after it
// is uploaded later.
func (r *chain) newest(sensors []sensor) []time.Time {
	r.t.Helper()
	var times []time.Time
	for _, s := range sensors {
		held := r.cloud.Held(s.ID, s.typ, time.Now().Add(-time.Hour), time.Now())
		if len(held) == 0 {
			r.t.Fatalf("%s: the cloud has nothing from the last hour", s)
		}
		times = append(times, held[len(held)-1].Time)
	}
	return times
}

// pushedAfter reports whether every sensor has a point after t.
func pushedAfter(stored []Series, sensors []sensor, t time.Time) bool {
	for _, s := range sensors {
		points, _ := pointsOf(stored, s.metric, s.ID)
		if len(points) == 0 || !points[len(points)-1].Time.After(t) {
			return false
		}
	}
	return true
}

// truth returns what the backend is compared with, at the real cadence.
func (r *chain) truth() truth {
	x := truth{stale: staleAge, held: func(s sensor, from, to time.Time) []simcloud.Sample {
		return r.cloud.Held(s.ID, s.typ, from, to)
	}}
	if r.backend == prometheusNoWindow {
		x.horizon = r.horizon()
	}
	return x
}

// horizon is the maximum age of a sample that the backend accepts.
func (r *chain) horizon() time.Duration {
	if r.backend == prometheusNoWindow {
		return window0
	}
	return 365 * 24 * time.Hour
}
