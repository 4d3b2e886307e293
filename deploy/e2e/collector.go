package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"go.opentelemetry.io/collector/pdata/pmetric"
)

// Collector is an OpenTelemetry Collector with deploy/otelcol.yaml. The
// embedded Process is its present or latest run; it can be started again on
// the same addresses.
type Collector struct {
	*Process
	GRPC, HTTP string // addresses of its receivers

	t    testing.TB
	env  Env
	args []string
	file string // where the points go, empty when they go to a backend
}

// toFile is laid over deploy/otelcol.yaml to write to a file instead of to
// Prometheus.
const toFile = `
exporters:
  file:
    path: %s
    append: true # a restart keeps what arrived before
    flush_interval: 50ms
service:
  telemetry:
    logs:
      level: warn
  pipelines:
    metrics:
      exporters: [file]
`

// NewCollector prepares a Collector whose points are read by Points.
func NewCollector(t testing.TB) *Collector {
	t.Helper()
	c := newCollector(t)
	dir := t.TempDir()
	c.file = filepath.Join(dir, "points.json")
	overlay := filepath.Join(dir, "overlay.yaml")
	if err := os.WriteFile(overlay, fmt.Appendf(nil, toFile, c.file), 0o600); err != nil {
		t.Fatal(err)
	}
	c.args = append(c.args, "--config", overlay)
	return c
}

// NewForwarder prepares a Collector that passes everything on to an OTLP/HTTP
// endpoint (without /v1/metrics).
func NewForwarder(t testing.TB, endpoint string) *Collector {
	t.Helper()
	c := newCollector(t)
	c.env["PROMETHEUS_OTLP_ENDPOINT"] = endpoint
	return c
}

func newCollector(t testing.TB) *Collector {
	t.Helper()
	c := &Collector{GRPC: FreeAddr(t), HTTP: FreeAddr(t), t: t}
	c.env = Env{"OTELCOL_GRPC_ENDPOINT": c.GRPC, "OTELCOL_HTTP_ENDPOINT": c.HTTP}
	c.args = []string{"--config", Source(t, "deploy", "otelcol.yaml")}
	return c
}

// Start starts the Collector, for the first time or again, and waits until it
// listens.
func (c *Collector) Start() *Collector {
	c.t.Helper()
	c.Process = startProcess(c.t, c.env, Tool(c.t, "otelcol"), c.args...)
	c.WaitListening(c.GRPC, c.HTTP)
	return c
}

// Points reads everything that has arrived so far, in that order.
func (c *Collector) Points() []Point {
	c.t.Helper()
	b, err := os.ReadFile(c.file)
	if err != nil && !os.IsNotExist(err) {
		c.t.Fatal(err)
	}
	var points []Point
	lines := bytes.Split(b, []byte("\n"))
	for request, line := range lines[:len(lines)-1] { // the last one is being written
		md, err := (&pmetric.JSONUnmarshaler{}).UnmarshalMetrics(line)
		if err != nil {
			c.t.Fatalf("line %d of the Collector's file: %v", request+1, err)
		}
		points = append(points, flatten(md, request)...)
	}
	return points
}

// Latest returns of all points that have arrived the latest of each series.
func (c *Collector) Latest() map[string]Point {
	c.t.Helper()
	latest := map[string]Point{}
	for _, p := range c.Points() {
		if p.Time.Compare(latest[p.Series()].Time) >= 0 {
			latest[p.Series()] = p
		}
	}
	return latest
}
