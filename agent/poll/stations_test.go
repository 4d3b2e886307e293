package poll_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"netatmo-agent/agent/netatmo"
)

// A module that was paired with another station remains listed under the old
// one. Its history is requested where it last measured, or where there is any,
// and delivered only under live stations.
func TestModuleThatMovedToAnotherStation(t *testing.T) {
	for name, old := range map[string]func() ([]netatmo.Sample, error){
		"the old station has no history": func() ([]netatmo.Sample, error) { return nil, nil },
		"the old station is refused":     func() ([]netatmo.Sample, error) { return nil, failure(netatmo.ClassInvalid) },
	} {
		for _, first := range []string{"old", "new"} { // that Netatmo lists and calls newest
			t.Run(name+", first is "+first, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					moved := false
					a := newAgent(t, &fake{weather: func() (netatmo.Answer, error) {
						now := time.Now().Truncate(5 * time.Minute)
						dead, living := outdoor("old", "m", now, 1), outdoor("new", "m", now, 1)
						if !moved {
							return answer(dead), nil
						}
						if first == "new" {
							dead.Measured = now.Add(-48 * time.Hour)
							return answer(living, dead), nil
						}
						return answer(dead, living), nil
					}, measure: func(q netatmo.MeasureQuery) ([]netatmo.Sample, error) {
						if q.DeviceID == "old" && moved {
							return old()
						}
						return sampled(nil)(q)
					}}, netatmo.Weather)
					a.start()
					a.sleep(time.Hour)
					a.terminate()
					stopped := time.Now()
					moved = true
					a.sleep(3 * time.Hour)
					a.start()
					a.sleep(5 * time.Minute)
					a.kill()
					for at := stopped.Truncate(5 * time.Minute).Add(5 * time.Minute); at.Before(stopped.Add(3 * time.Hour)); at = at.Add(5 * time.Minute) {
						if !a.backend.has(series{"new", "m", netatmo.Temperature}, at, float64(at.Unix()%1000)) {
							t.Errorf("%s is missing", at)
						}
					}
					if n := len(a.backend.history[series{"old", "m", netatmo.Temperature}]); n > 0 && first == "new" {
						t.Errorf("%d samples under the dead station", n)
					}
				})
			})
		}
	}
}

// Of a device that appears twice in one answer, the later measurement counts.
func TestSameDeviceTwice(t *testing.T) {
	for name, order := range map[string][2]time.Duration{"older first": {-10 * time.Minute, 0}, "newer first": {0, -10 * time.Minute}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAgent(t, &fake{weather: func() (netatmo.Answer, error) {
					now := time.Now()
					return answer(outdoor("s", "m", now.Add(order[0]), 20+order[0].Minutes()), outdoor("s", "m", now.Add(order[1]), 20+order[1].Minutes())), nil
				}}, netatmo.Weather)
				a.start()
				a.sleep(time.Minute)
				if got := value(t, a.readings()["m"], netatmo.Temperature); got != 20 || len(a.record.Readings()) != 1 {
					t.Errorf("temperature %v, readings %v", got, a.record.Readings())
				}
				a.kill()
			})
		})
	}
}

// A station that uploads stored values hours after its return loses nothing,
// and a station without such values costs few requests.
func TestUploadHoursAfterAGap(t *testing.T) {
	for _, after := range []time.Duration{0, 40 * time.Minute, 3 * time.Hour, 9 * time.Hour} {
		t.Run(after.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &twoModules{}
				var from, to time.Time
				a := newAgent(t, &fake{weather: m.weather, measure: sampled(func(at time.Time) bool {
					return at.After(from) && at.Before(to) && time.Now().Before(to.Add(after))
				})}, netatmo.Weather)
				a.start()
				a.sleep(30 * time.Minute)
				m.away, from = true, time.Now().Add(10*time.Minute)
				a.sleep(12 * time.Hour)
				m.away, to = false, time.Now()
				asked := len(a.fake.calls("measure t b"))
				a.sleep(30 * time.Hour)
				a.kill()
				for at := to.Add(-11 * time.Hour); at.Before(to); at = at.Add(5 * time.Minute) {
					if at := at.Truncate(5 * time.Minute); !a.backend.has(series{"t", "b", netatmo.Temperature}, at, float64(at.Unix()%1000)) {
						t.Errorf("%s is missing", at)
					}
				}
				if n := len(a.fake.calls("measure t b")) - asked; n > 8 || a.backend.twice > 0 {
					t.Errorf("%d requests, %d points arrived twice", n, a.backend.twice)
				}
				if said := a.logged("uploaded late"); said > 1 || said == 0 && after > time.Hour {
					t.Errorf("late uploads are in the log %d times\n%s", said, a.log)
				}
			})
		})
	}
}

// A station that Netatmo calls reachable but that measures nothing causes one
// warning, even at the start; its return causes one line.
func TestStationThatMeasuresNothing(t *testing.T) {
	for _, atStart := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			stood := time.Time{}
			if atStart {
				stood = time.Now().Add(-time.Hour)
			}
			a := newAgent(t, &fake{weather: func() (netatmo.Answer, error) {
				measured := time.Now()
				if !stood.IsZero() {
					measured = stood
				}
				return answer(outdoor("s", "s", measured, 20), outdoor("s", "m", measured, 20)), nil
			}}, netatmo.Weather)
			a.start()
			a.sleep(time.Hour)
			if !atStart {
				stood = time.Now()
			}
			a.sleep(5 * time.Hour)
			if a.logged("reports no new values") != 1 || !strings.Contains(a.log.String(), `station="name of s"`) {
				t.Errorf("the log:\n%s", a.log)
			}
			stood = time.Time{}
			a.sleep(time.Hour)
			a.kill()
			if a.logged("reports new values again") != 1 || a.logged("reports no new values") != 1 {
				t.Errorf("the log:\n%s", a.log)
			}
		})
	}
}

// A family that has answered before and is refused is requested again within
// minutes. A lasting refusal is believed after more than ten minutes, and
// retried every quarter of an hour.
func TestRefusalOfAFamilyThatAnswered(t *testing.T) {
	for _, class := range []netatmo.Class{netatmo.ClassScope, netatmo.ClassNotFound} {
		for _, lasts := range []time.Duration{time.Minute, 9 * time.Minute, 6 * time.Hour} {
			t.Run(string(class)+" "+lasts.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var from, until time.Time
					a := newAgent(t, &fake{weather: func() (netatmo.Answer, error) {
						if now := time.Now(); now.After(from) && now.Before(until) {
							return netatmo.Answer{}, failure(class)
						}
						return answer(outdoor("s", "m", time.Now(), 20)), nil
					}}, netatmo.Weather)
					a.start()
					a.sleep(time.Hour + time.Minute)
					from, until = time.Now(), time.Now().Add(9*time.Minute+lasts)
					a.sleep(9*time.Minute + lasts + 16*time.Minute)
					a.kill()
					calls := a.fake.calls("weather")
					answered := calls[len(calls)-1]
					for _, at := range calls {
						if at.After(until) {
							answered = at
							break
						}
					}
					if wait := answered.Sub(until); wait > 15*time.Minute || wait < 0 {
						t.Errorf("requested again %s after the refusals", wait)
					}
					if left := a.logged("left out"); left != 0 && lasts < time.Hour || left != 1 && lasts > time.Hour {
						t.Errorf("the log:\n%s", a.log)
					}
				})
			})
		}
	}
}
