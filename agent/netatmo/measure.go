package netatmo

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	measureEndpoint     = "getmeasure"
	roomMeasureEndpoint = "getroommeasure"
)

// PageRows is how many rows of history Netatmo gives at most for one request
// (documented).
const PageRows = 1024

// MeasureQuery asks for the history of one device or room.
type MeasureQuery struct {
	DeviceID string // the station, home coach or relay
	ModuleID string // empty: the device itself

	HomeID, RoomID string // with a RoomID, the history is that of a room

	Columns    []Column  // at least one; no field twice
	Begin, End time.Time // both inclusive; zero Begin: the oldest sample, zero End: now
}

// Column is one of the quantities that a MeasureQuery asks for.
type Column struct {
	Type  string // what getmeasure calls it, such as "Temperature"
	Field Field  // what its numbers are
}

// Sample is what was measured at one time.
type Sample struct {
	Time   time.Time
	Values Values
}

// Measure returns one page of history by one request: the oldest samples of
// the query, at most PageRows, ascending in time, no time twice. Netatmo does not
// say whether there are more; ask again from a second after the last one on
// until nothing comes.
func (c *Client) Measure(ctx context.Context, q MeasureQuery, p Priority) ([]Sample, error) {
	var got page
	env, err := c.call(ctx, q.request(p), func(s *stream) error {
		got = page{columns: q.Columns}
		return got.read(s)
	})
	if err != nil {
		return nil, err
	}
	return got.samples(env.server), nil
}

// request asks for every sample, about one in 5 minutes, which is the scale
// max, and without optimize: with it Netatmo sends runs of equal steps, which
// are many and short then.
func (q MeasureQuery) request(p Priority) request {
	var types []string
	for _, c := range q.Columns {
		types = append(types, c.Type)
	}
	form := url.Values{
		"scale":    {"max"},
		"type":     {strings.Join(types, ",")},
		"limit":    {strconv.Itoa(PageRows)},
		"optimize": {"false"},
	}
	if !q.Begin.IsZero() {
		form.Set("date_begin", strconv.FormatInt(q.Begin.Unix(), 10))
	}
	if !q.End.IsZero() {
		form.Set("date_end", strconv.FormatInt(q.End.Unix(), 10))
	}
	if q.RoomID != "" {
		form.Set("home_id", q.HomeID)
		form.Set("room_id", q.RoomID)
		return request{roomMeasureEndpoint, "room " + q.RoomID, form, p}
	}
	form.Set("device_id", q.DeviceID)
	subject := "device " + q.DeviceID
	if q.ModuleID != "" && q.ModuleID != q.DeviceID {
		form.Set("module_id", q.ModuleID)
		subject = "module " + q.ModuleID
	}
	return request{measureEndpoint, subject, form, p}
}

// read reads a number of the column.
func (c Column) read(raw []byte) (float64, verdict) {
	switch c.Field {
	case WindDirection, GustDirection:
		return bearing(raw)
	}
	return plain(raw)
}

// page collects the rows of an answer.
type page struct {
	columns []Column
	rows    []Sample
}

// read takes either shape of the body: an object of rows by their time, or a
// list of runs. An empty result is an empty list in both.
func (p *page) read(s *stream) error {
	start, err := s.members(func(key string) error {
		raw, err := s.value()
		if err != nil {
			return err
		}
		if raw[0] == '{' {
			p.addRun(raw)
		} else if at, err := strconv.ParseInt(key, 10, 64); err == nil {
			p.add(at, raw)
		}
		return nil
	})
	if err == nil && start == 0 {
		err = formError("it has no list of samples")
	}
	return err
}

// addRun adds a run of rows at equal steps. One of a single row has no step.
func (p *page) addRun(raw []byte) {
	var o object
	o.read(raw)
	begin, is := instant(o.get("beg_time"))
	if is != said {
		return
	}
	step, is := instant(o.get("step_time"))
	at := int64(begin)
	for row := range elements(o.get("value")) {
		p.add(at, row)
		if is != said {
			return
		}
		at += int64(step)
	}
}

// add adds a row. In one of another length than was asked for, nobody can tell
// the columns; it stays as a time without values, so that pages stay whole.
func (p *page) add(at int64, row []byte) {
	if at <= 0 || at >= maxInstant {
		return
	}
	values := make(Values, 0, len(p.columns))
	n := 0
	for raw := range elements(row) {
		if n < len(p.columns) {
			c := p.columns[n]
			if number, is := c.read(raw); is == said {
				values = append(values, Value{c.Field, number})
			}
		}
		n++
	}
	if n != len(p.columns) {
		values = nil
	}
	p.rows = append(p.rows, Sample{time.Unix(at, 0).UTC(), values})
	if len(p.rows) == 2*PageRows {
		p.trim()
	}
}

// trim leaves the oldest rows, one for each time.
func (p *page) trim() {
	slices.SortStableFunc(p.rows, func(a, b Sample) int { return a.Time.Compare(b.Time) })
	p.rows = slices.CompactFunc(p.rows, func(a, b Sample) bool { return a.Time.Equal(b.Time) })
	p.rows = p.rows[:min(len(p.rows), PageRows)]
}

// samples returns the rows, without those in the future of server, if known.
func (p *page) samples(server time.Time) []Sample {
	p.trim()
	return slices.DeleteFunc(p.rows, func(s Sample) bool { return absurd(s.Time, server) })
}
