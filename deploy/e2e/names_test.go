package e2e

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/otlptranslator"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"netatmo-agent/agent/catalogue"
	"netatmo-agent/agent/netatmo"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares a text with a file below testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := "testdata/" + name
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("this differs from %s (run with -update if that is meant):\n%s", path, got)
	}
}

func everyMetric() []catalogue.Metric {
	return slices.Concat(catalogue.Readings(), catalogue.Agent(), catalogue.ExporterReadings(), catalogue.ExporterAgent())
}

// prometheusName translates a name as Prometheus does by default.
func prometheusName(t *testing.T, m catalogue.Metric) string {
	t.Helper()
	var kind otlptranslator.MetricType = otlptranslator.MetricTypeGauge
	if m.Kind == catalogue.Counter {
		kind = otlptranslator.MetricTypeMonotonicCounter
	}
	namer := otlptranslator.NewMetricNamer("", otlptranslator.UnderscoreEscapingWithSuffixes)
	name, err := namer.Build(otlptranslator.Metric{Name: m.Name, Unit: m.Unit, Type: kind})
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// The names in Prometheus, Mimir and Grafana Cloud are what users query: a
// change of the golden file breaks their dashboards.
func TestPrometheusNames(t *testing.T) {
	var b strings.Builder
	for _, m := range everyMetric() {
		fmt.Fprintf(&b, "%-44s %s\n", m.Name+" ["+m.Unit+"]", prometheusName(t, m))
	}
	golden(t, "prometheus-names.txt", b.String())
}

func TestExporterNamesAreNotTranslated(t *testing.T) {
	for _, m := range slices.Concat(catalogue.ExporterReadings(), catalogue.ExporterAgent()) {
		if name := prometheusName(t, m); name != m.Name {
			t.Errorf("%s becomes %s in Prometheus", m.Name, name)
		}
	}
}

func TestPrometheusLabels(t *testing.T) {
	r := netatmo.Reading{
		Family: netatmo.Weather, ModuleID: "02:00:00:00:00:01", ModuleName: "Garden", ModuleType: netatmo.TypeOutdoor,
		HomeID: "h", HomeName: "Home", StationID: "70:ee:50:00:00:01", StationName: "Roof",
	}
	var labels []string
	for _, a := range catalogue.Attributes(r) {
		label, err := (&otlptranslator.LabelNamer{}).Build(a.Key)
		if err != nil {
			t.Fatal(err)
		}
		labels = append(labels, label)
	}
	slices.Sort(labels)
	want := []string{"home_id", "home_name", "module_id", "module_name", "module_type", "station_id", "station_name"}
	if !slices.Equal(labels, want) {
		t.Errorf("labels %v, want %v", labels, want)
	}
}

// The translation above is a library's; this test asks the server.
func TestPrometheusStoresTheTranslatedNames(t *testing.T) {
	t.Parallel()
	prom := NewPrometheus(t, AsShipped).Start()
	md := pmetric.NewMetrics()
	metrics := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics()
	now := pcommon.NewTimestampFromTime(time.Now())
	var want []string
	for _, m := range everyMetric() {
		out := metrics.AppendEmpty()
		out.SetName(m.Name)
		out.SetUnit(m.Unit)
		points := out.SetEmptyGauge().DataPoints
		if m.Kind == catalogue.Counter {
			sum := out.SetEmptySum()
			sum.SetIsMonotonic(true)
			sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
			points = sum.DataPoints
		}
		points().AppendEmpty().SetTimestamp(now)
		want = append(want, prometheusName(t, m))
	}
	if code, text := pushHTTP(t, prom.OTLP(), md); code != http.StatusOK {
		t.Fatalf("push: %d %s", code, text)
	}
	var got []string
	for _, s := range prom.Query(`{__name__=~"netatmo.*"}`, time.Time{}) {
		got = append(got, s.Labels["__name__"])
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("Prometheus stores\n%v\nwant\n%v", got, want)
	}
}
