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

// PageRows is how many rows of history Netatmo returns for one request at most
// (documented).
const PageRows = 1024

// MeasureQuery asks for the history of one device or room.
type MeasureQuery struct {
	DeviceID string // the station, home coach or relay
	ModuleID string // empty: the device itself

	HomeID, RoomID string // with a RoomID, the history is that of a room

	// Meter asks for the amounts of a meter in place of Columns. The time of an amount
	// is the end of its Bucket.
	Meter   Meter
	Columns []Column // at least one; no field twice
	Coarse  bool     // means of half an hour, at its start, in place of every sample

	Begin, End time.Time // both inclusive; zero Begin: the oldest sample, zero End: now
}

// Column is one of the quantities that a MeasureQuery asks for.
type Column struct {
	Type  string // what getmeasure calls it, such as "Temperature"
	Field Field  // what its numbers are
}

// Sample is a module's measurements at one time.
type Sample struct {
	Time   time.Time
	Values Values
}

// Page is one page of history.
type Page struct {
	// Samples are the oldest of the query, at most PageRows, in ascending order, each
	// time once.
	Samples []Sample
	// Odd counts the rows that were not understood, or not entirely: a wrong length,
	// something other than a number, a number or a time out of range.
	Odd int
}

// Measure returns one page of history with one request. Netatmo does not say
// whether there are more; ask again from one second after the last sample until
// the page is empty.
func (c *Client) Measure(ctx context.Context, q MeasureQuery, p Priority) (Page, error) {
	var got rows
	env, err := c.call(ctx, q.request(p), func(s *stream) error {
		got = rows{columns: q.Columns, meter: q.Meter}
		return got.read(s)
	})
	if err != nil {
		return Page{}, err
	}
	return got.page(env.server), nil
}

// request asks for every sample, about one in 5 minutes, with the scale max, unless
// the query is for longer steps. With optimize, the answer would have many short
// runs of equal steps.
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
	if q.Coarse || q.Meter != NoMeter {
		form.Set("scale", "30min")
		form.Set("real_time", "true") // else the times are those of the middle
	}
	if q.Meter != NoMeter {
		form.Set("type", meterTypes[q.Meter])
		q.Begin, q.End = bucketStart(q.Begin), bucketStart(q.End)
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

// read reads a number in the column.
func (c Column) read(raw []byte) (float64, verdict) {
	switch c.Field {
	case WindDirection, GustDirection:
		return bearing(raw)
	}
	return plain(raw)
}

// bucketStart returns the start of the bucket that ends at t. A zero t stays zero.
func bucketStart(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.Add(-Bucket)
}

// rows collects the rows of an answer.
type rows struct {
	columns []Column
	meter   Meter // NoMeter: columns
	samples []Sample
	odd     int
}

// read reads either form of the body: an object of rows by time, or a list of
// runs. An empty result is an empty list in both.
func (r *rows) read(s *stream) error {
	start, err := s.members(func(key string) error {
		raw, err := s.value()
		if err != nil {
			return err
		}
		if raw[0] == '{' {
			r.addRun(raw)
		} else if at, err := strconv.ParseInt(key, 10, 64); err == nil {
			r.add(at, raw)
		} else {
			r.odd++
		}
		return nil
	})
	if err == nil && start == 0 {
		err = formError("it has no list of samples")
	}
	return err
}

// addRun adds a run of rows at equal steps. A run of a single row has no step.
func (r *rows) addRun(raw []byte) {
	var o object
	o.read(raw)
	begin, begins := instant(o.get("beg_time"))
	step, steps := instant(o.get("step_time"))
	n := 0
	for row := range elements(o.get("value")) {
		if begins == said && (n == 0 || steps == said) {
			r.add(int64(begin)+int64(n)*int64(step), row)
		} else {
			r.odd++
		}
		n++
	}
	if n == 0 {
		r.odd++
	}
}

// add adds a row. If the row's length differs from the query's, its columns are
// unknown; it then counts as a time without values, so that pages stay
// complete.
func (r *rows) add(at int64, row []byte) {
	if at <= 0 || at >= maxInstant {
		r.odd++
		return
	}
	if r.meter != NoMeter {
		r.addBucket(at, row)
		return
	}
	values := make(Values, 0, len(r.columns))
	n, odd := 0, false
	for raw := range elements(row) {
		if n < len(r.columns) {
			c := r.columns[n]
			if number, is := c.read(raw); is == said && c.Field.measurable(number) {
				values = append(values, Value{c.Field, number})
			}
			_, is := plain(raw)
			odd = odd || is != said && string(raw) != "null"
		}
		n++
	}
	if n != len(r.columns) {
		values, odd = nil, true
	}
	if odd {
		r.odd++
	}
	r.append(Sample{time.Unix(at, 0).UTC(), values})
}

func (r *rows) append(s Sample) {
	r.samples = append(r.samples, s)
	if len(r.samples) == 2*PageRows {
		r.trim()
	}
}

// trim keeps the oldest samples, one for each time.
func (r *rows) trim() {
	slices.SortStableFunc(r.samples, func(a, b Sample) int { return a.Time.Compare(b.Time) })
	r.samples = slices.CompactFunc(r.samples, func(a, b Sample) bool { return a.Time.Equal(b.Time) })
	r.samples = r.samples[:min(len(r.samples), PageRows)]
}

// page returns the samples, without those in the future of server, if known.
func (r *rows) page(server time.Time) Page {
	r.trim()
	all := len(r.samples)
	past := slices.DeleteFunc(r.samples, func(s Sample) bool { return absurd(s.Time, server) })
	return Page{Samples: past, Odd: r.odd + all - len(past)}
}
