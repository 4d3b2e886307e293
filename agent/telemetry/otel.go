package telemetry

import (
	"log/slog"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
)

// routeOTel sends what OpenTelemetry itself has to say through the agent's
// log. It would otherwise go to standard error in a format of its own.
func routeOTel(log *slog.Logger) {
	otel.SetLogger(logr.New(otelSink{log}))
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		log.Warn("OpenTelemetry reports an error", "error", err)
	}))
}

// otelSink passes on OpenTelemetry's warnings (verbosity 1) and errors. What
// more it would say, up to whole payloads, is of no use to a user.
type otelSink struct{ log *slog.Logger }

func (s otelSink) Init(logr.RuntimeInfo)            {}
func (s otelSink) Enabled(verbosity int) bool       { return verbosity <= 1 }
func (s otelSink) WithName(string) logr.LogSink     { return s }
func (s otelSink) WithValues(v ...any) logr.LogSink { return otelSink{s.log.With(v...)} }

func (s otelSink) Info(_ int, msg string, v ...any) {
	s.log.Warn("OpenTelemetry: "+msg, v...)
}

func (s otelSink) Error(err error, msg string, v ...any) {
	s.log.Error("OpenTelemetry: "+msg, append(v, "error", err)...)
}
