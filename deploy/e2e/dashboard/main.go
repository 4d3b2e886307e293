// Command dashboard writes the Grafana dashboard, deploy/grafana/netatmo.json,
// to standard output:
//
//	go run ./dashboard >../grafana/netatmo.json
//
// The dashboard is made from Go because its forty-odd panels are variations of
// four, and because the same selection by home, station and module stands in
// every query. It asks for the names that a default Prometheus, Mimir or
// Grafana Cloud gives to the agent's metrics.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func main() {
	text, err := render()
	if err == nil {
		_, err = os.Stdout.Write(text)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// row is a titled group of panels.
type row struct {
	title  string
	panels []cog.Builder[dashboard.Panel]
}

// render returns the dashboard as Grafana imports it.
func render() ([]byte, error) {
	b := dashboard.NewDashboardBuilder("Netatmo").
		Uid("netatmo-agent").
		Description("Weather stations, home coaches and heating, by netatmo-agent under its own metric names (NETATMO_METRIC_NAMES=otel, the default).").
		Tags([]string{"netatmo"}).
		Time("now-2d", "now").
		Refresh("1m").
		Timezone("browser").
		Tooltip(dashboard.DashboardCursorSyncCrosshair)
	for _, v := range variables() {
		b.WithVariable(v)
	}
	for _, r := range []row{now(), indoors(), outdoors(), rain(), wind(), pressure(), heating(), devices(), agent()} {
		b.WithRow(dashboard.NewRowBuilder(r.title))
		for _, p := range r.panels {
			b.WithPanel(p)
		}
	}
	d, err := b.Build()
	if err != nil {
		return nil, err
	}
	for i, p := range d.Panels { // the builder leaves them all at 0
		if p.Panel != nil {
			p.Panel.Id = new(uint32(i + 1))
		} else {
			p.RowPanel.Id = uint32(i + 1)
		}
	}
	text, err := json.MarshalIndent(d, "", "  ")
	return append(text, '\n'), err
}

// source is the Prometheus that the user chose: the only one, or the default
// one, unless another is picked. So the same file serves the provisioned
// Grafana and an import elsewhere.
var source = common.DataSourceRef{Type: new("prometheus"), Uid: new("${datasource}")}

func variables() []cog.Builder[dashboard.VariableModel] {
	return []cog.Builder[dashboard.VariableModel]{
		dashboard.NewDatasourceVariableBuilder("datasource").Label("Data source").Type("prometheus"),
		variable("home", "Home", "home_name", `module_id!=""`),
		variable("station", "Station", "station_name", `module_id!="",home_name=~"$home"`),
		variable("module", "Module", "module_name", `module_id!="",home_name=~"$home",station_name=~"$station"`),
	}
}

// variable lets the user choose among the values of a label. "All" is .* and
// not the list of what there is, because it has to match those without the
// label as well: rooms and valves belong to no station, and an account may
// have no home.
func variable(name, label, of, among string) cog.Builder[dashboard.VariableModel] {
	query := fmt.Sprintf(`label_values({__name__=~"netatmo_.+",%s}, %s)`, among, of)
	all := func(s string) dashboard.StringOrArrayOfString {
		return dashboard.StringOrArrayOfString{ArrayOfString: []string{s}}
	}
	return dashboard.NewQueryVariableBuilder(name).
		Label(label).
		Datasource(source).
		Query(dashboard.StringOrMap{String: &query}).
		Definition(query).
		Refresh(dashboard.VariableRefreshOnTimeRangeChanged).
		Sort(dashboard.VariableSortAlphabeticalCaseInsensitiveAsc).
		Multi(true).
		IncludeAll(true).
		AllValue(".*").
		Current(dashboard.VariableOption{Selected: new(true), Text: all("All"), Value: all("$__all")})
}
