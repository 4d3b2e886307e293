package telemetry

import (
	"testing"

	"netatmo-agent/agent/logtest"
	"netatmo-agent/agent/otlp"
)

// The settings are read elsewhere; the SDK must not read the environment as
// well.
func TestTheEnvironmentHasNoEffect(t *testing.T) {
	t.Setenv("OTEL_GO_X_CARDINALITY_LIMIT", "1")
	t.Setenv("OTEL_METRICS_EXEMPLAR_FILTER", "always_on")
	t.Setenv("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "service.version=1,unwanted=yes")
	t.Setenv("OTEL_SERVICE_NAME", "another")
	b := &backend{}
	p := newTestPusher(t, b, &logtest.Log{}, func(o *Options) {
		o.Agent = func() AgentValues { return AgentValues{Refreshes: map[string]int64{"ok": 1, "passing": 2, "final": 3}} }
	})
	if err := p.PushNow(t.Context()); err != nil {
		t.Fatal(err)
	}
	outcomes := 0
	for _, p := range otlp.Points(b.requests[0]) {
		if len(p.Resource) != 2 || p.Resource["service.name"] != "netatmo-agent" || p.Attributes["otel.metric.overflow"] != "" {
			t.Errorf("%+v", p)
		}
		if p.Attributes["outcome"] != "" {
			outcomes++
		}
	}
	if outcomes != 3 {
		t.Errorf("%d outcomes, want 3", outcomes)
	}
}
