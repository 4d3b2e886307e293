package poll

import (
	"cmp"
	"context"
	"slices"
	"time"

	"netatmo-agent/agent/netatmo"
)

// history reads what Netatmo keeps of modules.
type history struct {
	src     Source
	columns func(moduleType string) []netatmo.Column
}

// said reports whether r holds a value that has a history.
func (h *history) said(r netatmo.Reading) bool {
	columns := h.columns(r.ModuleType)
	return slices.ContainsFunc(r.Values, func(v netatmo.Value) bool { return kept(columns, v.Field) })
}

// kept reports whether f is one of columns.
func kept(columns []netatmo.Column, f netatmo.Field) bool {
	return slices.ContainsFunc(columns, func(c netatmo.Column) bool { return c.Field == f })
}

const (
	pageCadences = 500 // about as much time as a page holds, at two measurements a cadence
	pageModules  = 16  // in one round, so that memory does not grow with the account
)

// byModule groups the readings of modules with a history by module id, those of
// the user's own stations first. Two stations can list one module.
func (h *history) byModule(readings []netatmo.Reading) map[string][]netatmo.Reading {
	groups := map[string][]netatmo.Reading{}
	for _, r := range readings {
		if len(h.columns(r.ModuleType)) > 0 {
			groups[r.ModuleID] = append(groups[r.ModuleID], r)
		}
	}
	for _, same := range groups {
		ownFirst(same)
	}
	return groups
}

func ownFirst(readings []netatmo.Reading) {
	foreign := map[bool]int{true: 1}
	slices.SortStableFunc(readings, func(a, b netatmo.Reading) int { return cmp.Compare(foreign[a.Foreign], foreign[b.Foreign]) })
}

// window is a span of one module's history that is to be delivered. It is read
// from the oldest sample on, a page at a time:
//
//	from ======== done -------- reached ........ end ~~~~~~~~ to
//	    delivered      this page       later pages   uploaded while
//	                                                 it is fetched
//
// Each of the times but from belongs to what is to its left. A second look goes
// back to from.
type window struct {
	module   string
	readings []netatmo.Reading // identities under which it is reported; the first is asked for

	from, done, reached, end, to time.Time

	cadence   time.Duration // distance of two uploads of its station
	failures  int           // requests that failed in a row
	came      time.Time     // the last row that Netatmo gave
	noted     time.Time     // by a Backfill: what comes after it is not noted as delivered yet
	delivered []int64       // times of the samples delivered, ascending Unix seconds; they are left out

	again     bool      // a second look at a gap that was filled
	notBefore time.Time // when it is due
}

// open reports whether something is left to deliver.
func (w *window) open() bool { return w.done.Before(w.to) }

// nextPage returns the windows whose page is next: the oldest, and those that
// begin within a page of it.
func nextPage(windows []*window) []*window {
	windows = slices.DeleteFunc(slices.Clone(windows), func(w *window) bool { return !w.open() })
	slices.SortStableFunc(windows, func(a, b *window) int {
		return cmp.Or(cmp.Compare(a.failures, b.failures), a.done.Compare(b.done))
	})
	for i, w := range windows {
		first := windows[0]
		if i == pageModules || w.failures > first.failures || w.done.Sub(first.done) >= pageCadences*first.cadence {
			return windows[:i]
		}
	}
	return windows
}

// batch is what one round of requests brought.
type batch struct {
	read      []*window
	points    []netatmo.Measurement // ascending in time
	owners    []*window             // of the points
	delivered int                   // points, from the first on
	began     time.Time
}

// read fetches a page of each window. An error is about the first window that
// is not among those read.
func (h *history) read(ctx context.Context, windows []*window, p netatmo.Priority) (*batch, error) {
	type owned struct {
		netatmo.Measurement
		owner *window
	}
	var all []owned
	b := &batch{began: time.Now()}
	var err error
	for _, w := range windows {
		var page []netatmo.Measurement
		if page, err = h.page(ctx, w, p); err != nil {
			w.failures++
			break
		}
		w.failures = 0
		b.read = append(b.read, w)
		for _, pt := range page {
			all = append(all, owned{pt, w})
		}
	}
	slices.SortStableFunc(all, func(a, b owned) int { return a.Time.Compare(b.Time) })
	for _, o := range all {
		b.points, b.owners = append(b.points, o.Measurement), append(b.owners, o.owner)
	}
	return b, err
}

// settle moves the windows on to where they are delivered.
func (b *batch) settle() {
	reached := map[*window]time.Time{}
	for _, w := range b.read {
		reached[w] = w.reached
	}
	for i := len(b.points) - 1; i >= b.delivered; i-- {
		reached[b.owners[i]] = b.points[i].Time.Add(-time.Second)
	}
	for w, t := range reached {
		w.done = later(w.done, t)
	}
}

// page fetches the rows of w after what is done, and notes how far they reach.
func (h *history) page(ctx context.Context, w *window, p netatmo.Priority) ([]netatmo.Measurement, error) {
	r := w.readings[0]
	q := netatmo.MeasureQuery{Columns: h.columns(r.ModuleType), Begin: w.done.Truncate(time.Second).Add(time.Second), End: w.end}
	switch {
	case r.ModuleType == netatmo.TypeRoom:
		q.HomeID, q.RoomID = r.HomeID, r.ModuleID
	case r.ModuleID == r.StationID:
		q.DeviceID = r.StationID
	default:
		q.DeviceID, q.ModuleID = r.StationID, r.ModuleID
	}
	samples, err := h.src.Measure(ctx, q, p)
	if err != nil {
		return nil, err
	}
	w.reached = w.end
	if n := len(samples); n > 0 {
		w.came = samples[n-1].Time
	}
	if n := len(samples); n > 0 && samples[n-1].Time.After(w.done) && (n >= netatmo.PageRows || w.end.Sub(samples[n-1].Time) > w.cadence) {
		w.reached = samples[n-1].Time
	}
	var points []netatmo.Measurement
	for _, s := range samples {
		if !s.Time.After(w.done) || s.Time.After(w.end) || len(s.Values) == 0 || w.had(s.Time) {
			continue
		}
		for _, r := range w.readings {
			points = append(points, netatmo.Measurement{Reading: r, Time: s.Time, Values: s.Values})
		}
	}
	return points, nil
}

// had reports whether the sample at t was delivered.
func (w *window) had(t time.Time) bool {
	_, had := slices.BinarySearch(w.delivered, t.Unix())
	return had
}
