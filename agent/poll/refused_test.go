package poll_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"netatmo-agent/agent/netatmo"
)

// One refusal of a module's history, or a few in a row, lose no sample.
func TestHistoryRefusedForAMoment(t *testing.T) {
	for _, class := range []netatmo.Class{netatmo.ClassInvalid, netatmo.ClassNotFound, netatmo.ClassScope} {
		for _, lasts := range []time.Duration{0, time.Minute, 6 * time.Hour} {
			t.Run(fmt.Sprint(class, lasts), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					m, until := &twoModules{}, time.Time{}
					a := newAgent(t, &fake{weather: m.weather, measure: func(q netatmo.MeasureQuery) ([]netatmo.Sample, error) {
						if q.DeviceID == "s" {
							if until.IsZero() {
								until = time.Now().Add(lasts)
							}
							if !time.Now().After(until) {
								return nil, failure(class)
							}
						}
						return sampled(nil)(q)
					}}, netatmo.Weather)
					a.start()
					a.sleep(time.Hour)
					a.kill()
					a.sleep(12 * time.Hour)
					a.start()
					a.sleep(lasts + 90*time.Minute)
					a.kill()
					if got := len(a.backend.history[series{"s", "a", netatmo.Temperature}]); got < 140 {
						t.Errorf("%d samples filled in\n%s", got, a.log)
					}
					if said := a.logged("refuses a module's history"); said > 1 || said == 1 != (lasts > time.Hour) {
						t.Errorf("logged %d times\n%s", said, a.log)
					}
				})
			})
		}
	}
}

// A module whose history Netatmo refuses is logged once, retried from time to
// time, and does not delay the others.
func TestHistoryRefused(t *testing.T) {
	for _, class := range []netatmo.Class{netatmo.ClassInvalid, netatmo.ClassNotFound, netatmo.ClassScope} {
		t.Run(string(class), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &twoModules{}
				a := newAgent(t, &fake{weather: m.weather, measure: func(q netatmo.MeasureQuery) ([]netatmo.Sample, error) {
					if q.DeviceID == "s" {
						return nil, failure(class)
					}
					return sampled(nil)(q)
				}}, netatmo.Weather)
				pushes := livePushes(a)
				a.start()
				for day := range 2 {
					a.sleep(time.Hour)
					a.backend.setDown(true)
					a.sleep(24 * time.Hour)
					a.backend.setDown(false)
					clear(pushes)
					back := time.Now()
					a.sleep(10 * time.Minute)
					longest := time.Minute
					if day == 0 { // the refusal is not believed yet
						longest = 3 * time.Minute
					}
					if len(pushes["a"]) == 0 || pushes["a"][0].Sub(back) > longest {
						t.Errorf("day %d: live values waited: %v", day, pushes["a"])
					}
					if got := len(a.backend.history[series{"t", "b", netatmo.Temperature}]); got < 250*(day+1) {
						t.Errorf("day %d: %d samples of the other module filled in", day, got)
					}
				}
				a.kill()
				if n := a.logged("refuses a module's history"); n != 1 {
					t.Errorf("logged %d times\n%s", n, a.log)
				}
			})
		})
	}
}
