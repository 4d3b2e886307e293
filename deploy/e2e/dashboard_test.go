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

// board is what the test needs to know of deploy/grafana/netatmo.json.
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

// targets returns the queries of the panel with a title.
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

// fill puts values in the place of variables, as Grafana does: "All" unless
// chosen has another, and the rate interval for a step of a minute.
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

// household is the default account and a station that belongs to no home.
func household() *simcloud.Scenario {
	s := simcloud.Default()
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

// Every query of the dashboard and of the alert rules asks for what there is,
// and has an answer from an agent that runs and a history of 30 days.
func TestDashboardAndAlertsWithData(t *testing.T) {
	t.Parallel()
	b := readBoard(t)
	prom := NewPrometheus(t, AsShipped)
	copyRules(t, prom)
	cloud := NewCloud(t, simcloud.Options{Scenario: household()})
	agent := NewAgent(t, cloud.Env().With(Env{
		"OTEL_EXPORTER_OTLP_ENDPOINT": prom.OTLP(),
		"OTEL_METRIC_EXPORT_INTERVAL": "1000",
		"NETATMO_DEVICES":             "weather,homecoach,energy",
	}))
	cloud.LogIn(agent, allScopes...)
	agent.Start()
	agent.WaitLog("push failed") // so that there is a failure to count
	prom.Start()
	waitForEveryMetric(t, agent, prom)
	pushPast(t, cloud, prom)

	t.Run("names", func(t *testing.T) { checkNames(t, b, prom) })
	t.Run("variables", func(t *testing.T) { checkVariables(t, b, cloud, prom) })
	t.Run("panels", func(t *testing.T) { checkPanels(t, b, prom) })
	t.Run("history", func(t *testing.T) { checkHistory(t, b, prom) })
	t.Run("rain per day", func(t *testing.T) { checkRainPerDay(t, b, cloud, prom) })
	t.Run("rules", func(t *testing.T) { checkRules(t, prom) })
	t.Run("no module is left out", func(t *testing.T) { checkEveryModule(t, b, cloud, prom) })
}

// copyRules puts the alert rules where the configuration looks for them.
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

// translated are the catalogue's metrics by the names in Prometheus.
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
	want := slices.Sorted(maps.Keys(translated(t)))
	var missing []string
	defer func() {
		if len(missing) > 0 {
			t.Logf("not there: %v", missing)
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

// pushPast pushes what the cloud holds into the series of the live points, as
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
			rm := md.ResourceMetrics().AppendEmpty()
			rm.Resource().Attributes().PutStr("service.name", s.Labels["job"])
			rm.Resource().Attributes().PutStr("service.instance.id", s.Labels["instance"])
			metric := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
			metric.SetName(m.Name)
			metric.SetUnit(m.Unit)
			points := metric.SetEmptyGauge().DataPoints()
			for _, x := range cloud.Held(s.Labels["module_id"], m.History, now.Add(-past), now) {
				p := points.AppendEmpty()
				p.SetTimestamp(pcommon.NewTimestampFromTime(x.Time))
				p.SetDoubleValue(x.Value)
				for k, v := range s.Labels {
					if kind, rest, ok := strings.Cut(k, "_"); ok && k != "__name__" {
						p.Attributes().PutStr(kind+"."+rest, v)
					}
				}
			}
		}
		if code, text := pushHTTP(t, prom.OTLP(), md); code != http.StatusOK {
			t.Fatalf("push the history of %s: %d %s", name, code, text)
		}
	}
}
