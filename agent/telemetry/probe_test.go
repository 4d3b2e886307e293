package telemetry

import (
	"net/url"
	"testing"

	"netatmo-agent/agent/otlp"
)

func TestProbe(t *testing.T) {
	var received []otlp.Point
	r, err := otlp.Listen("127.0.0.1:0", func(p otlp.Point) { received = append(received, p) })
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p := testPush()
	p.URL = &url.URL{Scheme: "http", Host: r.Addr()}
	p.Attributes = map[string]string{"deployment.environment": "cellar"}
	probe := func() error {
		return Probe(t.Context(), Options{Exporter: newTestExporter(t, p), Push: p, InstanceID: "an-instance", Version: "v1"})
	}
	if err := probe(); err != nil {
		t.Fatal(err)
	}
	if len(received) != 1 || received[0].Metric != "netatmo.agent.info" || received[0].Value != 1 ||
		received[0].Attributes["version"] != "v1" || received[0].Resource["service.instance.id"] != "an-instance" {
		t.Errorf("%+v", received)
	}
	r.Close()
	if f := otlp.Classify(probe()); f == nil || f.Reason != otlp.Unreachable {
		t.Errorf("%v, want %s", f, otlp.Unreachable)
	}
}
