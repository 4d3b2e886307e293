package telemetry

import (
	"context"
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

// otelSink maps OpenTelemetry's verbosities (1 warning, 4 info, 8 debug) to
// slog's levels. Its debug output, whole payloads, is left out.
type otelSink struct{ log *slog.Logger }

func (s otelSink) Init(logr.RuntimeInfo)            {}
func (s otelSink) Enabled(verbosity int) bool       { return verbosity < 8 }
func (s otelSink) WithName(string) logr.LogSink     { return s }
func (s otelSink) WithValues(v ...any) logr.LogSink { return otelSink{s.log.With(v...)} }

func (s otelSink) Info(verbosity int, msg string, v ...any) {
	level := slog.LevelDebug
	if verbosity <= 1 {
		level = slog.LevelWarn
	}
	s.log.Log(context.Background(), level, "OpenTelemetry: "+msg, v...)
}

func (s otelSink) Error(err error, msg string, v ...any) {
	s.log.Error("OpenTelemetry: "+msg, append(v, "error", err)...)
}
