package e2e

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"netatmo-agent/agent/catalogue"
	"netatmo-agent/agent/simcloud"
)

const (
	day  = 24 * time.Hour
	past = 30 * day // how far back the simulated history goes
)

// board is the part of deploy/grafana/netatmo.json that the test needs.
type board struct {
	UID    string
	Panels []struct {
		Title, Type, Interval string
		Targets               []target
		FieldConfig           struct{ Defaults struct{ Unit string } }
	}
	Templating struct{ List []boardVariable }
}

type target struct {
	Expr    string
	Instant bool
}

type boardVariable struct{ Name, Type, Query, AllValue string }

func readBoard(t *testing.T) board {
	t.Helper()
	text, err := os.ReadFile(Source(t, "deploy", "grafana", "netatmo.json"))
	if err != nil {
		t.Fatal(err)
	}
	var b board
	if err := json.Unmarshal(text, &b); err != nil {
		t.Fatal(err)
	}
	return b
}

// targets returns the queries of the panel with this title.
func (b board) targets(t *testing.T, title string) []target {
	t.Helper()
	for _, p := range b.Panels {
		if p.Title == title {
			return p.Targets
		}
	}
	t.Fatalf("the dashboard has no panel %q", title)
	return nil
}

// fill replaces variables by values, as Grafana does: "All" unless chosen has
// another, and the rate interval for a step of a minute.
func (b board) fill(text string, chosen map[string]string) string {
	values := map[string]string{"__rate_interval": "4m0s"}
	for _, v := range b.Templating.List {
		values[v.Name] = v.AllValue
	}
	maps.Copy(values, chosen)
	for name, value := range values {
		text = strings.ReplaceAll(text, "$"+name, value)
	}
	return text
}

// household is a home with devices of every kind, and a station without a home.
func household() *simcloud.Scenario {
	s := simcloud.Household()
	s.Homes = append(s.Homes, simcloud.Home{
		ID:    "5f1e2d3c4b5a69788796a5c6",
		Place: simcloud.Place{City: "Oslo", Country: "NO", Zone: "Europe/Oslo", Altitude: 23, Location: [2]float64{10.75, 59.91}},
		Stations: []simcloud.Station{{
			Device:  simcloud.Device{ID: "70:ee:50:00:40:01", Name: "Cabin", Type: simcloud.TypeStation, Quirks: simcloud.NoHome | simcloud.NoStationName},
			Modules: []simcloud.Device{{ID: "02:00:00:00:40:02", Name: "Terrace", Type: simcloud.TypeOutdoor}},
		}},
	})
	return s
}

// Every query of the dashboard and of the alert rules uses existing metrics,
// and has a result with a running agent and a history of 30 days.
func TestDashboardAndAlertsWithData(t *testing.T) {
	t.Parallel()
	b := readBoard(t)
	prom := NewPrometheus(t, AsShipped)
	copyRules(t, prom)
	cloud := NewCloud(t, simcloud.Options{Scenario: household()})
	agent := NewAgent(t, cloud.Env().With(Env{
		"OTEL_EXPORTER_OTLP_ENDPOINT": prom.OTLP(),
		"OTEL_METRIC_EXPORT_INTERVAL": "1000",
		"NETATMO_DEVICES":             "all",
	}))
	cloud.LogIn(agent, allScopes...)
	agent.Start()
	agent.WaitLog("push failed") // so that there is a failure to count
	prom.Start()
	waitForEveryMetric(t, agent, prom)
	pushPast(t, cloud, prom)
	pushAmounts(t, cloud, prom)

	t.Run("names", func(t *testing.T) { checkNames(t, b, prom) })
	t.Run("variables", func(t *testing.T) { checkVariables(t, b, cloud, prom) })
	t.Run("panels", func(t *testing.T) { checkPanels(t, b, prom) })
	t.Run("history", func(t *testing.T) { checkHistory(t, b, prom) })
	t.Run("rain per day", func(t *testing.T) { checkRainPerDay(t, b, cloud, prom) })
	t.Run("rules", func(t *testing.T) { checkRules(t, prom) })
	t.Run("no module is left out", func(t *testing.T) { checkEveryModule(t, b, cloud, prom) })
}

// copyRules copies the alert rules to where the configuration expects them.
func copyRules(t *testing.T, prom *Prometheus) {
	t.Helper()
	rules, err := os.ReadFile(Source(t, "deploy", "alerts.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	config := strings.TrimPrefix(prom.args[0], "--config.file=")
	if err := os.WriteFile(filepath.Join(filepath.Dir(config), "alerts.yaml"), rules, 0o600); err != nil {
		t.Fatal(err)
	}
}

// translated maps names in Prometheus to the catalogue's metrics.
func translated(t *testing.T) map[string]catalogue.Metric {
	t.Helper()
	m := map[string]catalogue.Metric{}
	for _, c := range slices.Concat(catalogue.Readings(), catalogue.Agent()) {
		m[prometheusName(t, c)] = c
	}
	return m
}

func waitForEveryMetric(t *testing.T, agent *Agent, prom *Prometheus) {
	t.Helper()
	var want []string
	for name, m := range translated(t) {
		if !m.Past {
			want = append(want, name)
		}
	}
	slices.Sort(want)
	var missing []string
	defer func() {
		if len(missing) > 0 {
			t.Logf("missing: %v", missing)
		}
	}()
	agent.Eventually("pushes every metric of the catalogue", func() bool {
		stored := map[string]bool{}
		for _, s := range prom.Query(`count by (__name__) ({__name__=~"netatmo_.+"})`, time.Time{}) {
			stored[s.Labels["__name__"]] = true
		}
		missing = slices.DeleteFunc(slices.Clone(want), func(name string) bool { return stored[name] })
		return len(missing) == 0
	})
}

// pushPast pushes the cloud's samples into the series of the live points, as
// the agent does when it fills a gap.
func pushPast(t *testing.T, cloud *Cloud, prom *Prometheus) {
	t.Helper()
	now := time.Now()
	for name, m := range translated(t) {
		if m.History == "" {
			continue
		}
		md := pmetric.NewMetrics()
		for _, s := range prom.Query(name, time.Time{}) {
			addSamples(md, m, s.Labels, cloud.Held(s.Labels["module_id"], m.History, now.Add(-past), now))
		}
		if code, text := pushHTTP(t, prom.OTLP(), md); code != http.StatusOK {
			t.Fatalf("push the history of %s: %d %s", name, code, text)
		}
	}
}

// addSamples adds samples of a metric with a series' labels.
func addSamples(md pmetric.Metrics, m catalogue.Metric, labels map[string]string, samples []simcloud.Sample) {
	rm := md.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr("service.name", labels["job"])
	rm.Resource().Attributes().PutStr("service.instance.id", labels["instance"])
	metric := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	metric.SetName(m.Name)
	metric.SetUnit(m.Unit)
	points := metric.SetEmptyGauge().DataPoints()
	for _, x := range samples {
		p := points.AppendEmpty()
		p.SetTimestamp(pcommon.NewTimestampFromTime(x.Time))
		p.SetDoubleValue(x.Value)
		for k, v := range labels {
			if k == "tariff" {
				p.Attributes().PutStr(k, v)
			} else if kind, rest, ok := strings.Cut(k, "_"); ok && k != "__name__" {
				p.Attributes().PutStr(kind+"."+rest, v)
			}
		}
	}
}

// pushAmounts pushes what the cloud's meters counted, which only the history has.
func pushAmounts(t *testing.T, cloud *Cloud, prom *Prometheus) {
	t.Helper()
	now := time.Now()
	known := translated(t)
	boiler := make([]simcloud.Sample, 0, 48)
	for at := now.Truncate(30 * time.Minute).Add(-day); at.Before(now); at = at.Add(30 * time.Minute) {
		boiler = append(boiler, simcloud.Sample{Time: at, Value: 600})
	}
	md := pmetric.NewMetrics()
	for _, s := range prom.Query("netatmo_module_reachable", time.Time{}) {
		id := s.Labels["module_id"]
		held := func(typ string) []simcloud.Sample { return cloud.Held(id, typ, now.Add(-past), now) }
		if s.Labels["module_type"] == "thermostat" {
			addSamples(md, known["netatmo_boiler_on_time_seconds"], s.Labels, boiler)
			for _, input := range []struct{ id, name, metric string }{ // of an Ecometer, which has no live values
				{"00:04:74:00:67:00#6", "Gas", "netatmo_gas_amount_l"},
				{"00:04:74:00:67:00#8", "Cold water", "netatmo_water_amount_l"},
			} {
				labels := maps.Clone(s.Labels)
				labels["module_id"], labels["module_name"], labels["module_type"] = input.id, input.name, "meter"
				addSamples(md, known[input.metric], labels, cloud.Held(input.id, "sum_energy_elec$0", now.Add(-past), now))
			}
		}
		for suffix, tariff := range map[string]string{"$0": "basic", "$1": "peak", "$2": "off_peak"} {
			labels := maps.Clone(s.Labels)
			labels["tariff"] = tariff
			addSamples(md, known["netatmo_energy_amount_Wh"], labels, held("sum_energy_buy_from_grid"+suffix))
		}
	}
	if code, text := pushHTTP(t, prom.OTLP(), md); code != http.StatusOK {
		t.Fatalf("push the amounts: %d %s", code, text)
	}
}
