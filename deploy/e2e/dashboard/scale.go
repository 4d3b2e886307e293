package main

import (
	"slices"
	"strconv"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// plain is the colour of text in Grafana's light and dark theme.
const plain = "text"

// scale says what numbers mean, from low to high. The first step applies to
// everything below the second, whatever its from.
type scale []step

type step struct {
	from        float64
	color, word string
}

var (
	neutral = scale{{color: plain}}

	// Limits as in the alert rules.
	carbonDioxide = scale{{0, "green", "good"}, {1000, "yellow", "stale"}, {1500, "red", "bad"}}

	// Steps of a weather module's charge; other devices have Netatmo's rating.
	battery = scale{{0, "red", "very low"}, {20, "orange", "low"}, {40, "yellow", "medium"}, {60, "green", "high"}, {80, "green", "full"}}
	// Netatmo's own steps (it counts attenuation, without the sign).
	radioSignal = scale{{0, "red", "very low"}, {-90, "orange", "low"}, {-80, "yellow", "medium"}, {-70, "green", "high"}, {-60, "green", "full"}}
	wifiSignal  = scale{{0, "red", "bad"}, {-86, "orange", "weak"}, {-71, "yellow", "average"}, {-56, "green", "good"}}

	air  = scale{{0, "light-blue", ""}, {5, "green", ""}, {25, "orange", ""}, {30, "red", ""}}
	damp = scale{{0, "orange", ""}, {30, "green", ""}, {60, "yellow", ""}, {70, "blue", ""}}

	compass = scale{
		{0, plain, "N"}, {22.5, plain, "NE"}, {67.5, plain, "E"}, {112.5, plain, "SE"}, {157.5, plain, "S"},
		{202.5, plain, "SW"}, {247.5, plain, "W"}, {292.5, plain, "NW"}, {337.5, plain, "N"},
	}

	trend       = states{{-1, "blue", "↘ falling"}, {0, plain, "→ steady"}, {1, "orange", "↗ rising"}}
	health      = states{{0, "green", "healthy"}, {1, "light-green", "fine"}, {2, "yellow", "fair"}, {3, "orange", "poor"}, {4, "red", "unhealthy"}}
	batteryWord = states{{0, "red", "very low"}, {1, "orange", "low"}, {2, "yellow", "medium"}, {3, "green", "high"}, {4, "green", "full"}, {5, "green", "max"}}

	reachable = states{{0, "red", "no"}, {1, "green", "yes"}}
	working   = states{{0, "red", "no"}, {1, "green", "yes"}}
	burning   = states{{0, plain, "off"}, {1, "orange", "on"}}
	opened    = states{{0, plain, "closed"}, {1, "blue", "open"}}
	faulty    = states{{0, "green", "no"}, {1, "red", "error"}}
	inUse     = states{{1, "blue", "yes"}}
	card      = states{{1, "red", "missing"}, {2, "yellow", "inserted"}, {3, "yellow", "formatted"}, {4, "green", "works"}, {5, "red", "defective"}, {6, "orange", "too slow"}, {7, "orange", "full"}}
	busy      = states{{0, plain, "no"}, {1, "yellow", "calibrating"}}
)

// config colours numbers.
func (s scale) config() dashboard.ThresholdsConfig {
	var list []dashboard.Threshold
	for i, x := range s {
		t := dashboard.Threshold{Color: x.color}
		if i > 0 {
			t.Value = &x.from
		}
		list = append(list, t)
	}
	return dashboard.ThresholdsConfig{Mode: dashboard.ThresholdsModeAbsolute, Steps: list}
}

// thresholds is config for the builders of panels.
func (s scale) thresholds() *dashboard.ThresholdsConfigBuilder {
	return dashboard.NewThresholdsConfigBuilder().Mode(dashboard.ThresholdsModeAbsolute).Steps(s.config().Steps)
}

// words shows names instead of numbers.
func (s scale) words() []dashboard.ValueMapping {
	var list []dashboard.ValueMapping
	for i, x := range s {
		r := dashboard.DashboardRangeMapOptions{Result: result(x, i)}
		if i > 0 {
			r.From = &x.from
		}
		if i+1 < len(s) {
			r.To = &s[i+1].from
		}
		list = append(list, dashboard.ValueMapping{RangeMap: &dashboard.RangeMap{Type: dashboard.MappingTypeRangeToText, Options: r}})
	}
	slices.Reverse(list) // the first match counts: a limit belongs to the step that begins there
	return list
}

// states are numbers with names.
type states []step

func (s states) words() []dashboard.ValueMapping {
	m := map[string]dashboard.ValueMappingResult{}
	for i, x := range s {
		m[strconv.FormatFloat(x.from, 'f', -1, 64)] = result(x, i)
	}
	return []dashboard.ValueMapping{{ValueMap: &dashboard.ValueMap{Type: dashboard.MappingTypeValueToText, Options: m}}}
}

func result(x step, i int) dashboard.ValueMappingResult {
	return dashboard.ValueMappingResult{Text: &x.word, Color: &x.color, Index: new(int32(i))}
}
