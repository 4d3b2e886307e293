package poll_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"netatmo-agent/agent/netatmo"
)

// sequence polls each of the answers once, ten minutes apart, and then calls
// check.
func sequence(t *testing.T, answers []func() (netatmo.Answer, error), check func(a *agent)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := -1
		a := newAgent(t, &fake{weather: func() (netatmo.Answer, error) {
			n = min(n+1, len(answers)-1)
			return answers[n]()
		}}, netatmo.Weather)
		a.start()
		a.sleep(time.Duration(len(answers)-1)*10*time.Minute + time.Minute)
		check(a)
		a.kill()
	})
}

func says(readings func(now time.Time) []netatmo.Reading) func() (netatmo.Answer, error) {
	return func() (netatmo.Answer, error) { return answer(readings(time.Now())...), nil }
}

// Answers with a past state, which Netatmo sometimes gives, do not restore old
// values; their status values count if they are not old as well.
func TestTimeGoesBackwards(t *testing.T) {
	lastContact := map[string]time.Duration{"old contact": -15 * time.Minute, "new contact": -time.Second}
	for name, ago := range lastContact {
		t.Run(name, func(t *testing.T) {
			sequence(t, []func() (netatmo.Answer, error){
				says(func(now time.Time) []netatmo.Reading {
					return []netatmo.Reading{outdoor("s", "m", now, 20)}
				}),
				says(func(now time.Time) []netatmo.Reading {
					r := outdoor("s", "m", now.Add(-20*time.Minute), 5)
					r.Seen = now.Add(ago)
					r.Values[2].Number = 79 // battery
					return []netatmo.Reading{r}
				}),
			}, func(a *agent) {
				r := a.readings()["m"]
				if got := value(t, r, netatmo.Temperature); got != 20 {
					t.Errorf("temperature %v", got)
				}
				if age := time.Since(r.Measured); age != 11*time.Minute {
					t.Errorf("measured %s ago", age)
				}
				if age := time.Since(r.Answered); age != time.Minute {
					t.Errorf("answered %s ago", age)
				}
				want := map[string]float64{"old contact": 80, "new contact": 79}[name]
				if got := value(t, r, netatmo.BatteryPercent); got != want || len(r.Values) != 4 {
					t.Errorf("battery %v of %v, want %v", got, r.Values, want)
				}
			})
		})
	}
}

// An impossible time does not block later values.
func TestImpossibleTime(t *testing.T) {
	sequence(t, []func() (netatmo.Answer, error){
		says(func(now time.Time) []netatmo.Reading {
			return []netatmo.Reading{outdoor("s", "m", now.Add(48*time.Hour), 99)}
		}),
		says(func(now time.Time) []netatmo.Reading { return []netatmo.Reading{outdoor("s", "m", now, 20)} }),
	}, func(a *agent) {
		if got := value(t, a.readings()["m"], netatmo.Temperature); got != 20 {
			t.Errorf("temperature %v", got)
		}
	})
}

// An unreachable module keeps its status and loses its values.
func TestUnreachable(t *testing.T) {
	sequence(t, []func() (netatmo.Answer, error){
		says(func(now time.Time) []netatmo.Reading { return []netatmo.Reading{outdoor("s", "m", now, 20)} }),
		says(func(_ time.Time) []netatmo.Reading {
			r := outdoor("s", "m", time.Time{}, 0)
			r.Values = netatmo.Values{{Field: netatmo.Reachable, Number: 0}}
			return []netatmo.Reading{r}
		}),
	}, func(a *agent) {
		r := a.readings()["m"]
		if len(r.Values) != 1 || value(t, r, netatmo.Reachable) != 0 || !r.Measured.IsZero() {
			t.Errorf("reading %+v", r)
		}
	})
}

// A value whose measurement time does not advance becomes stale, even if that
// time is in the future and therefore counts as that of each answer. Values
// measured meanwhile are filled in later.
func TestAFutureTimeThatDoesNotAdvance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var future time.Time // the station's time while it does not advance
		a := newAgent(t, &fake{measure: sampled(nil), weather: func() (netatmo.Answer, error) {
			now := time.Now()
			measured := now.Truncate(5 * time.Minute)
			said := measured
			if !future.IsZero() {
				measured, said = now, future // as the client does
			}
			r := outdoor("s", "m", measured, 20)
			r.Values = append(r.Values, netatmo.Value{Field: netatmo.MeasurementTime, Number: float64(said.Unix())})
			return answer(r), nil
		}}, netatmo.Weather)
		a.known.MaxGap = 48 * time.Hour
		pushes := livePushes(a)
		a.start()
		a.sleep(31 * time.Minute)
		stood := time.Now()
		future = stood.Add(25 * time.Hour)
		a.sleep(24*time.Hour + 50*time.Minute) // until that time would be plausible, a little in the future
		if last := pushes["m"][len(pushes["m"])-1].Sub(stood); last > 30*time.Minute {
			t.Errorf("still pushed after %s", last)
		}
		future = time.Time{}
		a.sleep(30 * time.Minute)
		a.kill()
		for at := stood.Add(30 * time.Minute).Truncate(5 * time.Minute).Add(5 * time.Minute); at.Before(stood.Add(24 * time.Hour)); at = at.Add(5 * time.Minute) {
			if !a.backend.has(series{"s", "m", netatmo.Temperature}, at, float64(at.Unix()%1000)) {
				t.Fatalf("%s is missing", at)
			}
		}
	})
}

// A module that an answer does not mention is gone, unless that is doubtful.
func TestRemovedModules(t *testing.T) {
	three := says(func(now time.Time) []netatmo.Reading {
		return []netatmo.Reading{outdoor("s", "a", now, 1), outdoor("s", "b", now, 2), outdoor("t", "c", now, 3)}
	})
	one := func() netatmo.Answer { return answer(outdoor("s", "a", time.Now(), 4)) }
	tests := map[string]struct {
		second func() (netatmo.Answer, error)
		want   []string
	}{
		"removed":               {func() (netatmo.Answer, error) { return one(), nil }, []string{"a"}},
		"failed":                {func() (netatmo.Answer, error) { return netatmo.Answer{}, failure(netatmo.ClassServer) }, []string{"a", "b", "c"}},
		"module not readable":   {rejecting(one, "b"), []string{"a", "b"}},
		"station not readable":  {rejecting(one, "t"), []string{"a", "c"}},
		"nameless not readable": {rejecting(one, ""), []string{"a", "b", "c"}},
		"none at all":           {func() (netatmo.Answer, error) { return answer(), nil }, []string{"a", "b", "c"}}, // not believed yet
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			sequence(t, []func() (netatmo.Answer, error){three, test.second}, func(a *agent) {
				var got []string
				for id := range a.readings() {
					got = append(got, id)
				}
				slices.Sort(got)
				if !slices.Equal(got, test.want) {
					t.Errorf("modules %v, want %v", got, test.want)
				}
				if n := a.logged("left out"); n > 1 {
					t.Errorf("logged %d times", n)
				}
			})
		})
	}
}

func rejecting(one func() netatmo.Answer, id string) func() (netatmo.Answer, error) {
	return func() (netatmo.Answer, error) {
		a := one()
		a.Rejected = []netatmo.ItemError{{ID: id, Reason: "is not a JSON object"}}
		return a, nil
	}
}

// The pusher is woken only when there is something new.
func TestWake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		measured, battery := time.Now(), 80.0
		a := newAgent(t, &fake{weather: func() (netatmo.Answer, error) {
			r := outdoor("s", "m", measured, 20)
			r.Values[2].Number = battery
			return answer(r), nil
		}}, netatmo.Weather)
		a.backend.interval = 1000 * time.Hour
		pushes := 0
		a.backend.onLive = func(time.Time, netatmo.Reading) { pushes++ }
		a.backend.stale = 1000 * time.Hour
		a.start()
		a.sleep(time.Hour + time.Minute)
		if pushes != 1 {
			t.Errorf("%d pushes without news", pushes)
		}
		battery = 79
		a.sleep(10 * time.Minute)
		if pushes != 2 {
			t.Errorf("%d pushes after a change of status", pushes)
		}
		measured = time.Now()
		a.sleep(10 * time.Minute)
		if pushes != 3 {
			t.Errorf("%d pushes after a measurement", pushes)
		}
		a.kill()
	})
}
