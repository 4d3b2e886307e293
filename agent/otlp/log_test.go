package otlp

import (
	"errors"
	"fmt"
	stdlog "log"
	"strings"
	"testing"

	"go.opentelemetry.io/otel"
	"google.golang.org/grpc/grpclog"

	"netatmo-agent/agent/config"
	"netatmo-agent/agent/logtest"
)

// What libraries log goes to the log, once an hour for each kind of message,
// without the server's text.
func TestLibrariesThatLog(t *testing.T) {
	libraries.mu.Lock()
	libraries.said = nil // by other tests, whose servers provoke the same messages
	libraries.mu.Unlock()
	log := &logtest.Log{}
	newTestExporter(t, config.Push{Exporter: config.Console}, log)
	sink := otelSink{}
	for i := range 1000 {
		otel.Handle(errors.New("a broken thing"))
		sink.Info(1, "a warning")
		sink.Error(errors.New("boom"), "an error", "key", "value")
		stdlog.Printf("Unsolicited response received on idle HTTP channel starting with %q; err=<nil>", fmt.Sprint("Bearer secret-", i)) //nolint:forbidigo // what net/http does
		stdlog.Print(strings.Repeat("a long story ", 1<<12))                                                                             //nolint:forbidigo // what a library does
		grpclog.Errorf("gRPC's error %d", i)
		grpclog.Warning("gRPC's warning")
	}
	for _, want := range []string{`level=WARN msg="a library reports" message="a broken thing"`, `message="a warning"`, `message="an error: boom"`,
		"Unsolicited response", "a long story", "gRPC's error"} {
		if log.Count(want) != 1 {
			t.Errorf("%d lines with %q, want 1:\n%s", log.Count(want), want, log)
		}
	}
	if strings.Contains(log.String(), "secret") || strings.Contains(log.String(), "gRPC's warning") || len(log.String()) > 4096 {
		t.Errorf("log:\n%s", log)
	}
	if sink.Enabled(4) || !sink.Enabled(1) {
		t.Error("only warnings and errors are wanted")
	}
}
