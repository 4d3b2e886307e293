package e2e

import (
	"encoding/base64"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/otlptranslator"

	"netatmo-agent/agent/catalogue"
	"netatmo-agent/agent/simcloud"
)

// Grafana Cloud needs two variables, and its data can be queried under the
// names of the golden file.
func TestGrafanaCloudInTwoVariables(t *testing.T) {
	t.Parallel()
	const instance, token = "123456", "glc_TheTokenOfTheStack"
	prom := NewPrometheus(t, 0).Start()
	gateway := NewGateway(t, instance, token, prom.OTLP())
	cloud := NewCloud(t, simcloud.Options{})
	agent := NewAgent(t, cloud.Env().With(Env{
		"OTEL_EXPORTER_OTLP_ENDPOINT":    gateway.URL,
		"OTEL_EXPORTER_OTLP_HEADERS":     "Authorization=Basic%20" + base64.StdEncoding.EncodeToString([]byte(instance+":"+token)),
		"OTEL_EXPORTER_OTLP_CERTIFICATE": gateway.CAFile, // the real one has a public certificate
	}))
	cloud.LogIn(agent, allScopes...)
	agent.Start()
	waitForStored(t, agent, prom, func() []Point {
		return expectedOf(t, cloud, "getstationsdata", "gethomecoachsdata")
	})
	if gateway.Refused() > 0 {
		t.Errorf("%d requests had no credentials", gateway.Refused())
	}
	checkNoSecrets(t, cloud, agent)
}

// Refused credentials are logged once, without their value.
func TestRefusedByTheGateway(t *testing.T) {
	t.Parallel()
	const wrong = "glc_OfAnotherStack"
	gateway := NewGateway(t, "123456", "glc_TheTokenOfTheStack", "http://"+FreeAddr(t))
	cloud := NewCloud(t, simcloud.Options{})
	encoded := base64.StdEncoding.EncodeToString([]byte("123456:" + wrong))
	agent := NewAgent(t, cloud.Env().With(Env{
		"OTEL_EXPORTER_OTLP_ENDPOINT":    gateway.URL,
		"OTEL_EXPORTER_OTLP_HEADERS":     "Authorization=Basic%20" + encoded,
		"OTEL_EXPORTER_OTLP_CERTIFICATE": gateway.CAFile,
		"OTEL_METRIC_EXPORT_INTERVAL":    "200",
	}))
	cloud.LogIn(agent, allScopes...)
	agent.Start()
	agent.Eventually("has been refused several times", func() bool { return gateway.Refused() >= 3 })
	if n := strings.Count(agent.Log(), "401"); n != 1 {
		t.Errorf("%d lines about the refusal, want one", n)
	}
	if strings.Contains(agent.Log(), wrong) || strings.Contains(agent.Log(), encoded) {
		t.Error("the log shows the credentials")
	}
}

// waitForStored waits until Prometheus has the wanted values under the
// translated names.
func waitForStored(t *testing.T, a *Agent, prom *Prometheus, want func() []Point) {
	t.Helper()
	kinds := map[string]catalogue.Metric{}
	for _, m := range catalogue.Readings() {
		kinds[m.Name] = m
	}
	a.Eventually("has everything in Prometheus", func() bool {
		stored := map[string]float64{}
		for _, s := range prom.Query(`{__name__=~"netatmo_.*", __name__!~"netatmo_agent_.*"}`, time.Time{}) {
			p := Point{Metric: s.Labels["__name__"], Attributes: s.Labels}
			for _, own := range []string{"__name__", "job", "instance"} {
				delete(p.Attributes, own)
			}
			stored[p.Series()] = s.Samples[0].Value
		}
		points := map[string]float64{}
		for _, p := range want() {
			p = Point{Metric: prometheusName(t, kinds[p.Metric]), Attributes: labels(t, p.Attributes), Value: p.Value}
			points[p.Series()] = p.Value
		}
		return len(points) > 0 && maps.Equal(points, stored)
	})
}

func labels(t *testing.T, attributes map[string]string) map[string]string {
	t.Helper()
	translated := map[string]string{}
	namer := &otlptranslator.LabelNamer{}
	for k, v := range attributes {
		label, err := namer.Build(k)
		if err != nil {
			t.Fatal(err)
		}
		translated[label] = v
	}
	return translated
}
