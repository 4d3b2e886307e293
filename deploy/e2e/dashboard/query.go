package main

import (
	"fmt"
	"strings"
)

// Labels to aggregate by. Grouping joins series of one module that differ in
// nothing but labels of the agent itself: it has another instance after its
// state was lost, and where a backend turns resource attributes into labels,
// history lacks those that only live points carry.
const (
	identity = "home_name, station_name, module_name, module_id, module_type"
	sender   = "job, instance"
)

// selection is what the user chose by the dashboard's variables.
const selection = `home_name=~"$home",station_name=~"$station",module_name=~"$module"`

// Matchers of kinds of modules.
const (
	inside     = `module_type=~"station|indoor|home_coach"`
	outside    = `module_type="outdoor"`
	room       = `module_type="room"`
	hanging    = `module_type!="relay"` // by radio on a station or relay; what a relay says of its own radio is another scale
	withValues = `module_type=~"station|indoor|home_coach|outdoor|room"`
)

// over selects a metric of the chosen modules over a span of time, for
// example [15m].
func over(metric, span string, matchers ...string) string {
	return fmt.Sprintf(`%s{%s}%s`, metric, strings.Join(append(matchers, selection), ","), span)
}

// last is what modules last said. It looks back further than Prometheus does
// by default: live points come every minute, but those of history only as
// often as Netatmo measures, every five minutes or ten.
func last(metric string, matchers ...string) string {
	return perModule("last_over_time(" + over(metric, "[15m]", matchers...) + ")")
}

func perModule(expr string) string { return fmt.Sprintf("max by (%s) (%s)", identity, expr) }

// rainOfHour is the rain of the last hour: Netatmo's sum where it was pushed,
// else, for history, the sum of the measurements. Never a sum of live points,
// which repeat a measurement every minute.
var rainOfHour = last("netatmo_rain_hour_mm") + " or " + perModule(
	"sum_over_time("+over("netatmo_rain_amount_mm", "[1h]")+")"+
		" unless max_over_time("+over("netatmo_rain_hour_mm", "[75m]")+")",
)

// rainOfDay is the rain of the 24 hours after the time it is asked for, which
// is midnight when the step is a day. Netatmo's sum of the day counts until it
// starts anew, and that of the day before may still stand for some minutes
// after midnight: those are left out.
var rainOfDay = perModule("max_over_time("+over("netatmo_rain_day_mm", "[1410m]")+" offset -1d)") + " or " + perModule(
	"sum_over_time("+over("netatmo_rain_amount_mm", "[1d]")+" offset -1d)"+
		" unless max_over_time("+over("netatmo_rain_day_mm", "[1d]")+" offset -1d)",
)

// currentMode is the setpoint mode whose point is the newest; the mode before
// would linger for some minutes.
var currentMode = fmt.Sprintf("topk by (module_id) (1, max by (%s, setpoint_mode) (timestamp(%s)))",
	identity, over("netatmo_setpoint_mode", ""))

// ofAgent is what agents last said about themselves; further labels are kept
// on top of those that tell agents apart.
func ofAgent(metric string, further ...string) string {
	return fmt.Sprintf("max by (%s) (last_over_time(%s[15m]))", strings.Join(append([]string{sender}, further...), ", "), metric)
}

// perHour is how far counters of agents rose in an hour, in sum by labels.
func perHour(metric, by string) string {
	return fmt.Sprintf("sum by (%s) (increase(%s[1h]))", by, metric)
}
