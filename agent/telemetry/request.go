package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/exemplar"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"

	"netatmo-agent/agent/catalogue"
	"netatmo-agent/agent/netatmo"
)

// maxValues is how many values a request carries at most: about 256 kB, which
// any backend accepts and a slow line carries within the timeout.
const maxValues = 1000

const scopeName = "netatmo-agent"

// newMeter returns the meter and the reader that collects from it. The
// environment does not count: no limit to the number of series, no exemplars,
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

// liveRequest is one request with live readings. It contains whole origins,
// which are accepted or rejected together. Their points are collected when it is
// sent.
type liveRequest struct {
	own     bool // the agent's metrics about itself, too
	origins []*origin
}

// requests distributes origins over requests of about so many values at most. The
// agent's own metrics go with the first.
func requests(origins []*origin, most int) []liveRequest {
	all, values := []liveRequest{{own: true}}, maxAgentPoints
	for _, s := range origins {
		if len(s.values) == 0 {
			continue
		}
		if values += len(s.values); values > most {
			all, values = append(all, liveRequest{}), len(s.values)
		}
		last := &all[len(all)-1]
		last.origins = append(last.origins, s)
	}
	return all
}

// halves divides a request: it separates the agent's own metrics, which hardly any
// backend refuses, from those of modules, or divides the latter in two. ok is false
// if there is nothing to divide.
func (r liveRequest) halves() (first, second liveRequest, ok bool) {
	half := len(r.origins) / 2
	if r.own {
		half = 0
	}
	return liveRequest{own: r.own, origins: r.origins[:half]}, liveRequest{origins: r.origins[half:]},
		len(r.origins) > 1 || len(r.origins) == 1 && r.own
}

// readings returns what the request shows, or shows another of the same
// attributes for.
func (r liveRequest) readings() (all []netatmo.Reading) {
	for _, s := range r.origins {
		all = append(all, s.readings...)
	}
	return all
}

// collect returns the request's points, all with the time of the push.
func (p *Pusher) collect(ctx context.Context, r liveRequest) (metrics []metricdata.Metrics, points int, err error) {
	p.gauges.shown, p.agent.shown = r.origins, r.own
	var collected metricdata.ResourceMetrics
	if err := p.reader.Collect(ctx, &collected); err != nil {
		return nil, 0, err
	}
	for _, scope := range collected.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Gauge[float64]:
				points += setTime(data.DataPoints, p.stamp)
			case metricdata.Sum[int64]:
				points += setTime(data.DataPoints, p.stamp)
				for i := range data.DataPoints {
					data.DataPoints[i].StartTime = p.counting
				}
				if p.deltas != nil {
					m.Data = p.deltas.since(m.Name, data)
				}
			}
			metrics = append(metrics, m)
		}
	}
	return metrics, points, nil
}

func setTime[N int64 | float64](points []metricdata.DataPoint[N], at time.Time) int {
	for i := range points {
		points[i].Time = at
	}
	return len(points)
}

// resourceMetrics is what one request carries.
func resourceMetrics(r *resource.Resource, metrics []metricdata.Metrics) *metricdata.ResourceMetrics {
	return &metricdata.ResourceMetrics{
		Resource:     r,
		ScopeMetrics: []metricdata.ScopeMetrics{{Scope: instrumentation.Scope{Name: scopeName}, Metrics: metrics}},
	}
}

// Probe pushes one point, netatmo.agent.info, with the agent's identity, to find
// out whether the backend accepts it. otlp.Classify explains the error.
func Probe(ctx context.Context, o Options) error {
	live, _ := resources(o)
	return o.Exporter.Export(ctx, resourceMetrics(live, infoPoint(o.Version)))
}

// infoPoint is netatmo.agent.info now.
func infoPoint(version string) []metricdata.Metrics {
	point := metricdata.DataPoint[float64]{
		Attributes: attribute.NewSet(attribute.String("version", version)), Time: time.Now().Truncate(time.Millisecond), Value: 1,
	}
	return []metricdata.Metrics{{
		Name: catalogue.AgentInfo, Data: metricdata.Gauge[float64]{DataPoints: []metricdata.DataPoint[float64]{point}},
	}}
}
