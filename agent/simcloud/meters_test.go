package simcloud_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"netatmo-agent/agent/simcloud"
)

const (
	switchboard = "00:04:74:00:60:00"
	heatPump    = "00:04:74:00:00:00:60:01"
	meterBox    = "00:04:74:00:67:00"
	energyTypes = "sum_energy_buy_from_grid,sum_energy_buy_from_grid$0,sum_energy_buy_from_grid$1,sum_energy_buy_from_grid$2"
)

func householdRig(t *testing.T, s *simcloud.Scenario) *rig {
	t.Helper()
	r := newRig(t, simcloud.Options{Scenario: s})
	r.token = r.Auth().Grant(append(strings.Fields(simcloud.ScopesInHomes), "read_station")...).Access
	return r
}

// TestEnergyIsTheIntegralOfPower: what the history says of a day is what the live
// power was, by tariff.
func TestEnergyIsTheIntegralOfPower(t *testing.T) {
	r := householdRig(t, simcloud.Household())
	from := begin.Add(-24 * time.Hour)
	stamps, values := r.rows(heatPump, "30min", energyTypes, "device_id", switchboard, "real_time", "true", "date_begin", at(from))
	if len(stamps) < 45 || stamps[0]%1800 != 0 {
		t.Fatalf("%d buckets, the first at %d", len(stamps), stamps[0])
	}
	tariffs := map[int]int{}
	for i, stamp := range stamps[:45] {
		sum := 0.0
		for column, v := range values[i] {
			if n, ok := asNumber(v); ok {
				tariffs[column]++
				sum += n
			}
		}
		live := 0.0
		for minute := range 30 {
			watts, _, _ := r.ValueAt(heatPump, "power", time.Unix(stamp+60*int64(minute), 0))
			live += watts / 60
		}
		if math.Abs(live-sum) > 1 {
			t.Errorf("bucket %d: %g Wh, the live power makes %g", stamp, sum, live)
		}
	}
	if tariffs[0] > 0 || tariffs[1] > 0 || tariffs[2] < 20 || tariffs[3] < 10 {
		t.Errorf("buckets by column: %v", tariffs)
	}
}

func asNumber(v any) (float64, bool) {
	n, ok := v.(interface{ Float64() (float64, error) })
	if !ok {
		return 0, false
	}
	f, err := n.Float64()
	return f, err == nil
}

// TestMetersAreLate: the newest buckets grow for a while, and a gateway that was
// offline uploads what it counted.
func TestMetersAreLate(t *testing.T) {
	r := householdRig(t, simcloud.Household())
	total := func(back time.Duration) (sum float64) {
		for _, x := range r.Held(heatPump, "sum_energy_buy_from_grid$1", begin.Add(-back), begin.Add(24*time.Hour)) {
			sum += x.Value
		}
		return sum
	}
	last := r.Held(heatPump, "sum_energy_buy_from_grid$1", begin.Add(-2*time.Hour), begin.Add(time.Hour))
	newest := last[len(last)-1]
	r.now = r.now.Add(2 * time.Hour)
	grown := r.Held(heatPump, "sum_energy_buy_from_grid$1", newest.Time, newest.Time)
	if len(grown) != 1 || grown[0].Value <= newest.Value {
		t.Errorf("the newest bucket did not grow: %v, then %v", newest, grown)
	}
	r.SetOffline(switchboard, true)
	before := total(0)
	r.now = r.now.Add(3 * time.Hour)
	if after := total(0); after != before {
		t.Errorf("an offline gateway has counted %g Wh", after-before)
	}
	r.SetOffline(switchboard, false)
	if after := total(0); after <= before {
		t.Error("what was counted offline is lost")
	}
}

// TestEcometer has electricity, gas and water in the names of electricity.
func TestEcometer(t *testing.T) {
	s := simcloud.Household()
	s.Homes[0].Quirks |= simcloud.OneTariff
	r := householdRig(t, s)
	for _, input := range []string{"#0", "#5", "#6", "#7"} {
		_, values := r.rows(meterBox+input, "30min", "sum_energy_elec,sum_energy_elec$0,sum_energy_elec$1", "device_id", meterBox,
			"date_begin", at(begin.Add(-6*time.Hour)))
		if len(values) < 8 {
			t.Fatalf("%s: %d rows", input, len(values))
		}
		for _, row := range values {
			if n, ok := asNumber(row[1]); !ok || n < 0 || row[0] != nil || row[2] != nil {
				t.Errorf("%s: %v", input, row)
			}
		}
	}
	for _, args := range [][]string{
		{"scale", "max", "type", "sum_energy_elec$0"}, {"scale", "30min", "type", "sum_energy_elec$7"}, {"scale", "30min", "type", "Temperature"},
	} {
		if w := r.request("getmeasure", append([]string{"device_id", meterBox, "module_id", meterBox + "#0"}, args...)...); w.Code != 400 {
			t.Errorf("%v: %d %s", args, w.Code, w.Body)
		}
	}
}

func TestRoomsFromHalfAnHour(t *testing.T) {
	s := simcloud.Default()
	s.Homes[0].Quirks |= simcloud.CoarseRooms
	r := newRig(t, simcloud.Options{Scenario: s})
	args := []string{"home_id", home, "room_id", "2746182001", "type", "temperature,sp_temperature"}
	if w := r.request("getroommeasure", append(args, "scale", "max")...); w.Code != 400 || !strings.Contains(w.Body.String(), `"code":21`) {
		t.Errorf("scale max: %d %s", w.Code, w.Body)
	}
	if r.body("getroommeasure", append(args, "scale", "30min")...) == nil {
		t.Error("no answer with scale 30min")
	}
}
