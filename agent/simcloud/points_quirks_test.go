package simcloud_test

import (
	"iter"
	"slices"
	"strings"
	"testing"

	"netatmo-agent/agent/simcloud"
)

var quirkNames = []struct {
	quirk simcloud.Quirk
	name  string
}{
	{simcloud.NoStationName, "NoStationName"}, {simcloud.NoHome, "NoHome"}, {simcloud.NoModulesKey, "NoModulesKey"},
	{simcloud.NoTimeUTC, "NoTimeUTC"}, {simcloud.NoData, "NoData"}, {simcloud.Unreachable, "Unreachable"},
	{simcloud.Offline, "Offline"}, {simcloud.Dead, "Dead"}, {simcloud.Minimal, "Minimal"}, {simcloud.MixedNumbers, "MixedNumbers"},
	{simcloud.Calibrating, "Calibrating"}, {simcloud.NoAngle, "NoAngle"}, {simcloud.FloatNoise, "FloatNoise"},
	{simcloud.Gaps, "Gaps"}, {simcloud.Backwards, "Backwards"}, {simcloud.ReadOnly, "ReadOnly"}, {simcloud.Nonsense, "Nonsense"},
	{simcloud.Guest, "Guest"}, {simcloud.Favorite, "Favorite"}, {simcloud.EmptyBody, "EmptyBody"}, {simcloud.PhantomRoom, "PhantomRoom"},
	{simcloud.EndTimeNull, "EndTimeNull"}, {simcloud.NoReachable, "NoReachable"}, {simcloud.BatteryLow, "BatteryLow"},
	{simcloud.OpenWindow, "OpenWindow"}, {simcloud.NoStatus, "NoStatus"}, {simcloud.OneTariff, "OneTariff"},
	{simcloud.CoarseRooms, "CoarseRooms"},
}

func namesOf(q simcloud.Quirk) []string {
	var names []string
	for _, x := range quirkNames {
		if q&x.quirk != 0 {
			names = append(names, x.name)
		}
	}
	return names
}

// quirksOf returns a line for each odd device of an account, by its id.
func quirksOf(account *simcloud.Scenario) map[string]string {
	lines := map[string]string{}
	for d, h := range devicesOf(account) {
		odd := namesOf(d.Quirks)
		for _, name := range namesOf(h.Quirks) {
			odd = append(odd, name+" (its home)")
		}
		if len(odd) > 0 {
			lines[strings.ReplaceAll(d.ID, " ", "")] = "# " + strings.Join(odd, ", ") + "\n"
		}
	}
	return lines
}

// devicesOf yields the devices of an account with their homes.
func devicesOf(account *simcloud.Scenario) iter.Seq2[simcloud.Device, simcloud.Home] {
	return func(yield func(simcloud.Device, simcloud.Home) bool) {
		for _, h := range account.Homes {
			devices := slices.Concat(h.Coaches, h.Rooms)
			for _, s := range slices.Concat(h.Stations, h.Gateways) {
				devices = append(append(devices, s.Device), s.Modules...)
			}
			for _, d := range devices {
				if !yield(d, h) {
					return
				}
			}
		}
	}
}

// TestQuirksHasEveryQuirk, so that the golden file of TestPoints shows the
// effect of each.
func TestQuirksHasEveryQuirk(t *testing.T) {
	var all simcloud.Quirk
	for d, h := range devicesOf(simcloud.Quirks()) {
		all |= d.Quirks | h.Quirks
	}
	known := namesOf(^simcloud.Quirk(0))
	for name := range constants(t, "scenario.go") {
		if !slices.Contains(known, name) {
			t.Errorf("%s is not in quirkNames", name)
		}
	}
	for _, name := range known {
		if !slices.Contains(namesOf(all), name) {
			t.Errorf("no device of Quirks has %s", name)
		}
	}
}
