package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"netatmo-agent/agent/otlp"
	"netatmo-agent/agent/terminal"
)

// demoView collects the points that arrived over OTLP and shows the newest of
// each module as tables. It is safe for concurrent use.
type demoView struct {
	mu      sync.Mutex
	modules map[string]*demoModule
	points  int
	last    time.Time
}

type demoModule struct {
	name, kind, mode string
	values           map[string]otlp.Point // by metric
}

func newDemoView() *demoView { return &demoView{modules: map[string]*demoModule{}} }

// add records a point that arrived.
func (v *demoView) add(p otlp.Point) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.points++
	v.last = time.Now()
	id := p.Attributes["module.id"]
	if id == "" {
		return
	}
	m := v.modules[id]
	if m == nil {
		m = &demoModule{values: map[string]otlp.Point{}}
		v.modules[id] = m
	}
	m.name, m.kind = p.Attributes["module.name"], p.Attributes["module.type"]
	if mode := p.Attributes["setpoint.mode"]; mode != "" && p.Value == 1 {
		m.mode = mode
	}
	m.values[p.Metric] = p
}

// arrived returns how many points arrived, and when the last one did.
func (v *demoView) arrived() (int, time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.points, v.last
}

// column is one column of a table: its header and its text for a module.
type column struct {
	header string
	cell   func(*demoModule) string
}

// section is one table: the modules of some types.
type section struct {
	title   string
	kinds   []string
	columns []column
}

var demoSections = []section{
	{"CLIMATE", []string{"station", "indoor", "outdoor", "home_coach"}, []column{
		{"TEMPERATURE", number("netatmo.temperature", 1)},
		{"HUMIDITY", number("netatmo.humidity", 0)},
		{"CO2", number("netatmo.co2", 0)},
		{"NOISE", number("netatmo.noise", 0)},
		{"PRESSURE", number("netatmo.pressure", 1)},
	}},
	{"WIND AND RAIN", []string{"wind", "rain"}, []column{
		{"WIND", number("netatmo.wind.speed", 0)},
		{"FROM", number("netatmo.wind.direction", 0)},
		{"GUST", number("netatmo.gust.speed", 0)},
		{"RAIN", number("netatmo.rain.amount", 1)},
		{"1 HOUR", number("netatmo.rain.hour", 1)},
		{"TODAY", number("netatmo.rain.day", 1)},
	}},
	{"ROOMS", []string{"room"}, []column{
		{"TEMPERATURE", number("netatmo.temperature", 1)},
		{"SETPOINT", number("netatmo.setpoint.temperature", 1)},
		{"MODE", func(m *demoModule) string { return m.mode }},
		{"HEATING", number("netatmo.heating.power_request", 0)},
	}},
	{"HOME", []string{"plug", "switch", "light", "meter", "contactor", "ventilation", "shutter", "garage_door", "door_tag"}, []column{
		{"POWER", number("netatmo.power", 0)},
		{"SWITCH", word("netatmo.switch.on", "off", "on")},
		{"SHUTTER", number("netatmo.shutter.position", 0)},
		{"DOOR", word("netatmo.door.open", "closed", "open")},
	}},
	{"MODULES", nil, []column{
		{"TYPE", func(m *demoModule) string { return m.kind }},
		{"BATTERY", number("netatmo.battery.charge", 0)},
		{"RADIO", number("netatmo.radio.rssi", 0)},
		{"WI-FI", number("netatmo.wifi.rssi", 0)},
		{"MEASURED", func(m *demoModule) string {
			p, ok := m.values["netatmo.measurement.time"]
			if !ok {
				return ""
			}
			return time.Unix(int64(p.Value), 0).Format("15:04:05")
		}},
	}},
}

var shownUnits = map[string]string{"Cel": "°C", "deg": "°"}

func number(metric string, decimals int) func(*demoModule) string {
	return func(m *demoModule) string {
		p, ok := m.values[metric]
		if !ok {
			return ""
		}
		unit := p.Unit
		if s, ok := shownUnits[unit]; ok {
			unit = s
		}
		return strings.TrimSpace(strconv.FormatFloat(p.Value, 'f', decimals, 64) + " " + unit)
	}
}

// word shows a flag as one of two words.
func word(metric, off, on string) func(*demoModule) string {
	return func(m *demoModule) string {
		switch p, ok := m.values[metric]; {
		case !ok:
			return ""
		case p.Value == 0:
			return off
		}
		return on
	}
}

// render writes the tables.
func (v *demoView) render(w io.Writer) {
	v.mu.Lock()
	defer v.mu.Unlock()
	modules := make([]*demoModule, 0, len(v.modules))
	for _, m := range v.modules {
		modules = append(modules, m)
	}
	slices.SortFunc(modules, func(a, b *demoModule) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.name, b.name))
	})
	for _, s := range demoSections {
		rows := [][]string{{s.title}}
		for _, c := range s.columns {
			rows[0] = append(rows[0], c.header)
		}
		for _, m := range modules {
			if s.kinds != nil && !slices.Contains(s.kinds, m.kind) {
				continue
			}
			row := []string{m.name}
			for _, c := range s.columns {
				row = append(row, c.cell(m))
			}
			rows = append(rows, row)
		}
		if len(rows) > 1 {
			terminal.WriteTable(w, rows)
			fmt.Fprintln(w)
		}
	}
}
