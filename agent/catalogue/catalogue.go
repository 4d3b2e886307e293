package catalogue

import (
	"slices"
	"strings"
	"time"

	"netatmo-agent/agent/netatmo"
)

// Kind is the type of a metric.
type Kind uint8

// The kinds of metrics.
const (
	Gauge   Kind = iota
	Counter      // monotonic and cumulative
)

// String returns "gauge" or "counter".
func (k Kind) String() string {
	if k == Counter {
		return "counter"
	}
	return "gauge"
}

// Metric is one row of the table. Rows are shared and must not be changed.
type Metric struct {
	Name        string
	Unit        string // UCUM; empty for flags and indexes, because "1" would become "_ratio" in Prometheus
	Kind        Kind
	Description string // a phrase for people, exported with the metric
	From        string // what Netatmo calls the value
	Note        string // for the printed table, Markdown

	Field      netatmo.Field // zero for a metric that is not a reading
	Variants   []Variant     // the fields of a metric with one attribute that has fixed values; Field is the first
	Past       bool          // only the history has it
	History    string        // the type of getmeasure with earlier values; empty if Netatmo keeps none
	Attributes []string      // keys beyond those of the module
	States     []string      // the known states; set if the one attribute is the name of a state
	Negated    bool          // the metric shows the negative of the field's number
}

// Variant is a field, and the value of its metric's attribute.
type Variant struct {
	Field netatmo.Field
	Value string
}

// Fields returns the fields that m shows.
func (m *Metric) Fields() []netatmo.Field {
	if len(m.Variants) == 0 {
		return []netatmo.Field{m.Field}
	}
	var all []netatmo.Field
	for _, v := range m.Variants {
		all = append(all, v.Field)
	}
	return all
}

// Attribute returns the attribute that a field of m has besides its module's. It
// is empty for most.
func (m *Metric) Attribute(f netatmo.Field) Attribute {
	for _, v := range m.Variants {
		if v.Field == f {
			return Attribute{m.Attributes[0], v.Value}
		}
	}
	return Attribute{}
}

// Readings returns the metrics of modules and rooms.
func Readings() []Metric { return readings }

// Agent returns the agent's metrics about itself.
func Agent() []Metric { return agent }

// History returns the columns to request from getmeasure, or from getroommeasure
// for a room, for modules of the type; none for types without a history. The
// columns are shared and must not be changed.
func History(moduleType string) []netatmo.Column { return history[moduleType] }

// history has the columns in the order of Netatmo's documentation. Answers have
// either that order or the order of the request, so the two must be the same.
var (
	history         = columns(readings)
	exporterHistory = columns(exporterReadings)
)

// measured lists the fields with a history for each type of module.
var measured = map[string][]netatmo.Field{
	netatmo.TypeStation:   {netatmo.Temperature, netatmo.CO2, netatmo.Humidity, netatmo.Pressure, netatmo.Noise},
	netatmo.TypeHomeCoach: {netatmo.Temperature, netatmo.CO2, netatmo.Humidity, netatmo.Pressure, netatmo.Noise},
	netatmo.TypeOutdoor:   {netatmo.Temperature, netatmo.Humidity},
	netatmo.TypeIndoor:    {netatmo.Temperature, netatmo.CO2, netatmo.Humidity},
	netatmo.TypeWind:      {netatmo.WindSpeed, netatmo.WindDirection, netatmo.GustSpeed, netatmo.GustDirection},
	netatmo.TypeRain:      {netatmo.Rain},
	netatmo.TypeRoom:      {netatmo.Temperature, netatmo.SetpointTemp},
}

// columns returns the names of the fields' histories from a table of readings.
// For rooms, Netatmo spells them in lower case.
func columns(readings []Metric) map[string][]netatmo.Column {
	all := map[string][]netatmo.Column{}
	for moduleType, list := range measured {
		for _, f := range list {
			row := slices.IndexFunc(readings, func(m Metric) bool { return m.Field == f })
			if row < 0 {
				continue
			}
			c := netatmo.Column{Type: readings[row].History, Field: f}
			if moduleType == netatmo.TypeRoom {
				c.Type = strings.ToLower(c.Type)
			}
			all[moduleType] = append(all[moduleType], c)
		}
	}
	return all
}

// Fresh reports whether the field f of r may still be exported at now: its
// measurement, its last contact or its answer is at most stale, or two rounds, ago.
func Fresh(f netatmo.Field, r *netatmo.Reading, now time.Time, stale time.Duration) bool {
	t := r.Measured
	switch origin := f.Origin(); {
	case origin == netatmo.Status:
		t = r.Answered
	case origin == netatmo.Radio && r.Seen.After(t):
		t = r.Seen
	}
	return now.Sub(t) <= r.Lasts(stale)
}
