package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-analyze/charts"

	"netatmo-agent/agent/simcloud"
)

const (
	width, height = 1320, 900
	header        = 46
	columns       = 2
	day           = 24 * time.Hour
)

var (
	page   = charts.ColorFromHex("#111217")
	card   = charts.ColorFromHex("#181b1f")
	bright = charts.ColorFromHex("#d5d6db")
	faint  = charts.ColorFromHex("#8e9096")
	grid   = charts.ColorFromHex("#2a2d33")

	green, blue     = charts.ColorFromHex("#73bf69"), charts.ColorFromHex("#5794f2")
	orange, purple  = charts.ColorFromHex("#ff9830"), charts.ColorFromHex("#b877d9")
	yellow, red     = charts.ColorFromHex("#b38f1d"), charts.ColorFromHex("#b5303f")
	softRed, violet = charts.ColorFromHex("#f2495c"), charts.ColorFromHex("#8ab8ff")
)

// curve is one sensor of a module.
type curve struct {
	module, sensor, name string
	color                charts.Color
}

// chart is a panel of the picture.
type chart struct {
	title      string
	span, step time.Duration
	labels     int // on the time axis
	curves     []curve
	limits     []limit
}

// limit is a horizontal line.
type limit struct {
	at    float64
	name  string
	color charts.Color
}

const (
	station, garden, bedroom = "70:ee:50:00:10:01", "02:00:00:00:10:02", "03:00:00:00:10:03"
	roof, lawn, nursery      = "06:00:00:00:10:04", "05:00:00:00:10:05", "70:ee:50:00:20:01"
	hall                     = "2746182001"
)

var cards = []chart{
	{title: "Temperature, °C", span: 7 * day, step: 30 * time.Minute, labels: 8, curves: []curve{
		{garden, "Temperature", "Garden", blue},
		{station, "Temperature", "Living room", green},
		{bedroom, "Temperature", "Bedroom", purple},
		{nursery, "Temperature", "Nursery", orange},
	}},
	{title: "CO2, ppm", span: 7 * day, step: 30 * time.Minute, labels: 8, curves: []curve{
		{station, "CO2", "Living room", green},
		{bedroom, "CO2", "Bedroom", purple},
		{nursery, "CO2", "Nursery", orange},
	}, limits: []limit{{1000, "stale", yellow}, {1500, "bad", red}}},
	{title: "Rain per day, mm", span: 30 * day, step: day, labels: 7, curves: []curve{{lawn, "Rain", "Lawn", blue}}},
	{title: "Wind and gusts, km/h", span: 2 * day, step: 10 * time.Minute, labels: 9, curves: []curve{
		{roof, "GustStrength", "Gusts", violet},
		{roof, "WindStrength", "Wind", green},
	}},
	{title: "Pressure, hPa", span: 30 * day, step: 2 * time.Hour, labels: 7, curves: []curve{
		{station, "Pressure", "Living room", green},
	}},
	{title: "Heating of the hall, °C", span: 2 * day, step: 10 * time.Minute, labels: 9, curves: []curve{
		{hall, "Temperature", "measured", green},
		{hall, "Sp_Temperature", "wanted", softRed},
	}},
}

// draw returns the picture as a PNG.
func draw(cloud *simcloud.Cloud) ([]byte, error) {
	p := charts.NewPainter(charts.PainterOptions{OutputFormat: charts.ChartOutputPNG, Width: width, Height: height})
	p.FilledRect(0, 0, width, height, page, page, 0)
	p.Text("Netatmo, by netatmo-agent", 22, 31, 0, charts.FontStyle{FontSize: 15, FontColor: bright})
	p.Text("a simulated home", width-134, 30, 0, charts.FontStyle{FontSize: 10, FontColor: faint})
	rows := (len(cards) + columns - 1) / columns
	for i, c := range cards {
		w, h := (width-36)/columns, (height-header-14)/rows
		x, y := 14+i%columns*(w+8), header+i/columns*h
		box := p.Child(charts.PainterBoxOption(charts.NewBox(x, y, x+w, y+h-8)))
		box.FilledRect(0, 0, w, h-8, card, card, 0)
		if err := c.draw(box, cloud); err != nil {
			return nil, fmt.Errorf("%s: %w", c.title, err)
		}
	}
	picture, err := p.Bytes()
	if err != nil {
		return nil, err
	}
	return shrink(picture)
}

func (c chart) draw(p *charts.Painter, cloud *simcloud.Cloud) error {
	var values [][]float64
	var names []string
	var colors []charts.Color
	for _, s := range c.curves {
		values = append(values, c.fold(c.samples(cloud, s)))
		names, colors = append(names, " "+s.name), append(colors, s.color) // space after its square
	}
	for _, l := range c.limits {
		line := make([]float64, c.steps())
		for i := range line {
			line[i] = l.at
		}
		values = append(values, line)
		names, colors = append(names, " "+l.name), append(colors, l.color)
	}
	theme := charts.GetTheme(charts.ThemeGrafana).
		WithBackgroundColor(card).WithTextColor(faint).WithTitleTextColor(bright).
		WithAxisSplitLineColor(grid).WithXAxisColor(grid).WithYAxisColor(grid).
		WithXAxisTextColor(faint).WithYAxisTextColor(faint).
		WithSeriesColors(colors)
	small := charts.FontStyle{FontSize: 9, FontColor: faint}
	title := charts.TitleOption{Text: c.title, FontStyle: charts.FontStyle{FontSize: 11, FontColor: bright}}
	legend := charts.LegendOption{SeriesNames: names, FontStyle: small, Offset: charts.OffsetRight, Symbol: charts.SymbolSquare}
	x := charts.XAxisOption{Labels: c.times(), LabelFontStyle: small, LabelCount: c.labels}
	y := charts.YAxisOption{LabelFontStyle: small, SplitLineShow: new(true)}
	format := func(f float64) string { return strings.TrimSuffix(strconv.FormatFloat(f, 'f', 1, 64), ".0") }
	padding := charts.NewBox(14, 12, 18, 8)
	if c.step == day {
		o := charts.NewBarChartOptionWithData(values)
		o.Theme, o.Padding, o.Title, o.Legend, o.CategoryAxis, o.ValueFormatter = theme, padding, title, legend, x, format
		o.ValueAxis = []charts.ValueAxisOption{y}
		return p.BarChart(o)
	}
	o := charts.NewLineChartOptionWithData(values)
	o.Theme, o.Padding, o.Title, o.Legend, o.XAxis, o.ValueFormatter = theme, padding, title, legend, x, format
	o.YAxis = []charts.YAxisOption{y}
	o.XAxis.BoundaryGap = new(false)
	o.LineStrokeWidth = 1.6
	o.Symbol = charts.Symbol{Shape: charts.SymbolNone}
	return p.LineChart(o)
}

// steps are the points of a curve, including both ends, or the bars.
func (c chart) steps() int {
	n := int(c.span / c.step)
	if c.step < day {
		n++
	}
	return n
}

func (c chart) begin() time.Time { return end.Add(-c.span) }

func (c chart) samples(cloud *simcloud.Cloud, s curve) []simcloud.Sample {
	last := c.begin().Add(time.Duration(c.steps())*c.step - time.Second)
	return cloud.Held(s.module, s.sensor, c.begin(), last)
}

// fold combines samples to steps of time: the mean of each, or the sum of a
// day.
func (c chart) fold(samples []simcloud.Sample) []float64 {
	sums, counts := make([]float64, c.steps()), make([]float64, c.steps())
	for _, s := range samples {
		i := int(s.Time.Sub(c.begin()) / c.step)
		sums[i] += s.Value
		counts[i]++
	}
	for i := range sums {
		switch {
		case c.step == day:
		case counts[i] == 0:
			sums[i] = charts.GetNullValue()
		default:
			sums[i] /= counts[i]
		}
	}
	return sums
}

func (c chart) times() []string {
	var labels []string
	for i := range c.steps() {
		at := c.begin().Add(time.Duration(i) * c.step)
		format := "2 Jan"
		if c.span <= 2*day {
			format = "15:04"
		}
		labels = append(labels, at.Format(format))
	}
	return labels
}
