package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"testing"
	"time"
)

// fetch makes a request to one of Prometheus' endpoints.
func fetch[T any](t *testing.T, prom *Prometheus, path string, form url.Values) T {
	t.Helper()
	resp, err := http.Get(prom.URL + path + "?" + form.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Error string
		Data  T
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Error != "" {
		t.Fatalf("%s %v: %s %v", path, form, answer.Error, err)
	}
	return answer.Data
}

// metricsOf returns the names that an expression selects by, according to
// Prometheus.
func metricsOf(t *testing.T, prom *Prometheus, expr string) []string {
	t.Helper()
	var names []string
	var walk func(node any)
	walk = func(node any) {
		switch n := node.(type) {
		case []any:
			for _, x := range n {
				walk(x)
			}
		case map[string]any:
			if name, ok := n["name"].(string); ok && (n["type"] == "vectorSelector" || n["type"] == "matrixSelector") {
				names = append(names, name)
			}
			for _, x := range n {
				walk(x)
			}
		}
	}
	walk(fetch[any](t, prom, "/api/v1/parse_query", url.Values{"query": {expr}}))
	return names
}

// grafanaUnits maps the catalogue's units to the ids of Grafana's. Times and
// values without a unit may have any.
var grafanaUnits = map[string]string{
	"Cel": "celsius", "%": "percent", "ppm": "ppm", "dB": "dB", "hPa": "pressurehpa", "mm": "lengthmm",
	"km/h": "velocitykmh", "deg": "degree", "V": "volt", "dBm": "dBm", "W": "watt",
	"Wh": "watth", "l": "litre",
}

// checkNames checks that panels query metrics of the catalogue, all of them,
// and show them in their unit.
func checkNames(t *testing.T, b board, prom *Prometheus) {
	t.Helper()
	known, shown := translated(t), map[string]bool{}
	for _, p := range b.Panels {
		for _, q := range p.Targets {
			for _, name := range metricsOf(t, prom, b.fill(q.Expr, nil)) {
				shown[name] = true
				m, ok := known[name]
				if !ok {
					t.Errorf("panel %q queries %q, which the agent does not push", p.Title, name)
				}
				if unit := grafanaUnits[m.Unit]; unit != "" && p.Type != "table" && p.FieldConfig.Defaults.Unit != unit {
					t.Errorf("panel %q shows %s in %q, want %q", p.Title, name, p.FieldConfig.Defaults.Unit, unit)
				}
			}
		}
	}
	for name := range known {
		if !shown[name] {
			t.Errorf("no panel shows %s", name)
		}
	}
}

var labelValues = regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)

// checkVariables checks that every variable has values to choose from.
func checkVariables(t *testing.T, b board, cloud *Cloud, prom *Prometheus) {
	t.Helper()
	var moduleNames []string
	for _, m := range cloud.Modules() {
		moduleNames = append(moduleNames, m.Name)
	}
	moduleNames = append(moduleNames, "Home") // the mode of the home itself
	slices.Sort(moduleNames)
	moduleNames = slices.Compact(moduleNames)
	for _, v := range b.Templating.List {
		if v.Type == "datasource" {
			continue
		}
		parts := labelValues.FindStringSubmatch(b.fill(v.Query, nil))
		if parts == nil {
			t.Fatalf("variable %s: %s", v.Name, v.Query)
		}
		got := fetch[[]string](t, prom, "/api/v1/label/"+parts[2]+"/values", url.Values{"match[]": {parts[1]}})
		if len(got) == 0 {
			t.Errorf("variable %s has nothing to choose", v.Name)
		}
		if v.Name == "module" && !slices.Equal(got, moduleNames) {
			t.Errorf("variable module offers %v, want %v", got, moduleNames)
		}
	}
}

// asPanel runs a query as its panel does, over two days or the range that a
// panel of days needs.
func asPanel(prom *Prometheus, expr, interval string, instant bool) []Series {
	now := time.Now()
	switch {
	case instant:
		return prom.Query(expr, time.Time{})
	case interval == "1d":
		midnight := now.UTC().Truncate(day)
		return prom.QueryRange(expr, midnight.Add(-past), midnight, day)
	}
	return prom.QueryRange(expr, now.Add(-2*day), now, 2*time.Minute)
}

func checkPanels(t *testing.T, b board, prom *Prometheus) {
	t.Helper()
	for _, p := range b.Panels {
		for _, q := range p.Targets {
			if len(asPanel(prom, b.fill(q.Expr, nil), p.Interval, q.Instant)) == 0 {
				t.Errorf("panel %q has no data for %s", p.Title, q.Expr)
			}
		}
	}
}

// checkHistory checks that curves with a history reach back 30 days, and that
// they have no holes although they have a point only every five minutes.
func checkHistory(t *testing.T, b board, prom *Prometheus) {
	t.Helper()
	known, checked, now := translated(t), 0, time.Now()
	for _, p := range b.Panels {
		for _, q := range p.Targets {
			expr := b.fill(q.Expr, nil)
			hasHistory := slices.ContainsFunc(metricsOf(t, prom, expr), func(name string) bool { return known[name].History != "" })
			if q.Instant || p.Interval != "" || !hasHistory {
				continue
			}
			checked++
			for _, s := range prom.QueryRange(expr, now.Add(-past+time.Hour), now, 6*time.Hour) {
				if len(s.Samples) < int(past/(6*time.Hour)) {
					t.Errorf("panel %q: %v has %d points in 30 days", p.Title, s.Labels, len(s.Samples))
				}
			}
			for _, s := range prom.QueryRange(expr, now.Add(-7*day), now.Add(-7*day+time.Hour), time.Minute) {
				if len(s.Samples) != 61 {
					t.Errorf("panel %q: %v has %d points in an hour of minutes", p.Title, s.Labels, len(s.Samples))
				}
			}
		}
	}
	if checked < 10 {
		t.Errorf("only %d curves with a history", checked)
	}
}

// checkRainPerDay compares the bars with the cloud's measurements.
func checkRainPerDay(t *testing.T, b board, cloud *Cloud, prom *Prometheus) {
	t.Helper()
	const lawn = "05:00:00:00:10:05"
	series := asPanel(prom, b.fill(b.targets(t, "Rain per day")[0].Expr, nil), "1d", false)
	if len(series) != 1 || series[0].Labels["module_id"] != lawn {
		t.Fatalf("rain of %v, want of %s", series, lawn)
	}
	var rained int
	for _, s := range series[0].Samples[1 : len(series[0].Samples)-2] { // whole days of history only
		var want float64
		for _, x := range cloud.Held(lawn, "Rain", s.Time.Add(time.Second), s.Time.Add(day)) {
			want += x.Value
		}
		if diff := s.Value - want; diff > 1e-6 || diff < -1e-6 {
			t.Errorf("%v: %.3f mm, want %.3f", s.Time, s.Value, want)
		}
		if want > 0 {
			rained++
		}
	}
	if rained == 0 {
		t.Error("a month without rain checks nothing")
	}
}

// checkRules checks that Prometheus has loaded the rules, that they query
// metrics of the agent, and that those about the agent do not fire for a
// healthy one.
func checkRules(t *testing.T, prom *Prometheus) {
	t.Helper()
	type groups struct {
		Groups []struct {
			Name  string
			Rules []struct{ Name, Query string }
		}
	}
	known, rules := translated(t), 0
	for _, g := range fetch[groups](t, prom, "/api/v1/rules", nil).Groups {
		for _, r := range g.Rules {
			rules++
			for _, name := range metricsOf(t, prom, r.Query) {
				if _, ok := known[name]; !ok {
					t.Errorf("rule %s queries %q, which the agent does not push", r.Name, name)
				}
			}
			if found := prom.Query(r.Query, time.Time{}); g.Name == "netatmo-agent" && len(found) > 0 {
				t.Errorf("rule %s fires for a healthy agent: %v", r.Name, found)
			}
		}
	}
	if rules == 0 {
		t.Error("Prometheus has no rules")
	}
}

// checkEveryModule checks that "All" includes every module, also those without
// a station or home, and that a choice excludes the others.
func checkEveryModule(t *testing.T, b board, cloud *Cloud, prom *Prometheus) {
	t.Helper()
	shown := func(chosen map[string]string) []string {
		ids := map[string]bool{}
		for _, q := range b.targets(t, "Modules") {
			for _, s := range prom.Query(b.fill(q.Expr, chosen), time.Time{}) {
				ids[s.Labels["module_id"]] = true
			}
		}
		return slices.Sorted(maps.Keys(ids))
	}
	var all []string
	for _, m := range cloud.Modules() {
		all = append(all, m.ID)
	}
	slices.Sort(all)
	if got := shown(nil); !slices.Equal(got, all) {
		t.Errorf("All shows %v, want %v", got, all)
	}
	for want, chosen := range map[string]map[string]string{
		"02:00:00:00:40:02": {"module": "Terrace"},
		"03:00:00:00:10:03": {"home": "Home", "module": "(Bedroom|Terrace)"},
	} {
		if got := shown(chosen); fmt.Sprint(got) != "["+want+"]" {
			t.Errorf("%v shows %v, want %s", chosen, got, want)
		}
	}
}
