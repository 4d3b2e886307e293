package main

import (
	"fmt"
	"strings"
)

// Labels to aggregate by. Grouping joins series of one module that differ only
// in labels of the agent: it has a new instance after its state was lost, and
// in backends that turn resource attributes into labels, history lacks those
// that only live points carry.
const (
	identity = "home_name, station_name, module_name, module_id, module_type"
	sender   = "job, instance"
)

// selection is the user's choice in the dashboard's variables.
const selection = `home_name=~"$home",station_name=~"$station",module_name=~"$module"`

// Matchers of kinds of modules.
const (
	inside     = `module_type=~"station|indoor|home_coach"`
	outside    = `module_type="outdoor"`
	room       = `module_type="room"`
	hanging    = `module_type!="relay"` // connected by radio to a station or relay; a relay's own radio has another scale
	withValues = `module_type=~"station|indoor|home_coach|outdoor|room"`
)

// over selects a metric of the chosen modules over a period, for example [15m].
func over(metric, span string, matchers ...string) string {
	return fmt.Sprintf(`%s{%s}%s`, metric, strings.Join(append(matchers, selection), ","), span)
}

// last is the last value of each module. It looks back further than Prometheus
// does by default: live points arrive every minute, but those of history only
// as often as Netatmo measures, every five or ten minutes.
func last(metric string, matchers ...string) string {
	return perModule("last_over_time(" + over(metric, "[15m]", matchers...) + ")")
}

func perModule(expr string) string { return fmt.Sprintf("max by (%s) (%s)", identity, expr) }

// rainOfHour is the rain of the last hour: Netatmo's sum if it was pushed,
// else, for history, the sum of the measurements. It is never a sum of live
// points, which repeat a measurement every minute.
var rainOfHour = last("netatmo_rain_hour_mm") + " or " + perModule(
	"sum_over_time("+over("netatmo_rain_amount_mm", "[1h]")+")"+
		" unless max_over_time("+over("netatmo_rain_hour_mm", "[75m]")+")",
)

// rainOfDay is the rain of the 24 hours after the query's time, which is
// midnight if the step is a day. It uses Netatmo's sum of the day, except for
// the first minutes after midnight, when that may still be the sum of the day
// before.
var rainOfDay = perModule("max_over_time("+over("netatmo_rain_day_mm", "[1410m]")+" offset -1d)") + " or " + perModule(
	"sum_over_time("+over("netatmo_rain_amount_mm", "[1d]")+" offset -1d)"+
		" unless max_over_time("+over("netatmo_rain_day_mm", "[1d]")+" offset -1d)",
)

// amountOfDay is what meters counted in the 24 hours after the query's time, which
// is midnight if the step is a day. The time of an amount is the end of its half hour.
func amountOfDay(metric string, further ...string) string {
	by := strings.Join(append([]string{identity}, further...), ", ")
	return fmt.Sprintf("max by (%s) (sum_over_time(%s offset -1d))", by, over(metric, "[1d]"))
}

// current is the current state of a state set, with the label that names it.
func current(metric, label string) string {
	return fmt.Sprintf("max by (%s, %s) (last_over_time(%s)) == 1", identity, label, over(metric, "[15m]"))
}

// ofRoom is the sum of the last values of a room's devices.
func ofRoom(metric string) string {
	return fmt.Sprintf(`sum by (home_name, room_name) (last_over_time(%s))`, over(metric, "[15m]", `room_name!=""`))
}

// ofAgent is the last value of each agent's metric about itself; it keeps
// further labels in addition to those that distinguish agents.
func ofAgent(metric string, further ...string) string {
	return fmt.Sprintf("max by (%s) (last_over_time(%s[15m]))", strings.Join(append([]string{sender}, further...), ", "), metric)
}

// perHour is the increase of agents' counters in an hour, summed by labels.
func perHour(metric, by string) string {
	return fmt.Sprintf("sum by (%s) (increase(%s[1h]))", by, metric)
}
