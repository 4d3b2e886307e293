package poll_test

import (
	"slices"
	"sort"
	"testing"
	"testing/synctest"
	"time"

	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/simcloud"
)

// TestOnTime follows a weather station for a week and prints how old its values
// are when they are first pushed, and what that costs.
func TestOnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, simcloud.Options{}, netatmo.Weather)
		ages := map[string][]time.Duration{}
		seen := map[string]time.Time{}
		missed, visible := 0, time.Time{}
		r.backend.onLive = func(now time.Time, x netatmo.Reading) {
			last, ok := seen[x.ModuleID]
			if !x.Measured.After(last) {
				return
			}
			seen[x.ModuleID] = x.Measured
			if !ok {
				return // the first existed before the start
			}
			if x.Measured.Sub(last) > 700*time.Second {
				missed++
			}
			if x.ModuleID == x.StationID { // the first of the station's readings; its modules upload with it
				visible = r.visible(x.ModuleID, x.Measured, now)
			}
			ages[x.ModuleID] = append(ages[x.ModuleID], now.Sub(visible))
		}
		const days = 7
		r.start()
		time.Sleep(days * 24 * time.Hour)
		r.terminate()

		perHour := float64(r.cloud.Requests()["getstationsdata"]) / (days * 24)
		for _, m := range r.cloud.Modules() {
			a := ages[m.ID]
			if m.Type == simcloud.TypeHomeCoach || len(a) == 0 {
				continue
			}
			slices.Sort(a)
			median, p95 := a[len(a)/2], a[len(a)*95/100]
			t.Logf("%-12s %d uploads, age when first pushed: median %s, 95th percentile %s, most %s", m.Name, len(a),
				median.Round(100*time.Millisecond), p95.Round(100*time.Millisecond), a[len(a)-1].Round(100*time.Millisecond))
			if median > 10*time.Second || p95 > 30*time.Second {
				t.Errorf("%s: values are too old", m.Name)
			}
			if want := days * 24 * 3600 / 610; len(a) < want {
				t.Errorf("%s: %d uploads seen, want %d", m.Name, len(a), want)
			}
		}
		t.Logf("%.2f requests an hour, %d uploads missed", perHour, missed)
		if perHour > 10 || missed > 0 {
			t.Error("too many requests or missed uploads")
		}
		t.Log(r.log.String())
	})
}

// visible is when a measurement first became available, to a tenth of a second.
func (r *rig) visible(module string, measured, latest time.Time) time.Time {
	const step = 100 * time.Millisecond
	n := sort.Search(int(latest.Sub(measured)/step), func(i int) bool {
		_, at, ok := r.cloud.ValueAt(module, "reachable", measured.Add(time.Duration(i)*step))
		return ok && !at.Before(measured)
	})
	return measured.Add(time.Duration(n) * step)
}
