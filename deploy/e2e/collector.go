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
// embedded Process is its current or latest run; it can be restarted with the
// same addresses.
type Collector struct {
	*Process
	GRPC, HTTP string // addresses of its receivers

	t    testing.TB
	env  Env
	args []string
	file string // where the points are written, empty if they go to a backend
}

// toFile is merged into deploy/otelcol.yaml to write to a file instead of to
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

// NewCollector prepares a Collector whose points Points reads.
func NewCollector(t testing.TB) *Collector {
	t.Helper()
	c := newCollector(t)
	dir := t.TempDir()
	c.file = filepath.Join(dir, "points.json")
	c.Overlay(fmt.Sprintf(toFile, c.file))
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

// Overlay lays configuration over deploy/otelcol.yaml, for the next start.
func (c *Collector) Overlay(text string) {
	c.t.Helper()
	file := filepath.Join(c.t.TempDir(), "overlay.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
	c.args = append(c.args, "--config", file)
}

// Start starts or restarts the Collector, and waits until it listens.
func (c *Collector) Start() *Collector {
	c.t.Helper()
	c.Process = startProcess(c.t, c.env, Tool(c.t, "otelcol"), c.args...)
	c.WaitListening(c.GRPC, c.HTTP)
	return c
}

// Points reads all points that have arrived so far, in their order of arrival.
func (c *Collector) Points() []Point {
	c.t.Helper()
	b, err := os.ReadFile(c.file)
	if err != nil && !os.IsNotExist(err) {
		c.t.Fatal(err)
	}
	var points []Point
	lines := bytes.Split(b, []byte("\n"))
	for request, line := range lines[:len(lines)-1] { // the last line is still being written
		md, err := (&pmetric.JSONUnmarshaler{}).UnmarshalMetrics(line)
		if err != nil {
			c.t.Fatalf("line %d of the Collector's file: %v", request+1, err)
		}
		points = append(points, flatten(md, request)...)
	}
	return points
}

// Latest returns the latest point of each series.
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
