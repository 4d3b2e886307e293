package telemetry

import (
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"netatmo-agent/agent/netatmo"
)

// maxPoints is the most points that one request carries. A Collector refuses
// more than 4 MiB; a point with long names takes some 400 bytes.
const maxPoints = 5000

// request is what one export carries: whole modules, so that its fate is
// theirs.
type request struct {
	own     bool // the agent's own points are in it
	modules []*module
	metrics []metricdata.Metrics
	points  int
}

// split makes requests out of what was collected and gives all points one
// time. Points that belong to no module, the agent's own, go with the first.
func (l *live) split(collected []metricdata.ScopeMetrics, at time.Time) []request {
	requests := []request{{own: true}}
	for _, m := range l.modules {
		if m.points == 0 {
			continue
		}
		if last := requests[len(requests)-1]; last.points+m.points > maxPoints-maxAgentPoints {
			requests = append(requests, request{})
		}
		m.request = len(requests) - 1
		last := &requests[m.request]
		last.modules = append(last.modules, m)
		last.points += m.points
	}
	for _, scope := range collected {
		l.distribute(scope.Metrics, requests, at)
	}
	return requests
}

// divisible reports whether a request can be taken apart.
func (r *request) divisible() bool {
	return len(r.modules) > 1 || len(r.modules) == 1 && r.own
}

// apart splits a request in two: the agent's own points, which hardly any
// backend refuses, from those of modules, or these in halves.
func (l *live) apart(r request, at time.Time) []request {
	half := len(r.modules) / 2
	if r.own {
		half = 0
	}
	requests := []request{{own: r.own, modules: r.modules[:half]}, {modules: r.modules[half:]}}
	for i := range requests {
		for _, m := range requests[i].modules {
			m.request = i
		}
	}
	l.distribute(r.metrics, requests, at)
	return requests
}

// distribute hands every point to the request of its module.
func (l *live) distribute(metrics []metricdata.Metrics, requests []request, at time.Time) {
	for i := range requests {
		requests[i].points = 0
	}
	for _, m := range metrics {
		switch data := m.Data.(type) {
		case metricdata.Gauge[float64]:
			for i, points := range route(l.route, data.DataPoints, len(requests), at) {
				requests[i].add(m, metricdata.Gauge[float64]{DataPoints: points}, len(points))
			}
		case metricdata.Sum[int64]:
			for i, points := range route(l.route, data.DataPoints, len(requests), at) {
				data.DataPoints = points
				requests[i].add(m, data, len(points))
			}
		}
	}
}

func route[N int64 | float64](to map[attribute.Distinct]*module, points []metricdata.DataPoint[N], requests int, at time.Time) [][]metricdata.DataPoint[N] {
	parts := make([][]metricdata.DataPoint[N], requests)
	for _, p := range points {
		i := 0
		if m := to[p.Attributes.Equivalent()]; m != nil {
			i = m.request
		}
		p.Time = at
		parts[i] = append(parts[i], p)
	}
	return parts
}

func (r *request) add(m metricdata.Metrics, data metricdata.Aggregation, points int) {
	if points == 0 {
		return
	}
	m.Data = data
	r.metrics = append(r.metrics, m)
	r.points += points
}

// delivered returns the readings of a request that the backend has taken, of
// those that Netatmo keeps a history of. A module that was reported without
// such a value, because it is dead or its values are old, is not among them:
// what it measures meanwhile is still to be fetched.
func (r *request) delivered() []netatmo.Reading {
	var all []netatmo.Reading
	for _, m := range r.modules {
		if m.history {
			all = append(all, m.readings...)
		}
	}
	return all
}
