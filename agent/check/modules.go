package check

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"netatmo-agent/agent/humanize"
	"netatmo-agent/agent/netatmo"
)

// module reports the state of a module: its values, battery and signal. apart
// distinguishes it from others with the same name. A faulty module is not a
// failure, because the agent works without it.
func (d *doctor) module(r netatmo.Reading, apart string) {
	const area = "module"
	name := fmt.Sprintf("%s (%s)", r.ModuleName, strings.ReplaceAll(r.ModuleType, "_", " "))
	if apart == "" && r.StationName != "" && r.StationID != r.ModuleID {
		apart = " of " + r.StationName
	}
	name += apart
	since := func(t time.Time) string { return humanize.Duration(max(0, r.Answered.Sub(t))) + " ago" }
	reachable, said := r.Values.Get(netatmo.Reachable)
	switch {
	case said && reachable == 0 && !r.Seen.IsZero():
		d.warn(area, fmt.Sprintf("%s is not reachable, last seen %s%s", name, since(r.Seen), d.delivered(r)), howToReach(r.ModuleType))
		return
	case said && reachable == 0 && !r.Family.InHomes():
		d.warn(area, name+" is not reachable and was never seen"+d.delivered(r), howToReach(r.ModuleType)+"; or remove it in the Netatmo app")
		return
	case said && reachable == 0: // heating devices and others of a home have no last_seen
		d.warn(area, name+" is not reachable"+d.delivered(r), howToReach(r.ModuleType))
		return
	case r.Measured.IsZero() && !r.Family.InHomes():
		d.warn(area, name+" is reachable, but Netatmo has no values for it", "check it in the Netatmo app; if the app shows no values either, restart the station")
		return
	}
	parts := []string{}
	stale := cmp.Or(d.Config.AgeStale, 20*time.Minute)
	old := !r.Measured.IsZero() && r.Answered.Sub(r.Measured) > stale
	if !r.Measured.IsZero() && !r.Family.InHomes() {
		parts = append(parts, "measured "+since(r.Measured))
	}
	battery, signal := power(r), radio(r)
	for _, p := range []gauge{battery, signal} {
		if p.text != "" {
			parts = append(parts, p.text)
		}
	}
	text := name + ": " + strings.Join(parts, ", ")
	switch {
	case old:
		d.warn(area, fmt.Sprintf("%s. Values older than %s are not pushed", text, humanize.Duration(stale)), "check in the Netatmo app whether the station is online; "+howToReach(r.ModuleType))
	case battery.next != "":
		d.warn(area, text, battery.next)
	case signal.next != "":
		d.warn(area, text, signal.next)
	case len(parts) == 0:
		d.ok(area, name+" is reported")
	default:
		d.ok(area, text)
	}
}

// delivered says when the backend acknowledged the module's last value, if it has.
func (d *doctor) delivered(r netatmo.Reading) string {
	if d.state == nil {
		return ""
	}
	mark, known := d.state.Delivered(r.ModuleID)
	if !known {
		return ""
	}
	return ", last value delivered " + humanize.Ago(mark, "")
}

func howToReach(moduleType string) string {
	switch moduleType {
	case netatmo.TypeRoom:
		return "check its thermostat and valves"
	case netatmo.TypeOutdoor, netatmo.TypeIndoor, netatmo.TypeWind, netatmo.TypeRain, netatmo.TypeThermostat, netatmo.TypeValve,
		netatmo.TypeRemote, netatmo.TypeDoorTag, netatmo.TypeSiren, netatmo.TypeGasMeter:
		return "change its batteries, or move it closer to its station or gateway"
	}
	return "check its power and its Wi-Fi"
}

// gauge is a value in words, and what to do if it is bad.
type gauge struct{ text, next string }

// batteryWords are Netatmo's ratings of a battery, by the value of
// netatmo.BatteryState.
var batteryWords = [...]string{"very low", "low", "medium", "high", "full", "full"}

// power describes the battery with Netatmo's rating. For weather modules
// Netatmo sends only a charge; each fifth of it has a rating.
func power(r netatmo.Reading) gauge {
	percent, hasPercent := r.Values.Get(netatmo.BatteryPercent)
	volts, hasVolts := r.Values.Get(netatmo.BatteryVoltage)
	state, hasState := r.Values.Get(netatmo.BatteryState)
	if !hasState && !hasPercent {
		return gauge{}
	}
	if !hasState {
		state = min(max(percent, 0)/20, 4)
	}
	word := batteryWords[int(state)]
	g := gauge{text: "battery " + word}
	if hasPercent {
		g.text += fmt.Sprintf(" (%.0f %%)", percent)
	} else if hasVolts {
		g.text += fmt.Sprintf(" (%.1f V)", volts)
	}
	switch word {
	case "low":
		g.next = "get new batteries"
	case "very low":
		g.next = "change the batteries"
	}
	return g
}

// radio describes the signal to the station or to the Wi-Fi (thresholds as
// documented by Netatmo's SDK).
func radio(r netatmo.Reading) gauge {
	what, nearer, bad, average := "radio", "move it closer to the station, or away from metal", -90.0, -80.0
	rssi, ok := r.Values.Get(netatmo.RadioRSSI)
	if wifi, has := r.Values.Get(netatmo.WifiRSSI); has {
		what, nearer, bad, average = "Wi-Fi", "move it closer to the access point", -86.0, -71.0
		rssi, ok = wifi, true
	}
	switch {
	case !ok:
		return gauge{}
	case rssi <= bad:
		return gauge{fmt.Sprintf("%s bad (%.0f dBm)", what, rssi), nearer}
	case rssi <= average:
		return gauge{fmt.Sprintf("%s average (%.0f dBm)", what, rssi), ""}
	}
	return gauge{fmt.Sprintf("%s good (%.0f dBm)", what, rssi), ""}
}
