package simcloud

import "time"

// scales of getmeasure, finest first.
var scales = []string{"max", "30min", "1hour", "3hours", "1day", "1week", "1month"}

// buckets sums up samples by the time periods of a scale.
type buckets struct {
	d        *device
	scale    string
	columns  []column
	realTime bool
}

// rows returns the buckets that begin between from and to and have a sample.
func (b buckets) rows(from, to int64, asOf time.Time, limit int) []row {
	begin, end := b.bounds(from)
	if begin < from {
		begin, end = b.bounds(end)
	}
	_, last := b.bounds(to)
	var rows []row
	tallies := make([]tally, len(b.columns))
	filled := false
	flush := func() {
		if filled {
			rows = append(rows, b.row(begin, end, tallies))
		}
		filled = false
		clear(tallies)
	}
	for x := range b.d.held(begin, last-1, asOf) {
		if x.t >= end {
			flush()
			begin, end = b.bounds(x.t)
			if len(rows) == limit {
				return rows
			}
		}
		filled = true
		for i, col := range b.columns {
			if v, ok := b.d.read(col.sensor, x); ok {
				tallies[i].add(v, x.t)
			}
		}
	}
	flush()
	return rows
}

func (b buckets) row(begin, end int64, tallies []tally) row {
	r := row{begin, make([]any, len(tallies))}
	if !b.realTime {
		r.t = b.middle(begin, end)
	}
	for i := range tallies {
		r.values[i] = tallies[i].value(b.columns[i])
	}
	return r
}

// bounds returns the bucket that contains t. Buckets shorter than a day lie on
// the epoch's grid, the others on the station's calendar; weeks start on
// Monday.
func (b buckets) bounds(t int64) (begin, end int64) {
	if size := map[string]int64{"30min": hour / 2, "1hour": hour, "3hours": 3 * hour}[b.scale]; size != 0 {
		begin = t - t%size
		return begin, begin + size
	}
	zone := b.d.home.place.zone
	local := time.Unix(t, 0).In(zone)
	y, m, d := local.Date()
	days, months := 0, 0
	switch b.scale {
	case "1day":
		days = 1
	case "1week":
		d -= (int(local.Weekday()) + 6) % 7
		days = 7
	case "1month":
		d, months = 1, 1
	}
	date := func(m time.Month, d int) int64 { return time.Date(y, m, d, 0, 0, 0, 0, zone).Unix() }
	return date(m, d), date(m+time.Month(months), d+days)
}

// middle returns Netatmo's timestamp of a bucket: noon of the day, of the
// Thursday, or half way.
func (b buckets) middle(begin, end int64) int64 {
	start := time.Unix(begin, 0).In(b.d.home.place.zone)
	y, m, d := start.Date()
	switch b.scale {
	case "1day":
		return time.Date(y, m, d, 12, 0, 0, 0, start.Location()).Unix()
	case "1week":
		return time.Date(y, m, d+3, 12, 0, 0, 0, start.Location()).Unix()
	}
	return begin + (end-begin)/2
}
