package telemetry

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"netatmo-agent/agent/catalogue"
	"netatmo-agent/agent/netatmo"
)

// gauges show the newest readings as observable gauges: a module that is gone,
// or whose values are too old, is no longer observed, while a synchronous gauge
// would repeat it for ever. It is for use by one goroutine.
type gauges struct {
	names       *naming
	instruments [netatmo.FieldEnd]metric.Float64Observable
	shown       []*origin // what the next collection observes
}

// origin is a module, or several modules with the same attributes. Its points are
// sent in one request, so that they are accepted or rejected together.
type origin struct {
	readings []netatmo.Reading // the first is shown
	values   []gaugeValue
}

type gaugeValue struct {
	field   netatmo.Field
	number  float64
	options []metric.ObserveOption
}

func (g *gauges) register(meter metric.Meter) error {
	var all []metric.Observable
	var errs []error
	for field, m := range g.names.readings {
		if m == nil || m.Past {
			continue
		}
		i, err := meter.Float64ObservableGauge(m.Name, metric.WithUnit(m.Unit), metric.WithDescription(m.Description))
		g.instruments[field] = i
		all, errs = append(all, i), append(errs, err)
	}
	_, err := meter.RegisterCallback(g.observe, all...)
	return errors.Join(append(errs, err)...)
}

// observe is the one callback of all gauges of readings.
func (g *gauges) observe(_ context.Context, o metric.Observer) error {
	for _, s := range g.shown {
		for _, v := range s.values {
			o.ObserveFloat64(g.instruments[v.field], v.number, v.options...)
		}
	}
	return nil
}

// origins returns the origins to show now. Of several modules with the same
// attributes (under netatmo-exporter's names, two modules with one name) it is
// the one that measured last, with all its values.
func (n *naming) origins(readings []netatmo.Reading, now time.Time, stale time.Duration) []*origin {
	n.forget(len(readings))
	all := n.group(readings)
	for _, s := range all {
		n.fill(s, now, stale)
	}
	return all
}

// group returns the origins of readings, without values, and notes which reading
// each of them shows.
func (n *naming) group(readings []netatmo.Reading) (all []*origin) {
	bySet := make(map[attribute.Distinct]*origin, len(readings))
	for i := range readings {
		r := &readings[i]
		if !n.reports(*r) {
			continue
		}
		set := n.set(r, catalogue.Attribute{})
		s := bySet[set.Equivalent()]
		if s == nil {
			s = &origin{}
			all = append(all, s)
			bySet[set.Equivalent()] = s
		}
		s.readings = append(s.readings, *r)
		if last := len(s.readings) - 1; r.Measured.After(s.readings[0].Measured) {
			s.readings[0], s.readings[last] = s.readings[last], s.readings[0]
		}
		n.chosen[set.Equivalent()] = s.readings[0].Key()
	}
	return all
}

func (n *naming) fill(s *origin, now time.Time, stale time.Duration) {
	r := &s.readings[0]
	options := []metric.ObserveOption{metric.WithAttributeSet(n.set(r, catalogue.Attribute{}))}
	for _, v := range r.Values {
		m := n.readings[v.Field]
		if m == nil || !n.fresh(v.Field, r, now, stale) {
			continue
		}
		if len(m.States) > 0 {
			s.values = append(s.values, n.states(m, r)...)
		} else {
			s.values = append(s.values, gaugeValue{v.Field, number(m, v), options})
		}
	}
}

// states returns a field that is a state as one value for each state that it can
// have: 1 for the current one, 0 for the others.
func (n *naming) states(m *catalogue.Metric, r *netatmo.Reading) []gaugeValue {
	current := r.State(m.Field)
	states := m.States
	if !slices.Contains(states, current) {
		states = append(slices.Clone(states), current)
	}
	var values []gaugeValue
	for _, state := range states {
		v := gaugeValue{field: m.Field}
		if state == current {
			v.number = 1
		}
		set := n.set(r, catalogue.Attribute{Key: m.Attributes[0], Value: state})
		v.options = []metric.ObserveOption{metric.WithAttributeSet(set)}
		values = append(values, v)
	}
	return values
}
