package main

import (
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/statetimeline"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

const (
	height  = 8 // of a panel
	byName  = "{{module_name}}"
	byAgent = "{{job}} {{instance}}"
)

// query is a PromQL expression and the legend of its series.
type query struct{ expr, legend string }

func refID(i int) string { return string(rune('A' + i)) }

// graph shows values over time. The width is in 24ths of the dashboard.
func graph(title, unit string, width uint32, queries ...query) *timeseries.PanelBuilder {
	p := timeseries.NewPanelBuilder().
		Title(title).
		Unit(unit).
		Datasource(source).
		Span(width).Height(height).
		LineWidth(1).
		FillOpacity(5).
		ShowPoints(common.VisibilityModeNever).
		SpanNulls(common.BoolOrFloat64{Float64: new(gap)}).
		Legend(common.NewVizLegendOptionsBuilder().
			DisplayMode(common.LegendDisplayModeList).
			Placement(common.LegendPlacementBottom).
			ShowLegend(true)).
		Tooltip(common.NewVizTooltipOptionsBuilder().
			Mode(common.TooltipDisplayModeMulti).
			Sort(common.SortOrderDescending))
	for i, q := range queries {
		p.WithTarget(prometheus.NewDataqueryBuilder().
			Expr(q.expr).LegendFormat(q.legend).Range().RefId(refID(i)))
	}
	return p
}

// gap is the longest time in milliseconds without points that a line bridges.
const gap = 20 * 60 * 1000.

// limits draws thresholds into a graph as dashed lines.
func limits(p *timeseries.PanelBuilder, s scale) *timeseries.PanelBuilder {
	return p.Thresholds(s.thresholds()).ThresholdsStyle(
		common.NewGraphThresholdsStyleConfigBuilder().Mode(common.GraphThresholdsStyleModeDashed))
}

// tile shows current values in large figures.
func tile(title, unit string, width uint32, queries ...query) *stat.PanelBuilder {
	p := stat.NewPanelBuilder().
		Title(title).
		Unit(unit).
		Datasource(source).
		Span(width).Height(height / 2).
		ColorMode(common.BigValueColorModeValue).
		GraphMode(common.BigValueGraphModeNone).
		Orientation(common.VizOrientationAuto).
		ReduceOptions(common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"})).
		Thresholds(neutral.thresholds())
	for i, q := range queries {
		p.WithTarget(prometheus.NewDataqueryBuilder().
			Expr(q.expr).LegendFormat(q.legend).Instant().RefId(refID(i)))
	}
	return p
}

// timeline shows states over time, by name.
func timeline(title string, width uint32, words []dashboard.ValueMapping, queries ...query) *statetimeline.PanelBuilder {
	p := statetimeline.NewPanelBuilder().
		Title(title).
		Datasource(source).
		Span(width).Height(height).
		Mappings(words).
		ColorScheme(dashboard.NewFieldColorBuilder().Mode(dashboard.FieldColorModeIdThresholds)).
		Thresholds(neutral.thresholds()).
		ShowValue(common.VisibilityModeAuto).
		MergeValues(true).
		Legend(common.NewVizLegendOptionsBuilder().
			DisplayMode(common.LegendDisplayModeList).
			Placement(common.LegendPlacementBottom).
			ShowLegend(false)).
		Tooltip(common.NewVizTooltipOptionsBuilder().
			Mode(common.TooltipDisplayModeSingle).
			Sort(common.SortOrderNone))
	for i, q := range queries {
		p.WithTarget(prometheus.NewDataqueryBuilder().
			Expr(q.expr).LegendFormat(q.legend).Range().RefId(refID(i)))
	}
	return p
}

// column is a query that fills a column of a table, with colours or names if it
// has any; without a title it only adds a label.
type column struct {
	name, expr, unit string
	colors           scale
	words            []dashboard.ValueMapping
}

// label is a label that becomes a column.
type label struct{ name, title string }

// sheet is a table of current values: a row for each set of labels, and a
// column for each query. The labels come first, and rows are sorted by them.
func sheet(title string, width uint32, labels []label, columns ...column) *table.PanelBuilder {
	p := table.NewPanelBuilder().
		Title(title).
		Datasource(source).
		Span(width).Height(height + 2).
		Thresholds(neutral.thresholds()).
		CellHeight(common.TableCellHeightSm).
		Footer(common.NewTableFooterOptionsBuilder().Show(false).Reducer([]string{"sum"}))
	excluded, renamed, order := map[string]bool{"Time": true}, map[string]string{}, map[string]int{}
	for name := range strings.SplitSeq(identity+", "+sender, ", ") {
		excluded[name] = true
	}
	var rows []cog.Builder[common.TableSortByFieldState]
	for i, l := range labels {
		renamed[l.name], order[l.name] = l.title, i
		delete(excluded, l.name)
		rows = append(rows, common.NewTableSortByFieldStateBuilder().DisplayName(l.title).Desc(false))
	}
	p.SortBy(rows) // Prometheus answers in any order
	for i, c := range columns {
		p.WithTarget(prometheus.NewDataqueryBuilder().
			Expr(c.expr).Format(prometheus.PromQueryFormatTable).Instant().RefId(refID(i)))
		field := "Value #" + refID(i)
		if c.name == "" {
			excluded[field] = true
			continue
		}
		renamed[field], order[field] = c.name, len(labels)+i
		p.OverrideByName(c.name, c.look())
	}
	return p.
		WithTransformation(dashboard.DataTransformerConfig{Id: "merge", Options: map[string]any{}}).
		WithTransformation(dashboard.DataTransformerConfig{Id: "organize", Options: map[string]any{
			"excludeByName": excluded, "renameByName": renamed, "indexByName": order,
		}})
}

func (c column) look() []dashboard.DynamicConfigValue {
	var look []dashboard.DynamicConfigValue
	if c.unit != "" {
		look = append(look, dashboard.DynamicConfigValue{Id: "unit", Value: c.unit})
	}
	if c.words != nil {
		look = append(look, dashboard.DynamicConfigValue{Id: "mappings", Value: c.words})
	}
	if c.colors != nil {
		look = append(look, dashboard.DynamicConfigValue{Id: "thresholds", Value: c.colors.config()})
	}
	if c.words != nil || c.colors != nil {
		look = append(look, dashboard.DynamicConfigValue{Id: "custom.cellOptions", Value: map[string]string{"type": "color-text"}})
	}
	return look
}
