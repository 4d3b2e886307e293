package otlp

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"netatmo-agent/agent/config"
)

// Exporter sends metrics to a backend: one request per Export, without retry.
// Classify explains the error of Export.
type Exporter interface {
	Export(ctx context.Context, rm *metricdata.ResourceMetrics) error
	Shutdown(ctx context.Context) error
}

// Options are what an Exporter needs besides the settings.
type Options struct {
	UserAgent string
	Out       io.Writer // of the console exporter
	Logger    *slog.Logger

	// OnDate is called with the date in every answer that has one, as those over
	// HTTP do, and the local time at that moment. It may be nil.
	OnDate func(server, local time.Time)

	// Dial opens the connections of gRPC; nil: over TCP. Tests with a fake clock
	// need them in memory.
	Dial func(ctx context.Context, address string) (net.Conn, error)
}

// New returns an exporter for the settings: OTLP over gRPC or HTTP, or lines of
// text. It opens no connection. The error names the setting whose file cannot be
// used. From then on, messages that libraries log go to the agent's log.
func New(ctx context.Context, p config.Push, o Options) (Exporter, error) {
	// The SDK's constructors read the environment, although it has no effect here,
	// and log what they do not understand, such as a header with its value.
	otel.SetLogger(logr.Discard())
	defer routeLibraries(o.Logger)
	if o.OnDate == nil {
		o.OnDate = func(time.Time, time.Time) {}
	}
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

// Describe returns one line about where the metrics go.
func Describe(p config.Push) string {
	if p.Exporter == config.Console {
		return "printing metrics to standard output (OTEL_METRICS_EXPORTER=console)"
	}
	line := fmt.Sprintf("pushing to %s (OTLP, %s)", config.ShownURL(p.URL), p.Protocol)
	if through, err := proxyFor(p.URL, p.Protocol == config.GRPC); err == nil && through != nil {
		line += ", through the proxy " + through.Scheme + "://" + through.Host
	}
	if p.Default {
		line += ", the default; OTEL_EXPORTER_OTLP_ENDPOINT changes it"
	}
	return line
}
