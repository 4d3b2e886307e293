package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// Point is one data point with everything known about it.
type Point struct {
	Metric, Unit, Description string
	Type                      string // gauge, counter, or pdata's name of another type
	Scope                     string
	Attributes, Resource      map[string]string
	Time                      time.Time
	Value                     float64
	Request                   int // number of the request that it arrived in, from 0
}

// Series names the series that p belongs to: metric and attributes.
func (p Point) Series() string {
	var b strings.Builder
	b.WriteString(p.Metric)
	b.WriteByte('{')
	for i, k := range slices.Sorted(maps.Keys(p.Attributes)) {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%s=%q", k, p.Attributes[k])
	}
	b.WriteByte('}')
	return b.String()
}

// String describes p without its time, its resource and its request.
func (p Point) String() string {
	return fmt.Sprintf("%s %s %s %q", p.Series(), strconv.FormatFloat(p.Value, 'f', -1, 64), p.Type, p.Unit)
}

// flatten converts a request to points.
func flatten(md pmetric.Metrics, request int) []Point {
	var points []Point
	for _, rm := range md.ResourceMetrics().All() {
		resource := texts(rm.Resource().Attributes())
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				kind, data := dataOf(m)
				for _, dp := range data.All() {
					points = append(points, Point{
						Metric: m.Name(), Unit: m.Unit(), Description: m.Description(),
						Type: kind, Scope: sm.Scope().Name(),
						Attributes: texts(dp.Attributes()), Resource: resource,
						Time: dp.Timestamp().AsTime(), Value: number(dp), Request: request,
					})
				}
			}
		}
	}
	return points
}

// dataOf returns the type of m and its points; only a gauge and a sum have
// points that the agent can produce.
func dataOf(m pmetric.Metric) (string, pmetric.NumberDataPointSlice) {
	switch {
	case m.Type() == pmetric.MetricTypeGauge:
		return "gauge", m.Gauge().DataPoints()
	case m.Type() == pmetric.MetricTypeSum && m.Sum().IsMonotonic() &&
		m.Sum().AggregationTemporality() == pmetric.AggregationTemporalityCumulative:
		return "counter", m.Sum().DataPoints()
	case m.Type() == pmetric.MetricTypeSum:
		return "other sum", m.Sum().DataPoints()
	}
	return m.Type().String(), pmetric.NewNumberDataPointSlice()
}

func number(dp pmetric.NumberDataPoint) float64 {
	if dp.ValueType() == pmetric.NumberDataPointValueTypeInt {
		return float64(dp.IntValue())
	}
	return dp.DoubleValue()
}

// texts returns attributes as strings; one that is not a string says so.
func texts(attrs pcommon.Map) map[string]string {
	m := map[string]string{}
	for k, v := range attrs.All() {
		m[k] = v.AsString()
		if v.Type() != pcommon.ValueTypeStr {
			m[k] += " of type " + v.Type().String()
		}
	}
	return m
}
