package telemetry

import (
	"time"

	"go.opentelemetry.io/otel/attribute"

	"netatmo-agent/agent/catalogue"
	"netatmo-agent/agent/netatmo"
)

// naming is one of the two naming schemes: the agent's own, or netatmo-exporter's.
// Live points and history share it, so that they go into the same series.
type naming struct {
	readings   [netatmo.FieldEnd]*catalogue.Metric
	agent      []catalogue.Metric
	reports    func(netatmo.Reading) bool
	attributes func(netatmo.Reading) []catalogue.Attribute
	fresh      func(netatmo.Field, *netatmo.Reading, time.Time, time.Duration) bool

	sets   map[labels]attribute.Set
	chosen map[attribute.Distinct]netatmo.Key // whose points go into the series of these attributes
}

func newNaming(exporterNames bool) *naming {
	n := &naming{
		agent:      catalogue.Agent(),
		reports:    func(netatmo.Reading) bool { return true },
		attributes: catalogue.Attributes,
		fresh:      catalogue.Fresh,
		sets:       map[labels]attribute.Set{},
		chosen:     map[attribute.Distinct]netatmo.Key{},
	}
	readings := catalogue.Readings()
	if exporterNames {
		readings = catalogue.ExporterReadings()
		n.agent = append(catalogue.ExporterAgent(), n.agent...)
		n.reports = catalogue.InExporter
		n.attributes = catalogue.ExporterAttributes
		n.fresh = catalogue.ExporterFresh
	}
	for i := range readings {
		for _, f := range readings[i].Fields() {
			n.readings[f] = &readings[i]
		}
	}
	return n
}

// labels are the parts of a reading that can become attributes.
type labels struct {
	moduleID, moduleName, moduleType string
	homeID, homeName                 string
	stationID, stationName           string
	room                             string
	wire                             netatmo.WireNames
	state                            catalogue.Attribute
}

// set returns the attributes of a reading, and that of a state unless it is
// empty. Building a set is most of the work of a point, so they are kept.
func (n *naming) set(r *netatmo.Reading, state catalogue.Attribute) attribute.Set {
	key := labels{
		r.ModuleID, r.ModuleName, r.ModuleType, r.HomeID, r.HomeName, r.StationID, r.StationName, r.RoomName, r.Wire, state,
	}
	if s, ok := n.sets[key]; ok {
		return s
	}
	var list []attribute.KeyValue
	for _, a := range n.attributes(*r) {
		list = append(list, attribute.String(a.Key, a.Value))
	}
	if state.Key != "" {
		list = append(list, attribute.String(state.Key, state.Value))
	}
	s := attribute.NewSet(list...)
	n.sets[key] = s
	return s
}

// setsOf returns the attributes of a module's samples by field.
func (n *naming) setsOf(r *netatmo.Reading, samples []netatmo.Sample) map[netatmo.Field]attribute.Set {
	sets := map[netatmo.Field]attribute.Set{}
	for _, s := range samples {
		for _, v := range s.Values {
			if _, known := sets[v.Field]; known {
				continue
			}
			if row := n.readings[v.Field]; row != nil {
				sets[v.Field] = n.set(r, row.Attribute(v.Field))
			}
		}
	}
	return sets
}

// forget drops the sets of modules that are gone, if they have become many.
func (n *naming) forget(modules int) {
	if len(n.sets) > 100+12*modules { // a room has a set for each state of its setpoint
		clear(n.sets)
		clear(n.chosen)
	}
}

// shows reports whether history of r goes into the series of its attributes. Of
// several modules with the same attributes, it is the history of the one that is
// shown live or, if none was yet, the one that would be.
func (n *naming) shows(r *netatmo.Reading, readings func() []netatmo.Reading) bool {
	if !n.reports(*r) {
		return false
	}
	set := n.set(r, catalogue.Attribute{})
	series := set.Equivalent()
	if _, known := n.chosen[series]; !known {
		n.group(readings())
	}
	if _, known := n.chosen[series]; !known {
		n.chosen[series] = r.Key()
	}
	return n.chosen[series] == r.Key()
}

// number returns the value of a field as the metric shows it.
func number(m *catalogue.Metric, v netatmo.Value) float64 {
	if m.Negated {
		return -v.Number
	}
	return v.Number
}
