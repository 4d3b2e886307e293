package telemetry

import (
	"go.opentelemetry.io/otel/attribute"

	"netatmo-agent/agent/catalogue"
	"netatmo-agent/agent/netatmo"
)

// naming is one of the two ways to call things: the agent's own, or that of
// netatmo-exporter. Live points and history share it, and so go into the same
// series.
type naming struct {
	readings   [netatmo.FieldEnd]*catalogue.Metric
	agent      []catalogue.Metric
	reports    func(netatmo.Reading) bool
	attributes func(netatmo.Reading) []catalogue.Attribute

	sets   map[identity]attribute.Set
	chosen map[attribute.Distinct]member // whose points go into the series of these attributes
}

// member is a module of a station.
type member struct{ module, station string }

func memberOf(r *netatmo.Reading) member { return member{r.ModuleID, r.StationID} }

func newNaming(exporterNames bool) *naming {
	n := &naming{
		agent:      catalogue.Agent(),
		reports:    func(netatmo.Reading) bool { return true },
		attributes: catalogue.Attributes,
		sets:       map[identity]attribute.Set{},
		chosen:     map[attribute.Distinct]member{},
	}
	readings := catalogue.Readings()
	if exporterNames {
		readings = catalogue.ExporterReadings()
		n.agent = append(catalogue.ExporterAgent(), n.agent...)
		n.reports = catalogue.InExporter
		n.attributes = catalogue.ExporterAttributes
	}
	for i := range readings {
		n.readings[readings[i].Field] = &readings[i]
	}
	return n
}

// identity is everything of a reading that can become an attribute.
type identity struct {
	moduleID, moduleName, moduleType string
	homeID, homeName                 string
	stationID, stationName           string
	wire                             netatmo.WireNames
	mode                             string
}

// set returns the attributes of a reading, and that of the setpoint mode unless
// it is empty. Building a set is most of the work of a point, so they are kept.
func (n *naming) set(r *netatmo.Reading, mode string) attribute.Set {
	id := identity{
		r.ModuleID, r.ModuleName, r.ModuleType, r.HomeID, r.HomeName, r.StationID, r.StationName, r.Wire, mode,
	}
	if s, ok := n.sets[id]; ok {
		return s
	}
	var list []attribute.KeyValue
	for _, a := range n.attributes(*r) {
		list = append(list, attribute.String(a.Key, a.Value))
	}
	if mode != "" {
		list = append(list, attribute.String(catalogue.AttributeSetpointMode, mode))
	}
	s := attribute.NewSet(list...)
	n.sets[id] = s
	return s
}

// forget drops the sets of modules that are gone, if they have become many.
func (n *naming) forget(modules int) {
	if len(n.sets) > 100+3*modules {
		clear(n.sets)
		clear(n.chosen)
	}
}

// spare returns those of the points' modules that have no series of their own:
// another has the same attributes, and is reported live. What was never reported
// live is chosen once, as it would be for that.
func (n *naming) spare(points []netatmo.Measurement) map[member]bool {
	newest := map[attribute.Distinct]*netatmo.Reading{}
	sharing := map[member]attribute.Distinct{}
	for i := range points {
		r := &points[i].Reading
		if _, known := sharing[memberOf(r)]; known || !n.reports(*r) {
			continue
		}
		set := n.set(r, "")
		series := set.Equivalent()
		sharing[memberOf(r)] = series
		if last := newest[series]; last == nil || r.Measured.After(last.Measured) {
			newest[series] = r
		}
	}
	for series, r := range newest {
		if _, known := n.chosen[series]; !known {
			n.chosen[series] = memberOf(r)
		}
	}
	spare := map[member]bool{}
	for m, series := range sharing {
		if n.chosen[series] != m {
			spare[m] = true
		}
	}
	return spare
}

// number returns the value of a field as the metric shows it.
func number(m *catalogue.Metric, v netatmo.Value) float64 {
	if m.Negated {
		return -v.Number
	}
	return v.Number
}
