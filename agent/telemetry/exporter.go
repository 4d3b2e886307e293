package telemetry

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"

	"netatmo-agent/agent/catalogue"
	"netatmo-agent/agent/config"
)

// Exporter sends metrics to a backend, one request an Export, without retry.
// The error of Export is to be read with Classify.
type Exporter interface {
	Export(ctx context.Context, rm *metricdata.ResourceMetrics) error
	Shutdown(ctx context.Context) error
}

// ExporterOptions are what an Exporter needs besides the settings.
type ExporterOptions struct {
	UserAgent string
	Out       io.Writer // of the console exporter
	Logger    *slog.Logger

	// Dial opens the connections of gRPC; nil: over TCP. Tests with a fake clock
	// need them in memory.
	Dial func(ctx context.Context, address string) (net.Conn, error)
}

// NewExporter returns an exporter for the settings: OTLP over gRPC or HTTP, or
// lines of text. It opens no connection; the error names a file of the settings
// that cannot be used. From then on what OpenTelemetry itself reports goes to
// the log.
func NewExporter(ctx context.Context, p config.Push, o ExporterOptions) (Exporter, error) {
	// The constructors read the environment, though nothing that they find
	// there counts, and log what they do not understand: a header with its
	// value, for one.
	otel.SetLogger(logr.Discard())
	defer routeOTel(o.Logger)
	if p.Exporter == config.Console {
		return &console{out: o.Out}, nil
	}
	h, err := newHeaders(p, o.Logger)
	if err != nil {
		return nil, err
	}
	if p.Protocol == config.GRPC {
		return newGRPC(ctx, p, h, o)
	}
	return newHTTP(ctx, p, h, o)
}

// Probe pushes one point, netatmo.agent.info, with the identity of the agent,
// to see whether the backend takes it. The error is to be read with Classify.
func Probe(ctx context.Context, o Options) error {
	_, identity := resources(o)
	return o.Exporter.Export(ctx, resourceMetrics(identity, infoPoint(o.Version)))
}

// infoPoint is a sign of life: one point, netatmo.agent.info, of this moment.
func infoPoint(version string) []metricdata.Metrics {
	point := metricdata.DataPoint[float64]{
		Attributes: attribute.NewSet(attribute.String("version", version)), Time: time.Now().Truncate(time.Millisecond), Value: 1,
	}
	return []metricdata.Metrics{{
		Name: catalogue.AgentInfo, Data: metricdata.Gauge[float64]{DataPoints: []metricdata.DataPoint[float64]{point}},
	}}
}

// resourceMetrics is what one request carries.
func resourceMetrics(r *resource.Resource, metrics []metricdata.Metrics) *metricdata.ResourceMetrics {
	return &metricdata.ResourceMetrics{
		Resource:     r,
		ScopeMetrics: []metricdata.ScopeMetrics{{Scope: instrumentation.Scope{Name: scopeName}, Metrics: metrics}},
	}
}

// DescribePush says in one line where the metrics go.
func DescribePush(p config.Push) string {
	if p.Exporter == config.Console {
		return "printing metrics to standard output (OTEL_METRICS_EXPORTER=console)"
	}
	line := fmt.Sprintf("pushing to %s (OTLP, %s)", p.URL.Redacted(), p.Protocol)
	if p.Default {
		line += ", the default; OTEL_EXPORTER_OTLP_ENDPOINT changes it"
	}
	return line
}
