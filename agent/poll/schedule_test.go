package poll_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"netatmo-agent/agent/netatmo"
)

// uploader is a weather station that uploads at its own pace; each upload shows
// what was measured lag before.
type uploader struct {
	id          string
	phase, step time.Duration
	lag         time.Duration
	silent      func(t time.Time) bool // no upload at t
	start       time.Time
}

// shown returns the newest upload before t, and when it was measured.
func (u *uploader) shown(t time.Time) (at, measured time.Time) {
	n := math.Floor(float64(t.Sub(u.start)-u.phase) / float64(u.step))
	for {
		at = u.start.Add(u.phase + time.Duration(n*float64(u.step)))
		if u.silent == nil || !u.silent(at) {
			return at, at.Add(-u.lag).Truncate(time.Second)
		}
		n--
	}
}

// follow lets an agent follow the stations for a time after it has learned
// their pace. It returns how long after each upload the agent knew it, the
// number of uploads that it missed, and of polls in an hour.
func follow(t *testing.T, learn, length time.Duration, stations ...*uploader) (delays []time.Duration, missed int, perHour float64) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		for _, u := range stations {
			u.start = begin
		}
		last := map[string]time.Time{}
		a := newAgent(t, &fake{weather: func() (netatmo.Answer, error) {
			var rs []netatmo.Reading
			now := time.Now()
			for _, u := range stations {
				at, measured := u.shown(now)
				rs = append(rs, outdoor(u.id, u.id, measured, 1))
				if prev := last[u.id]; now.Sub(begin) > learn && !prev.IsZero() && at.After(prev) {
					delays = append(delays, now.Sub(at))
					missed += int(math.Round(float64(at.Sub(prev))/float64(u.step))) - 1
				}
				last[u.id] = at
			}
			return answer(rs...), nil
		}}, netatmo.Weather)
		a.cfg.Interval = 0
		a.backend.interval = time.Hour
		a.start()
		a.sleep(learn)
		before := len(a.fake.calls("weather"))
		a.sleep(length)
		perHour = float64(len(a.fake.calls("weather"))-before) / length.Hours()
		a.kill()
	})
	slices.Sort(delays)
	return delays, missed, perHour
}

func TestFollow(t *testing.T) {
	const second, minute = time.Second, time.Minute
	one := func(phase, step, lag time.Duration) []*uploader {
		return []*uploader{{id: "s", phase: phase, step: step, lag: lag}}
	}
	tests := map[string]struct {
		stations    []*uploader
		median, p95 time.Duration
		perUpload   float64 // polls
	}{
		"usual":            {one(100*second, 605700*time.Millisecond, 5*second), 10 * second, 15 * second, 1.2},
		"slow cloud":       {one(300*second, 605300*time.Millisecond, 50*second), 10 * second, 15 * second, 1.2},
		"just uploaded":    {one(0, 606*second, 6*second), 10 * second, 15 * second, 1.2},
		"every 5 minutes":  {one(20*second, 302*second, 4*second), 6 * second, 10 * second, 1.2},
		"every 10 seconds": {one(3*second, 10*second, 90*time.Millisecond), 500 * time.Millisecond, time.Second, 1.3},
		"every 4 seconds":  {one(time.Second, 4*second, 40*time.Millisecond), 300 * time.Millisecond, time.Second, 1.8},
		"two, far apart": {[]*uploader{
			{id: "a", phase: 100 * second, step: 605700 * time.Millisecond, lag: 5 * second},
			{id: "b", phase: 400 * second, step: 605700 * time.Millisecond, lag: 5 * second},
		}, 10 * second, 15 * second, 1.3},
		"three, close together": {[]*uploader{
			{id: "a", phase: 100 * second, step: 605700 * time.Millisecond, lag: 5 * second},
			{id: "b", phase: 102 * second, step: 605700 * time.Millisecond, lag: 5 * second},
			{id: "c", phase: 104 * second, step: 605700 * time.Millisecond, lag: 5 * second},
		}, 12 * second, 20 * second, 0.5},
		"two, 20 seconds apart": {[]*uploader{
			{id: "a", phase: 100 * second, step: 605700 * time.Millisecond, lag: 5 * second},
			{id: "b", phase: 120 * second, step: 605700 * time.Millisecond, lag: 5 * second},
		}, 10 * second, 15 * second, 1.3},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			step := test.stations[0].step
			delays, missed, perHour := follow(t, 25*minute+10*step, 200*step, test.stations...)
			uploads := float64(len(test.stations)) * time.Hour.Hours() * 3600 / step.Seconds()
			median, p95 := delays[len(delays)/2], delays[len(delays)*95/100]
			t.Logf("%d uploads: median %s, 95th percentile %s, %d missed, %.2f polls each", len(delays), median, p95, missed, perHour/uploads)
			if median > test.median || p95 > test.p95 || missed > 0 || perHour/uploads > test.perUpload {
				t.Error("not good enough")
			}
		})
	}
}

// Many stations need about one poll a minute.
func TestFollowMany(t *testing.T) {
	var stations []*uploader
	for i := range 200 {
		stations = append(stations, &uploader{
			id: fmt.Sprint(i), phase: time.Duration(i) * 3030 * time.Millisecond, step: 606 * time.Second, lag: 5 * time.Second,
		})
	}
	delays, missed, perHour := follow(t, time.Hour, 2*time.Hour, stations...)
	t.Logf("median %s, most %s, %d missed, %.0f polls an hour", delays[len(delays)/2], delays[len(delays)-1], missed, perHour)
	if perHour > 70 || missed > 0 || delays[len(delays)/2] > time.Minute {
		t.Error("not good enough")
	}
}

// A silent station is polled at least every ten minutes, hardly more often, and
// followed again when it is back.
func TestSilentStation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		away := func(at time.Time) bool { return at.Sub(begin) > 5*time.Hour && at.Sub(begin) < 29*time.Hour }
		u := &uploader{id: "s", phase: 100 * time.Second, step: 605700 * time.Millisecond, lag: 5 * time.Second, silent: away, start: begin}
		var delays []time.Duration
		var last time.Time
		a := newAgent(t, &fake{weather: func() (netatmo.Answer, error) {
			at, measured := u.shown(time.Now())
			if at.After(last) && at.Sub(begin) > 29*time.Hour {
				delays = append(delays, time.Since(at))
			}
			last = at
			return answer(outdoor("s", "s", measured, 1)), nil
		}}, netatmo.Weather)
		a.cfg.Interval = 0
		a.start()
		a.sleep(48 * time.Hour)
		a.kill()

		calls := a.fake.calls("weather")
		silent := 0
		for i, at := range calls[1:] {
			if wait := at.Sub(calls[i]); wait > 607*time.Second {
				t.Errorf("%s between two polls, at %s", wait, at.Sub(begin))
			}
			if away(at) {
				silent++
			}
		}
		if silent > 24*6+10 {
			t.Errorf("%d polls in 24 silent hours", silent)
		}
		t.Logf("%d polls in 24 silent hours, first upload seen after %s, median then %s", silent, delays[0], delays[len(delays)/2])
		slices.Sort(delays[1:])
		if delays[0] > 607*time.Second || delays[len(delays)/2] > 10*time.Second || len(delays) < 112 {
			t.Errorf("after the silence: %v", delays)
		}
	})
}

// A station that uploads out of turn, because its button was pressed, is still
// followed at its pace.
func TestButton(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		u := &uploader{id: "s", phase: 100 * time.Second, step: 605700 * time.Millisecond, lag: 5 * time.Second, start: begin}
		pressed := map[time.Duration]bool{}
		a := newAgent(t, &fake{weather: func() (netatmo.Answer, error) {
			_, measured := u.shown(time.Now())
			for h := range 20 { // the third minute of every hour
				if at := begin.Add(time.Duration(h)*time.Hour + 3*time.Minute); h > 2 && at.After(measured) && time.Since(at) > 5*time.Second {
					measured = at
					pressed[time.Duration(h)] = true
				}
			}
			return answer(outdoor("s", "s", measured, 1)), nil
		}}, netatmo.Weather)
		a.cfg.Interval = 0
		a.start()
		a.sleep(20 * time.Hour)
		a.kill()
		if n := len(a.fake.calls("weather")); n > 200 || len(pressed) == 0 {
			t.Errorf("%d polls in 20 hours, %d extra uploads seen", n, len(pressed))
		}
	})
}

// A fixed interval is kept, whatever the stations do.
func TestFixedInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &uploader{id: "s", step: 606 * time.Second, lag: 5 * time.Second, start: time.Now()}
		a := newAgent(t, &fake{weather: func() (netatmo.Answer, error) {
			_, measured := u.shown(time.Now())
			return answer(outdoor("s", "s", measured, 1)), nil
		}}, netatmo.Weather)
		a.cfg.Interval = 7 * time.Minute
		a.start()
		a.sleep(24 * time.Hour)
		a.kill()
		calls := a.fake.calls("weather")
		for i, at := range calls[1:] {
			if wait := at.Sub(calls[i]); wait != 7*time.Minute {
				t.Fatalf("%s between two polls", wait)
			}
		}
		if len(a.backend.history) > 0 {
			t.Error("gaps were filled although there was none")
		}
	})
}

// The pace of a station is known after a restart, so that the first poll
// already follows it.
func TestPaceSurvivesRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &uploader{id: "s", phase: 100 * time.Second, step: 606 * time.Second, lag: 5 * time.Second, start: time.Now()}
		a := newAgent(t, &fake{weather: func() (netatmo.Answer, error) {
			_, measured := u.shown(time.Now())
			return answer(outdoor("s", "s", measured, 1)), nil
		}}, netatmo.Weather)
		a.cfg.Interval = 0
		a.start()
		a.sleep(2 * time.Hour)
		a.terminate()
		before := len(a.fake.calls("weather"))
		a.start()
		a.sleep(30 * time.Minute)
		a.kill()
		if n := len(a.fake.calls("weather")) - before; n > 6 {
			t.Errorf("%d polls in the half hour after a restart", n)
		}
	})
}
