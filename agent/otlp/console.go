package otlp

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// console writes every point as a line: time, metric, value, unit, attributes.
type console struct{ out io.Writer }

func (c *console) Export(_ context.Context, rm *metricdata.ResourceMetrics) error {
	out := bufio.NewWriter(c.out)
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Gauge[float64]:
				writePoints(out, m, data.DataPoints)
			case metricdata.Sum[int64]:
				writePoints(out, m, data.DataPoints)
			}
		}
	}
	return out.Flush()
}

func writePoints[N int64 | float64](out io.Writer, m metricdata.Metrics, points []metricdata.DataPoint[N]) {
	for _, p := range points {
		value := strconv.FormatFloat(float64(p.Value), 'f', -1, 64)
		fmt.Fprintf(out, "%s %s %s", p.Time.UTC().Format(time.RFC3339), m.Name, value)
		if m.Unit != "" {
			fmt.Fprintf(out, " %s", m.Unit)
		}
		fmt.Fprintf(out, " {%s}\n", p.Attributes.Encoded(attribute.DefaultEncoder()))
	}
}

func (c *console) Shutdown(context.Context) error { return nil }
