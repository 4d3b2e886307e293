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

// Freshness says by which time a value is judged too old to be repeated.
type Freshness uint8

// The classes of freshness.
const (
	// Sensor values are as old as their measurement.
	Sensor Freshness = iota
	// Radio values come with every contact between a module and its station,
	// so the later of measurement and last contact counts.
	Radio
	// Status values say what Netatmo knows, also of a dead module; they are as
	// old as the answer that held them.
	Status
)

// Metric is one row of the table. Rows are shared and must not be changed.
type Metric struct {
	Name        string
	Unit        string // UCUM; empty for flags and indexes, because "1" would become "_ratio" in Prometheus
	Kind        Kind
	Description string // a phrase for people, sent along with the metric
	From        string // what Netatmo calls the value
	Note        string // for the printed table, Markdown

	Field      netatmo.Field // zero for a metric that is no reading
	Freshness  Freshness
	History    string   // type of getmeasure that holds earlier values; empty where Netatmo keeps none
	Attributes []string // keys beyond those of the module
	Negated    bool     // the metric shows the field's number with the sign turned
}

// Readings returns the metrics of modules and rooms.
func Readings() []Metric { return readings }

// Agent returns the agent's metrics about itself.
func Agent() []Metric { return agent }

// History returns what getmeasure, or for a room getroommeasure, is to be asked
// for about a module of the type; nothing for types without a history. The
// columns are shared and must not be changed.
func History(moduleType string) []netatmo.Column { return history[moduleType] }

// history has its columns in the order in which Netatmo's documentation lists
// them for each kind of device: answers come in that order or in the order asked
// for, and so the two coincide.
var (
	history         = columns(readings)
	exporterHistory = columns(exporterReadings)
)

// measured is what Netatmo keeps of each type of module.
var measured = map[string][]netatmo.Field{
	netatmo.TypeStation:   {netatmo.Temperature, netatmo.CO2, netatmo.Humidity, netatmo.Pressure, netatmo.Noise},
	netatmo.TypeHomeCoach: {netatmo.Temperature, netatmo.CO2, netatmo.Humidity, netatmo.Pressure, netatmo.Noise},
	netatmo.TypeOutdoor:   {netatmo.Temperature, netatmo.Humidity},
	netatmo.TypeIndoor:    {netatmo.Temperature, netatmo.CO2, netatmo.Humidity},
	netatmo.TypeWind:      {netatmo.WindSpeed, netatmo.WindDirection, netatmo.GustSpeed, netatmo.GustDirection},
	netatmo.TypeRain:      {netatmo.Rain},
	netatmo.TypeRoom:      {netatmo.Temperature, netatmo.SetpointTemp},
}

// columns takes the types of fields from a table of readings, where it has
// them. Rooms spell them in lower case.
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

// Fresh reports whether the value of m in r may still be reported at now: the
// time that its Freshness looks at is at most stale ago.
func Fresh(m Metric, r netatmo.Reading, now time.Time, stale time.Duration) bool {
	return now.Sub(judged(m.Freshness, r)) <= stale
}

func judged(f Freshness, r netatmo.Reading) time.Time {
	if f == Status {
		return r.Answered
	}
	t := r.Measured
	if f == Radio && r.Seen.After(t) {
		t = r.Seen
	}
	return t
}
