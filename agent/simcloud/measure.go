package simcloud

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

const maxRows = 1024 // of one answer of getmeasure

// fold is how a bucket's samples are combined to one value.
type fold int

const (
	mean fold = iota
	last      // for angles, which have no mean
	sum
	lowest
	highest
	lowestAt
	highestAt
)

// column is one requested type.
type column struct {
	sensor sensor
	fold   fold
}

// row is one timestamp of an answer; a nil value is null.
type row struct {
	t      int64
	values []any
}

// getmeasure answers with the history of a station or module.
func (c *Cloud) getmeasure(q query) (any, *apiError) {
	station := c.devices[compact(q.Get("device_id"))]
	switch {
	case q.Get("device_id") == "":
		return nil, &apiError{400, 10, "Missing device_id"}
	case station == nil || station.parent != nil || station.Type == TypeRoom || !station.exists(q.at):
		return nil, &apiError{400, 21, "device id is invalid"}
	}
	if err := q.permit(scopeOf(station)); err != nil {
		return nil, err
	}
	d := station
	if id := q.Get("module_id"); id != "" {
		d = c.devices[compact(id)]
		if d != station && (d == nil || !slices.Contains(station.children, d) || !d.exists(q.at)) {
			return nil, &apiError{400, 21, "Invalid id"}
		}
	}
	return d.history(q)
}

func scopeOf(d *device) string {
	switch {
	case d.Type == TypeHomeCoach:
		return "read_homecoach"
	case d.heats():
		return d.scopeInHomes()
	}
	return "read_station"
}

// getroommeasure answers with the history of a room.
func (c *Cloud) getroommeasure(q query) (any, *apiError) {
	if q.Get("home_id") == "" || q.Get("room_id") == "" {
		return nil, &apiError{400, 10, "Missing parameters"}
	}
	h := c.homeByID(q.Get("home_id"))
	if h == nil || !h.listed() || len(h.gateways) == 0 {
		return nil, &apiError{400, 21, "Invalid home_id"}
	}
	for _, r := range h.rooms {
		if r.ID == q.Get("room_id") {
			return r.history(q)
		}
	}
	return nil, &apiError{400, 21, "Invalid room_id"}
}

// history answers getmeasure and getroommeasure once the device is known.
func (d *device) history(q query) (any, *apiError) {
	scale := q.Get("scale")
	if scale == "" || q.Get("type") == "" {
		return nil, &apiError{400, 10, "Missing parameters"}
	}
	if rows, is, err := d.counted(q); is {
		return rows, err
	}
	if d.Type == TypeRoom && scale == "max" && d.home.has(CoarseRooms) {
		return nil, &apiError{400, 21, "Invalid scale"}
	}
	if !slices.Contains(scales, scale) {
		return nil, &apiError{400, 21, "Invalid scale"}
	}
	var columns []column
	for name := range strings.SplitSeq(q.Get("type"), ",") {
		col, ok := d.column(strings.TrimSpace(name), scale)
		if !ok {
			return nil, &apiError{400, 21, "Filter " + name + " does not exists"}
		}
		columns = append(columns, col)
	}
	from, to, err := q.window(d)
	if err != nil {
		return nil, err
	}
	limit, err := q.number("limit", maxRows)
	if err != nil || limit < 1 {
		return nil, &apiError{400, 21, "Invalid limit"}
	}
	optimize, err := q.flag("optimize", true)
	if err != nil {
		return nil, err
	}
	realTime, err := q.flag("real_time", false)
	if err != nil {
		return nil, err
	}
	var rows []row
	if scale == "max" {
		rows = d.samples(columns, from, to, q.at, int(min(limit, maxRows)))
	} else {
		b := buckets{d: d, scale: scale, columns: columns, realTime: realTime}
		if q.onlyLast() {
			from, _ = b.bounds(to)
		}
		rows = b.rows(from, to, q.at, int(min(limit, maxRows)))
	}
	return shape(rows, optimize), nil
}

// column parses the name of a type. Which ones exist depends on the scale.
func (d *device) column(name, scale string) (column, bool) {
	name = strings.ToLower(name)
	days := slices.Index(scales, scale) >= slices.Index(scales, "1day")
	if s, ok := d.sense(name); ok {
		switch s {
		case windAngle, gustAngle:
			return column{s, last}, true
		case rain, boilerOn, boilerOff:
			return column{s, sum}, !days
		default:
			return column{s, mean}, true
		}
	}
	if scale == "max" {
		return column{}, false
	}
	for _, x := range []struct {
		name string
		column
		days bool
	}{
		{"sum_rain", column{rain, sum}, false},
		{"sum_boiler_on", column{boilerOn, sum}, true},
		{"sum_boiler_off", column{boilerOff, sum}, true},
		{"date_max_gust", column{gustStrength, highestAt}, true},
	} {
		if x.name == name {
			_, has := d.sense(string(x.sensor))
			return x.column, has && (days || !x.days)
		}
	}
	return d.extremeColumn(name, days)
}

// extremeColumn parses min_temp, date_max_hum and the like.
func (d *device) extremeColumn(name string, days bool) (column, bool) {
	date, of := "", name
	if rest, ok := strings.CutPrefix(name, "date_"); ok {
		date, of = "date_", rest
	}
	kind, short, _ := strings.Cut(of, "_")
	s, ok := map[string]sensor{"temp": temperature, "hum": humidity, "pressure": pressure, "noise": sound}[short]
	f, known := map[string]fold{"min": lowest, "max": highest, "date_min": lowestAt, "date_max": highestAt}[date+kind]
	_, has := d.sense(string(s))
	return column{s, f}, ok && known && has && (days || date == "")
}

// window returns the requested range of time, in Unix seconds. Without
// date_begin it starts at the oldest sample; with "date_end=last" and no
// date_begin, at the newest.
func (q query) window(d *device) (from, to int64, err *apiError) {
	to = q.at.Unix()
	if q.onlyLast() {
		k, _ := d.newest(q.at)
		return d.stamp(k, 0), d.stamp(k, 0), nil
	}
	if q.Get("date_end") != "last" {
		if to, err = q.number("date_end", to); err != nil {
			return 0, 0, err
		}
	}
	from, err = q.number("date_begin", 0)
	return from, to, err
}

func (q query) onlyLast() bool { return q.Get("date_end") == "last" && q.Get("date_begin") == "" }

// samples returns the rows for the scale max.
func (d *device) samples(columns []column, from, to int64, asOf time.Time, limit int) []row {
	var rows []row
	for x := range d.held(from, to, asOf) {
		if len(rows) == limit {
			break
		}
		r := row{x.t, make([]any, len(columns))}
		for i, col := range columns {
			if v, ok := d.read(col.sensor, x); ok {
				r.values[i] = v
			}
		}
		rows = append(rows, r)
	}
	return rows
}

// shape writes rows in one of the two forms; an empty answer is a list in both.
func shape(rows []row, optimize bool) any {
	if len(rows) == 0 {
		return []any{}
	}
	if !optimize {
		o := make(map[string][]any, len(rows))
		for _, r := range rows {
			o[strconv.FormatInt(r.t, 10)] = r.values
		}
		return o
	}
	type run struct {
		Begin  int64   `json:"beg_time"`
		Step   int64   `json:"step_time,omitempty"`
		Values [][]any `json:"value"`
	}
	var runs []*run
	for i, r := range rows {
		if n := len(runs) - 1; n >= 0 {
			step, now := r.t-rows[i-1].t, runs[n]
			if len(now.Values) == 1 || step == now.Step {
				now.Step = step
				now.Values = append(now.Values, r.values)
				continue
			}
		}
		runs = append(runs, &run{Begin: r.t, Values: [][]any{r.values}})
	}
	return runs
}

// tally collects the samples of a bucket for one column.
type tally struct {
	n                    int
	last, sum, low, high float64
	lowAt, highAt        int64
}

func (a *tally) add(v float64, t int64) {
	if a.n == 0 || v < a.low {
		a.low, a.lowAt = v, t
	}
	if a.n == 0 || v > a.high {
		a.high, a.highAt = v, t
	}
	a.n++
	a.sum += v
	a.last = v
}

// value is nil if no sample had a value.
func (a *tally) value(col column) any {
	if a.n == 0 {
		return nil
	}
	switch col.fold {
	case last:
		return a.last
	case sum:
		return math.Round(a.sum*1000) / 1000
	case lowest:
		return a.low
	case highest:
		return a.high
	case lowestAt:
		return a.lowAt
	case highestAt:
		return a.highAt
	default:
		return round(a.sum/float64(a.n), col.sensor)
	}
}
