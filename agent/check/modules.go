package check

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/words"
)

// module tells how one module is: its values, battery and signal.
func (d *doctor) module(r netatmo.Reading) {
	const area = "module"
	name := fmt.Sprintf("%s (%s)", r.ModuleName, strings.ReplaceAll(r.ModuleType, "_", " "))
	if r.StationName != "" && r.StationID != r.ModuleID {
		name += " of " + r.StationName
	}
	since := func(t time.Time) string { return words.Span(max(0, r.Answered.Sub(t))) + " ago" }
	toReach := howToReach(r.ModuleType)
	reachable, said := r.Values.Get(netatmo.Reachable)
	switch {
	case said && reachable == 0 && r.Seen.IsZero():
		d.fail(area, name+" is not reachable and never was seen", toReach+"; or remove it in the Netatmo app")
		return
	case said && reachable == 0:
		d.fail(area, fmt.Sprintf("%s is not reachable, last seen %s", name, since(r.Seen)), toReach)
		return
	case r.Measured.IsZero() && r.Family != netatmo.Energy:
		d.fail(area, name+" is reachable, but Netatmo has no values of it", "look into the Netatmo app; if it shows none either, start the station again")
		return
	}
	parts := []string{}
	stale := cmp.Or(d.Config.AgeStale, 20*time.Minute)
	old := !r.Measured.IsZero() && r.Answered.Sub(r.Measured) > stale
	if !r.Measured.IsZero() && r.Family != netatmo.Energy {
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
		d.fail(area, fmt.Sprintf("%s. Values older than %s are not pushed", text, words.Span(stale)), "see in the Netatmo app whether the station is online; "+toReach)
	case battery.next != "":
		d.warn(area, text, battery.next)
	case signal.next != "":
		d.warn(area, text, signal.next)
	case len(parts) == 0:
		d.ok(area, name+" is there")
	default:
		d.ok(area, text)
	}
}

func howToReach(moduleType string) string {
	if moduleType == netatmo.TypeRoom {
		return "see to its thermostat and valves"
	}
	if _, ok := batteries[moduleType]; ok {
		return "change its batteries, or move it nearer to the station"
	}
	return "see whether it has power and Wi-Fi"
}

// gauge is a value in words, and what to do if it is a bad one.
type gauge struct{ text, next string }

// levels are the voltages, in V, from which on a battery is full, high, medium
// and low; below the last it is very low (documented by Netatmo; those of
// valves as reported, and observed to be full at 3.0).
type levels [4]float64

var batteries = map[string]levels{
	netatmo.TypeOutdoor:    {5.5, 5.0, 4.5, 4.0},
	netatmo.TypeRain:       {5.5, 5.0, 4.5, 4.0},
	netatmo.TypeIndoor:     {5.64, 5.28, 4.92, 4.56},
	netatmo.TypeWind:       {5.59, 5.18, 4.77, 4.36},
	netatmo.TypeThermostat: {4.1, 3.6, 3.3, 3.0},
	netatmo.TypeValve:      {3.0, 2.7, 2.4, 2.2},
}

// emptyPercent is the charge that counts as low where there is no voltage.
const emptyPercent = 10

func power(r netatmo.Reading) gauge {
	percent, hasPercent := r.Values.Get(netatmo.BatteryPercent)
	volts, hasVolts := r.Values.Get(netatmo.BatteryVoltage)
	steps, hasSteps := batteries[r.ModuleType]
	var word string
	switch {
	case hasVolts && hasSteps:
		words := [...]string{"full", "high", "medium", "low", "very low"}
		i := 0
		for i < len(steps) && volts < steps[i] {
			i++
		}
		word = words[i]
	case hasPercent && percent <= emptyPercent:
		word = "low"
	case hasPercent:
		word = "good"
	default:
		return gauge{}
	}
	g := gauge{text: "battery " + word}
	if hasPercent {
		g.text += fmt.Sprintf(" (%.0f %%)", percent)
	} else if hasVolts {
		g.text += fmt.Sprintf(" (%.1f V)", volts)
	}
	switch word {
	case "low":
		g.next = "have new batteries ready"
	case "very low":
		g.next = "change the batteries"
	}
	return g
}

// radio words the signal by which values leave the module: to its station, or
// to the Wi-Fi (thresholds as documented by Netatmo's SDK).
func radio(r netatmo.Reading) gauge {
	what, nearer, bad, average := "radio", "move it nearer to the station, or away from metal", -90.0, -80.0
	rssi, ok := r.Values.Get(netatmo.RadioRSSI)
	if wifi, has := r.Values.Get(netatmo.WifiRSSI); has {
		what, nearer, bad, average = "Wi-Fi", "move it nearer to the access point", -86.0, -71.0
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
