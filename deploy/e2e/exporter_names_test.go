package e2e

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"netatmo-agent/agent/simcloud"
)

var (
	exporterAnswer = flag.String("exporter-answer", "testdata/exporter-answer.json", "an answer of getstationsdata")
	exporterSeries = flag.String("exporter-series", "testdata/exporter-series.txt", "what netatmo-exporter prints for it")
)

// With NETATMO_METRIC_NAMES=netatmo-exporter, Prometheus has exactly the series
// that it had when it scraped netatmo-exporter, except for job, instance and
// the agent's own health.
func TestExporterNames(t *testing.T) {
	t.Parallel()
	began := time.Now()
	measured := began.Add(-10 * time.Second).Truncate(time.Second)
	cloud := NewCloud(t, simcloud.Options{Scenario: &simcloud.Scenario{}})
	cloud.Answer("getstationsdata", measuredAt(t, *exporterAnswer, measured))
	prom := NewPrometheus(t, 0).Start()
	agent := NewAgent(t, cloud.Env().With(Env{
		"NETATMO_DEVICES": "weather", "NETATMO_METRIC_NAMES": "netatmo-exporter", "NETATMO_REFRESH_INTERVAL": "8m",
		"OTEL_EXPORTER_OTLP_ENDPOINT": prom.OTLP(), "OTEL_METRIC_EXPORT_INTERVAL": "1000",
	}))
	cloud.LogIn(agent, allScopes...)
	agent.Start()

	want := readExposition(t, *exporterSeries)
	var got map[string]float64
	agent.Eventually("has as many series in Prometheus as netatmo-exporter", func() bool {
		got = exposition(prom.Query(`{__name__=~"netatmo_.*", __name__!~"netatmo_agent_.*"}`, time.Time{}))
		return len(got) >= len(want)
	})
	expiry := cloud.Auth().Current().Expiry
	for _, series := range slices.Sorted(maps.Keys(want)) {
		v, there := got[series]
		delete(got, series)
		if name, _, _ := strings.Cut(series, "{"); !there || !fits(name, v, want[series], measured, began, expiry) {
			t.Errorf("%s is %v (present: %t), want %v", series, v, there, want[series])
		}
	}
	for series, v := range got {
		t.Errorf("netatmo-exporter has no %s %v", series, v)
	}
}

// fits compares a value with netatmo-exporter's, which has only float32, or
// with the times of this test.
func fits(name string, got, want float64, measured, began, expiry time.Time) bool {
	recent := got >= float64(began.Unix()) && got <= float64(time.Now().Unix())
	switch name {
	case "netatmo_sensor_updated":
		return got == float64(measured.Unix())
	case "netatmo_last_refresh_time", "netatmo_cache_updated_time":
		return recent
	case "netatmo_exporter_token_expiry_time":
		return got == float64(expiry.Unix())
	case "netatmo_last_refresh_duration_seconds":
		return got > 0 && got < patience.Seconds()
	}
	return got == want || float64(float32(got)) == want
}

// measuredAt reads an answer and shifts its times so that everything was
// measured at t.
func measuredAt(t *testing.T, path string, at time.Time) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	o := decode(t, b)
	o["time_server"] = time.Now().Unix()
	for _, d := range list(o["body"].(object)["devices"]) {
		for _, m := range append([]object{d}, list(d["modules"])...) {
			if dash, ok := m["dashboard_data"].(object); ok {
				dash["time_utc"] = at.Unix()
			}
		}
	}
	if b, err = json.Marshal(o); err != nil {
		t.Fatal(err)
	}
	return b
}

// exposition names series like a page of metrics, without job and instance.
// Prometheus treats an empty label as absent.
func exposition(series []Series) map[string]float64 {
	values := map[string]float64{}
	for _, s := range series {
		name := s.Labels["__name__"]
		if strings.HasPrefix(name, "netatmo_sensor_") {
			name += fmt.Sprintf(`{home=%q,module=%q,station=%q}`, s.Labels["home"], s.Labels["module"], s.Labels["station"])
		}
		for label, value := range s.Labels {
			if !slices.Contains([]string{"__name__", "job", "instance", "home", "module", "station"}, label) {
				name += fmt.Sprintf(" and %s=%q", label, value)
			}
		}
		values[name] = s.Samples[0].Value
	}
	return values
}

// readExposition reads a page of metrics.
func readExposition(t *testing.T, path string) map[string]float64 {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		line = strings.TrimSpace(line)
		i := strings.LastIndexByte(line, ' ')
		if values[line[:i]], err = strconv.ParseFloat(line[i+1:], 64); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	return values
}
