package poll_test

import (
	"testing"
	"testing/synctest"
	"time"

	"netatmo-agent/agent/catalogue"
	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/simcloud"
)

// outages are the ways in which readings are missed. Calling a function begins
// an outage, calling the function that it returns ends it.
var outages = map[string]func(r *rig) (end func()){
	"collector away": func(r *rig) func() {
		r.backend.setDown(true)
		return func() { r.backend.setDown(false) }
	},
	"agent killed": func(r *rig) func() {
		r.kill()
		return r.start
	},
	"agent stopped": func(r *rig) func() {
		r.terminate()
		return r.start
	},
	"Netatmo away": func(r *rig) func() {
		r.cloud.Down(true)
		return func() { r.cloud.Down(false) }
	},
	"station offline": func(r *rig) func() {
		setOffline(r, true)
		return func() { setOffline(r, false) }
	},
	"collector away and agent killed": func(r *rig) func() {
		r.backend.setDown(true)
		r.kill()
		return func() {
			r.start()
			time.Sleep(r.step / 2)
			r.backend.setDown(false)
		}
	},
}

func setOffline(r *rig, offline bool) {
	for _, m := range r.cloud.Modules() {
		if m.ID == m.StationID {
			r.cloud.SetOffline(m.ID, offline)
		}
	}
}

// TestOutages checks that after an outage the backend has every sample that was
// not delivered live, whatever was down and whether or not the backend accepts
// points out of order.
func TestOutages(t *testing.T) {
	cadences := map[string]struct {
		measure, upload, outage, interval, stale time.Duration
		families                                 []netatmo.Family
	}{
		"real cadence": {5 * time.Minute, 606 * time.Second, 150 * time.Minute, time.Minute, 20 * time.Minute, []netatmo.Family{netatmo.Weather, netatmo.HomeCoach, netatmo.Energy}},
		"fast cadence": {5 * time.Second, 10 * time.Second, 2 * time.Minute, 2 * time.Second, 20 * time.Second, []netatmo.Family{netatmo.Weather}},
	}
	for cname, c := range cadences {
		for oname, begin := range outages {
			for _, ordered := range []bool{true, false} {
				name := cname + "/" + oname + "/out of order"
				if ordered {
					name = cname + "/" + oname + "/in order"
				}
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						r := newRig(t, simcloud.Options{Measure: c.measure, Upload: c.upload}, c.families...)
						r.step = c.upload
						r.backend.interval, r.backend.stale, r.backend.ordered = c.interval, c.stale, ordered
						r.start()
						time.Sleep(20*c.upload + c.upload/3)
						end := begin(r)
						time.Sleep(c.outage)
						had := r.backend.ends()
						first := map[string]time.Time{} // the newest measurements when the first live values were pushed
						r.backend.watch(func(_ time.Time, x netatmo.Reading) {
							if _, was := first[x.ModuleID]; !was && hasHistory(x) {
								first[x.ModuleID] = earlier(x.Measured, r.newestHeld(x.ModuleID))
							}
						})
						end()
						over := time.Now()
						time.Sleep(8 * c.upload)
						r.kill()

						missing, expected := r.missing(had, func(module string) time.Time {
							if ordered {
								return first[module]
							}
							return over
						})
						t.Logf("%d samples expected, %d missing, %d twice", expected, len(missing), r.backend.twice)
						if len(missing) > 0 || expected < 100 || r.backend.twice > 0 {
							t.Errorf("missing: %v\n%s", missing, r.log)
						}
					})
				})
			}
		}
	}
}

func hasHistory(x netatmo.Reading) bool {
	for _, c := range catalogue.History(x.ModuleType) {
		if _, ok := x.Values.Get(c.Field); ok {
			return true
		}
	}
	return false
}

// newestHeld is the time of the newest sample that the cloud has of a module.
func (r *rig) newestHeld(module string) (newest time.Time) {
	now := time.Now()
	for _, m := range r.cloud.Modules() {
		for _, typ := range m.Types {
			for _, x := range r.cloud.Held(m.ID, typ, now.Add(-time.Hour), now) {
				if m.ID == module && x.Time.After(newest) {
					newest = x.Time
				}
			}
		}
	}
	return newest
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
