package telemetry

import (
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// deltas turns counters into increases since the last accepted push, or since the
// start. The SDK's own deltas restart at each collection, so a failed push would
// lose them. For use by one goroutine.
type deltas struct {
	accepted map[counter]int64
	until    time.Time // of the last accepted push, zero before
}

type counter struct {
	name string
	set  attribute.Distinct
}

func newDeltas() *deltas { return &deltas{accepted: map[counter]int64{}} }

// since returns a counter's points as deltas.
func (d *deltas) since(name string, sum metricdata.Sum[int64]) metricdata.Sum[int64] {
	sum.Temporality = metricdata.DeltaTemporality
	for i := range sum.DataPoints {
		p := &sum.DataPoints[i]
		p.Value -= d.accepted[counter{name, p.Attributes.Equivalent()}]
		if !d.until.IsZero() {
			p.StartTime = d.until
		}
	}
	return sum
}

// accept notes that the backend has the deltas among metrics.
func (d *deltas) accept(metrics []metricdata.Metrics, at time.Time) {
	for _, m := range metrics {
		sum, ok := m.Data.(metricdata.Sum[int64])
		if !ok {
			continue
		}
		for _, p := range sum.DataPoints {
			d.accepted[counter{m.Name, p.Attributes.Equivalent()}] += p.Value
		}
	}
	d.until = at
}
