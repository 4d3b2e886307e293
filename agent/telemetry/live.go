package telemetry

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/exemplar"

	"netatmo-agent/agent/catalogue"
	"netatmo-agent/agent/netatmo"
)

const scopeName = "netatmo-agent"

// live shows the readings of the moment as observable gauges: a module that is
// gone, or whose values are too old, is simply not observed any more, where a
// synchronous gauge would repeat it for ever. It is for use by one goroutine.
type live struct {
	names    *naming
	stale    time.Duration
	readings func() []netatmo.Reading
	gauges   [netatmo.FieldEnd]metric.Float64Observable

	// What the collection of the moment found.
	now     time.Time
	modules []*module
	route   map[attribute.Distinct]*module // by the attributes of their points
}

// module is what one collection reports under one set of attributes.
type module struct {
	// readings has one element, or several that cannot be told apart; the
	// first is reported.
	readings []netatmo.Reading
	set      attribute.Set
	points   int
	history  bool // a value that Netatmo keeps a history of is among the points
	request  int  // index of the request that carries the points
}

// newMeter returns the meter and the reader that collects from it. Nothing of
// the environment counts: no limit to the number of series, no exemplars,
// cumulative sums.
func newMeter() (metric.Meter, *sdkmetric.ManualReader) {
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(
		sdkmetric.WithReader(reader),
		sdkmetric.WithCardinalityLimit(0),
		sdkmetric.WithExemplarFilter(exemplar.AlwaysOffFilter),
	)
	return provider.Meter(scopeName), reader
}

func (l *live) register(meter metric.Meter) error {
	var all []metric.Observable
	var errs []error
	for field, m := range l.names.readings {
		if m == nil {
			continue
		}
		g, err := meter.Float64ObservableGauge(m.Name, metric.WithUnit(m.Unit), metric.WithDescription(m.Description))
		l.gauges[field] = g
		all, errs = append(all, g), append(errs, err)
	}
	_, err := meter.RegisterCallback(l.observe, all...)
	return errors.Join(append(errs, err)...)
}

// observe is the one callback of all gauges of readings.
func (l *live) observe(_ context.Context, o metric.Observer) error {
	l.find(l.readings())
	for _, m := range l.modules {
		r := &m.readings[0]
		option := []metric.ObserveOption{metric.WithAttributeSet(m.set)}
		for _, v := range r.Values {
			row := l.names.readings[v.Field]
			if row == nil || !catalogue.Fresh(*row, *r, l.now, l.stale) {
				continue
			}
			options := option
			if row.Field == netatmo.SetpointMode {
				set := l.names.set(r, r.SetpointMode)
				l.route[set.Equivalent()] = m
				options = []metric.ObserveOption{metric.WithAttributeSet(set)}
			}
			o.ObserveFloat64(l.gauges[v.Field], number(row, v), options...)
			m.points++
			m.history = m.history || row.History != ""
		}
	}
	return nil
}

// find sorts out which reading is reported for each set of attributes: of
// several the one measured last, and all of it. Two modules of one name have
// the same labels in netatmo-exporter's naming.
func (l *live) find(readings []netatmo.Reading) {
	l.names.forget(len(readings))
	l.modules = l.modules[:0]
	l.route = make(map[attribute.Distinct]*module, len(readings))
	for i := range readings {
		r := &readings[i]
		if !l.names.reports(*r) {
			continue
		}
		set := l.names.set(r, "")
		m := l.route[set.Equivalent()]
		if m == nil {
			m = &module{set: set}
			l.modules = append(l.modules, m)
			l.route[set.Equivalent()] = m
		}
		m.readings = append(m.readings, *r)
		if last := len(m.readings) - 1; r.Measured.After(m.readings[0].Measured) {
			m.readings[0], m.readings[last] = m.readings[last], m.readings[0]
		}
		l.names.chosen[m.set.Equivalent()] = memberOf(&m.readings[0])
	}
}
