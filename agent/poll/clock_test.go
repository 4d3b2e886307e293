package poll_test

import (
	"testing"
	"testing/synctest"
	"time"

	"netatmo-agent/agent/netatmo"
)

// While the clock is off by more than two minutes, nothing is pushed and no
// mark moves, and the log says so once. When it is right again, everything
// resumes.
func TestWrongClock(t *testing.T) {
	tests := map[string]struct {
		offset time.Duration
		ok     bool
	}{
		"right":           {3 * time.Second, true},
		"a minute ahead":  {time.Minute, true},
		"3 minutes ahead": {3 * time.Minute, false},
		"a year behind":   {-365 * 24 * time.Hour, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				offset := test.offset
				a := newAgent(t, &fake{weather: func() (netatmo.Answer, error) {
					server := time.Now().Add(-offset)
					r := outdoor("s", "m", server.Add(-time.Minute), 20)
					r.Answered = server
					return netatmo.Answer{Readings: []netatmo.Reading{r}, Server: server, Offset: offset}, nil
				}, measure: sampled(nil)}, netatmo.Weather)
				a.backend.stale = 1000 * 24 * time.Hour
				a.start()
				if !a.record.ClockOK() {
					t.Error("not ok before anything is known")
				}
				a.sleep(time.Hour)
				if a.record.ClockOK() != test.ok || len(a.backend.ends()) > 0 != test.ok {
					t.Errorf("ok %v, pushed %v", a.record.ClockOK(), a.backend.ends())
				}
				offset = 0
				a.sleep(15 * time.Minute)
				if !a.record.ClockOK() || len(a.backend.ends()) == 0 {
					t.Error("not ok although the clock is right")
				}
				a.terminate()
				if said := a.logged("clock is wrong"); said > 1 || said == 1 == test.ok || a.logged("right again") != said {
					t.Error(a.log)
				}
			})
		})
	}
}

// A mark in the future, left by a wrong clock, does not hide later gaps.
func TestMarkInFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &twoModules{}
		a := newAgent(t, &fake{weather: m.weather, measure: sampled(nil)}, netatmo.Weather)
		write(t, a.state, `{"instance_id":"0f8fad5b-d9cb-469f-a165-70867728950e","marks":{"a":"2031-01-02T03:04:05Z"}}`)
		a.start()
		a.sleep(time.Hour)
		a.terminate()
		if got := a.savedMark("a"); time.Since(got) > time.Minute {
			t.Errorf("mark %s", got)
		}
		stopped := time.Now()
		a.sleep(3 * time.Hour)
		a.start()
		a.sleep(time.Minute)
		a.kill()
		at := stopped.Truncate(5 * time.Minute).Add(time.Hour)
		if !a.backend.has(series{"s", "a", netatmo.Temperature}, at, float64(at.Unix()%1000)) {
			t.Error("the gap was not filled")
		}
	})
}

// Answers with a wrong time delay only what is not pushed meanwhile, which is
// filled in later: no mark goes back, nothing is delivered again, and a
// measurement that such an answer had first is not older afterwards.
func TestWrongAnswers(t *testing.T) {
	for name, wrong := range map[string]time.Duration{"behind": -3 * 365 * 24 * time.Hour, "ahead": 3 * 365 * 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				by := time.Duration(0)
				a := newAgent(t, &fake{measure: sampled(nil), weather: func() (netatmo.Answer, error) {
					now := time.Now()
					server, said := now.Add(by), now.Truncate(10*time.Minute)
					r := outdoor("s", "m", said, 20)
					r.Values = append(r.Values, netatmo.Value{Field: netatmo.MeasurementTime, Number: float64(said.Unix())})
					if said.After(server) {
						r.Measured = server // as the client does
					}
					r.Answered = server
					return netatmo.Answer{Readings: []netatmo.Reading{r}, Server: server, Offset: -by}, nil
				}}, netatmo.Weather)
				a.cfg.Interval = 5 * time.Minute
				a.start()
				a.sleep(2*time.Hour + 29*time.Minute)
				by = wrong
				a.sleep(45 * time.Minute)
				by = 0
				a.sleep(5 * time.Minute) // until an answer that repeats a wrong one's values
				if age := time.Since(a.readings()["m"].Measured); age > 10*time.Minute {
					t.Errorf("the newest reading is %s old", age)
				}
				a.sleep(time.Hour)
				a.terminate()
				n := len(a.backend.history[series{"s", "m", netatmo.Temperature}])
				if n < 8 || n > 10 || a.logged("a gap") > 0 {
					t.Errorf("%d samples filled in, want those of 45 minutes\n%s", n, a.log)
				}
				if got := a.savedMark("m"); time.Since(got) > time.Minute {
					t.Errorf("mark %s", got)
				}
			})
		})
	}
}
