package poll_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"netatmo-agent/agent/netatmo"
)

// sampled answers like Netatmo for a module that measures every five minutes,
// without the samples for which skip is true.
func sampled(skip func(t time.Time) bool) func(netatmo.MeasureQuery) ([]netatmo.Sample, error) {
	return func(q netatmo.MeasureQuery) ([]netatmo.Sample, error) {
		var samples []netatmo.Sample
		at := q.Begin.Truncate(5 * time.Minute)
		for ; !at.After(q.End) && len(samples) < 1024; at = at.Add(5 * time.Minute) {
			if at.Before(q.Begin) || skip != nil && skip(at) {
				continue
			}
			first := netatmo.Value{Field: q.Columns[0].Field, Number: float64(at.Unix() % 1000)}
			samples = append(samples, netatmo.Sample{Time: at, Values: netatmo.Values{first}})
		}
		return samples, nil
	}
}

// twoModules is two stations with a module each; the second's can be away.
type twoModules struct{ away bool }

func (m *twoModules) weather() (netatmo.Answer, error) {
	now := time.Now().Truncate(5 * time.Minute)
	rs := []netatmo.Reading{outdoor("s", "a", now, 1)}
	if b := outdoor("t", "b", now, 2); !m.away {
		rs = append(rs, b)
	} else {
		b.Measured, b.Values = time.Time{}, b.Values[3:]
		rs = append(rs, b)
	}
	return answer(rs...), nil
}

// livePushes records when live temperatures of modules were pushed.
func livePushes(a *agent) map[string][]time.Time {
	pushes := map[string][]time.Time{}
	a.backend.onLive = func(now time.Time, r netatmo.Reading) {
		if _, ok := r.Values.Get(netatmo.Temperature); ok {
			pushes[r.ModuleID] = append(pushes[r.ModuleID], now)
		}
		if _, ok := r.Values.Get(netatmo.BatteryPercent); ok {
			pushes["battery "+r.ModuleID] = append(pushes["battery "+r.ModuleID], now)
		}
	}
	return pushes
}

// A module's live values wait for its history for two minutes at most while the
// backend accepts points; its status and other modules do not wait.
func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &twoModules{}
		cloudFails := false
		a := newAgent(t, &fake{weather: m.weather, measure: func(q netatmo.MeasureQuery) ([]netatmo.Sample, error) {
			if cloudFails {
				return nil, failure(netatmo.ClassServer)
			}
			return sampled(nil)(q)
		}}, netatmo.Weather)
		a.backend.interval = 10 * time.Second
		pushes := livePushes(a)
		a.start()
		a.sleep(30 * time.Minute)
		m.away = true
		a.sleep(59 * time.Minute)
		m.away, cloudFails = false, true
		clear(pushes)
		back := time.Now().Add(time.Minute) // when the next poll is due
		a.sleep(9 * time.Minute)

		for _, id := range []string{"a", "battery b"} {
			if !slices.ContainsFunc(pushes[id], func(at time.Time) bool { return at.Sub(back).Abs() <= 10*time.Second }) {
				t.Errorf("%s waited: %v", id, pushes[id])
			}
		}
		if first := pushes["b"][0].Sub(back); first < 110*time.Second || first > 130*time.Second {
			t.Errorf("the module's values waited %s", first)
		}

		cloudFails = false
		a.sleep(20 * time.Minute)
		a.kill()
		for at := back.Add(-40 * time.Minute).Truncate(5 * time.Minute); at.Before(back); at = at.Add(5 * time.Minute) {
			if !a.backend.has(series{"t", "b", netatmo.Temperature}, at, float64(at.Unix()%1000)) {
				t.Errorf("%s was not filled in later", at)
			}
		}
	})
}

// While nothing can be delivered, the live values keep waiting, so that the
// history is pushed first when the collector is back.
func TestHoldOutlastsCollector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &twoModules{}
		a := newAgent(t, &fake{weather: m.weather, measure: sampled(nil)}, netatmo.Weather)
		a.backend.ordered = true
		a.start()
		a.sleep(31 * time.Minute)
		down := time.Now()
		a.backend.setDown(true)
		a.sleep(5 * time.Hour)
		requests := len(a.fake.calls("measure s a"))
		if requests > 8 {
			t.Errorf("%d requests for history that could not be delivered", requests)
		}
		a.backend.setDown(false)
		a.sleep(30 * time.Minute)
		a.kill()
		for at := down.Truncate(5 * time.Minute).Add(5 * time.Minute); at.Before(down.Add(5*time.Hour - 10*time.Minute)); at = at.Add(5 * time.Minute) {
			if !a.backend.has(series{"s", "a", netatmo.Temperature}, at, float64(at.Unix()%1000)) {
				t.Errorf("%s is missing", at)
			}
		}
	})
}

// A backend that recovers briefly, while Netatmo does not answer, still gets
// the history first when it is back permanently.
func TestHoldAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &twoModules{}
		cloudFails := false
		a := newAgent(t, &fake{weather: m.weather, measure: func(q netatmo.MeasureQuery) ([]netatmo.Sample, error) {
			if cloudFails {
				return nil, failure(netatmo.ClassServer)
			}
			return sampled(nil)(q)
		}}, netatmo.Weather)
		a.backend.ordered = true
		a.start()
		a.sleep(31 * time.Minute)
		down := time.Now()
		a.backend.setDown(true)
		cloudFails = true
		a.sleep(2 * time.Hour)
		a.backend.setDown(false)
		a.sleep(90 * time.Second)
		a.backend.setDown(true)
		cloudFails = false
		a.sleep(2 * time.Hour)
		a.backend.setDown(false)
		a.sleep(30 * time.Minute)
		a.kill()
		for at := down.Truncate(5 * time.Minute).Add(5 * time.Minute); at.Before(down.Add(4*time.Hour - 10*time.Minute)); at = at.Add(5 * time.Minute) {
			if !a.backend.has(series{"s", "a", netatmo.Temperature}, at, float64(at.Unix()%1000)) {
				t.Errorf("%s is missing", at)
			}
		}
	})
}

// The history of a module that two stations list is requested once, for the
// user's own station, and delivered for both.
func TestModuleOfTwoStations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgent(t, &fake{weather: func() (netatmo.Answer, error) {
			now := time.Now().Truncate(5 * time.Minute)
			guest := outdoor("guest", "m", now, 1)
			guest.Foreign = true
			return answer(guest, outdoor("own", "m", now, 1)), nil
		}, measure: sampled(nil)}, netatmo.Weather)
		a.start()
		a.sleep(time.Hour)
		a.terminate()
		stopped := time.Now()
		a.sleep(3 * time.Hour)
		a.start()
		a.sleep(5 * time.Minute)
		a.kill()
		if len(a.fake.calls("measure own m")) != 1 || len(a.fake.calls("measure guest m")) != 0 {
			t.Errorf("calls %v", a.fake.times)
		}
		for _, station := range []string{"own", "guest"} {
			for at := stopped.Truncate(5 * time.Minute).Add(5 * time.Minute); at.Before(stopped.Add(3 * time.Hour)); at = at.Add(5 * time.Minute) {
				if !a.backend.has(series{station, "m", netatmo.Temperature}, at, float64(at.Unix()%1000)) {
					t.Errorf("%s of %s is missing", at, station)
				}
			}
		}
	})
}

// A station that was offline may upload its stored values after its first new
// ones.
func TestLateBuffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &twoModules{}
		var from, to, uploaded time.Time
		a := newAgent(t, &fake{weather: m.weather, measure: sampled(func(at time.Time) bool {
			return at.After(from) && at.Before(to) && time.Now().Before(uploaded)
		})}, netatmo.Weather)
		a.start()
		a.sleep(30 * time.Minute)
		m.away, from = true, time.Now().Add(30*time.Minute)
		a.sleep(3 * time.Hour)
		m.away, to, uploaded = false, time.Now(), time.Now().Add(12*time.Minute)
		a.sleep(40 * time.Minute)
		a.kill()
		for at := to.Add(-150 * time.Minute); at.Before(to); at = at.Add(5 * time.Minute) {
			if !a.backend.has(series{"t", "b", netatmo.Temperature}, at, float64(at.Unix()%1000)) {
				t.Errorf("%s is missing", at)
			}
		}
		if a.backend.twice > 0 {
			t.Errorf("%d points arrived twice", a.backend.twice)
		}
	})
}

// A gap longer than the limit is filled only for the most recent period, and
// the log says so.
func TestLongGap(t *testing.T) {
	tests := map[string]struct {
		backfill time.Duration
		want     int // samples of one module
		said     int
	}{
		"limit":        {24 * time.Hour, 24 * 12, 1},
		"no limit":     {1000 * time.Hour, 100 * 24 * 12 / 10, 0},
		"switched off": {0, 0, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &twoModules{}
				a := newAgent(t, &fake{weather: m.weather, measure: sampled(nil)}, netatmo.Weather)
				a.known.MaxGap = test.backfill
				a.start()
				a.sleep(time.Hour)
				a.terminate()
				a.sleep(10 * 24 * time.Hour)
				a.start()
				a.sleep(time.Hour)
				a.kill()
				got := len(a.backend.history[series{"s", "a", netatmo.Temperature}])
				if got < test.want-2 || got > test.want+2 {
					t.Errorf("%d samples filled in, want %d", got, test.want)
				}
				if n := a.logged("NETATMO_BACKFILL"); n != test.said {
					t.Errorf("logged %d times\n%s", n, a.log)
				}
			})
		})
	}
}

// A first start fills nothing, and neither does a restart right after the stop.
func TestNoGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &twoModules{}
		a := newAgent(t, &fake{weather: m.weather, measure: sampled(nil)}, netatmo.Weather)
		a.start()
		a.sleep(time.Hour)
		for range 5 {
			a.terminate()
			a.sleep(4 * time.Minute)
			a.start()
			a.sleep(17 * time.Minute)
		}
		a.kill()
		if len(a.backend.history) != 0 || len(a.fake.calls("measure s a")) != 0 {
			t.Errorf("history %v, calls %v", a.backend.history, a.fake.times)
		}
	})
}

// After a restart, the agent does not know what the last push contained, so an
// upload may be missing even if less than one and a half cadences have passed.
func TestUploadMissedOverARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &twoModules{}
		a := newAgent(t, &fake{weather: m.weather, measure: sampled(nil)}, netatmo.Weather)
		a.start()
		a.sleep(time.Hour)
		a.terminate()
		stopped := time.Now()
		a.sleep(16 * time.Minute)
		a.start()
		a.sleep(5 * time.Minute)
		a.kill()
		for _, missed := range []time.Duration{5 * time.Minute, 10 * time.Minute} {
			if at := stopped.Add(missed); !a.backend.has(series{"s", "a", netatmo.Temperature}, at, float64(at.Unix()%1000)) {
				t.Errorf("%s after the stop: missing", missed)
			}
		}
	})
}

// Rereading a gap can find later measurements. If the module goes away
// meanwhile, none of those is delivered again when it is back.
func TestSecondLookMovesMark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &twoModules{}
		cloudFails := false
		a := newAgent(t, &fake{weather: m.weather, measure: func(q netatmo.MeasureQuery) ([]netatmo.Sample, error) {
			if cloudFails {
				return nil, failure(netatmo.ClassServer)
			}
			return sampled(nil)(q)
		}}, netatmo.Weather)
		a.start()
		a.sleep(time.Hour)
		a.terminate()
		a.sleep(3 * time.Hour)
		cloudFails = true
		a.start()
		a.sleep(time.Minute)
		m.away = true
		a.sleep(50 * time.Minute)
		cloudFails = false
		a.sleep(50 * time.Minute)
		m.away = false
		a.sleep(20 * time.Minute)
		a.kill()
		if a.backend.twice > 0 || len(a.backend.history[series{"t", "b", netatmo.Temperature}]) < 4*12 {
			t.Errorf("%d points arrived twice\n%s", a.backend.twice, a.log)
		}
	})
}
