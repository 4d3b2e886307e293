package record

import (
	"cmp"
	"slices"
	"time"

	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/outage"
)

const (
	// NominalCadence is the usual time between two uploads of a weather station,
	// as observed.
	NominalCadence = 606 * time.Second

	// hold is how long a module's live values wait for its gap to be filled, while
	// the backend accepts points.
	hold = 2 * time.Minute
	// away is how long after the last delivery the backend counts as unavailable.
	away = 10 * time.Minute

	// mostDoubts is how many refusals of history in a row are doubted.
	mostDoubts   = 5
	firstDoubt   = 10 * time.Second // until the next request; it doubles
	refusedAgain = time.Hour        // the same once the refusal is believed
)

// module is the state of a module's deliveries, besides its mark. While its gap is
// being filled, the mark follows the filling, so that a restart continues from
// there, and live records the live values.
type module struct {
	delivered time.Time // measurement time of the newest reading delivered in this process
	live      time.Time // newest live values delivered that the mark does not count yet
	asked     time.Time // when measurements were last delivered (Config.Measured)
	window    *window   // nil: the mark waits for none
}

// window is a period of a module's history that the backend may lack.
type window struct {
	module   string
	room     bool
	measured bool // Config.Measured

	from, done, to time.Time     // delivered up to done; looks go back to from
	cadence        time.Duration // of its station
	delivered      []int64       // times of the samples delivered, Unix seconds, ascending

	due      time.Time // when history may be requested
	until    time.Time // end of the hold of live values; zero while nothing can be delivered
	look     int       // 0: the gap itself; n: the n-th look at a gap that was filled
	closed   time.Time // when the gap was filled
	length   time.Duration
	late     int // samples of the current look
	failures int // requests that failed in a row
	refusals int // requests in a row that Netatmo refused
}

func (w *window) refused() bool { return w.refusals > mostDoubts }

// gap reports whether w is a gap that its module's live values wait for.
func (w *window) gap() bool { return w.look == 0 && !w.refused() }

func (w *window) open() bool { return w.done.Before(w.to) }

// short reports whether w is no longer than the time between two uploads can be.
func (w *window) short() bool { return w.to.Sub(w.from) <= w.cadence*3/2 }

// held reports whether the module's live values wait at now.
func (m *module) held(now time.Time) bool {
	return m != nil && m.window != nil && m.window.gap() && (m.window.until.IsZero() || now.Before(m.window.until))
}

func (r *Record) module(id string) *module {
	m := r.modules[id]
	if m == nil {
		m = &module{}
		r.modules[id] = m
	}
	return m
}

// cadence is the time between two readings of a station's modules, or of rooms
// for an empty id.
func (r *Record) cadence(stationID string) time.Duration {
	return max(cmp.Or(r.state.cadence(stationID), NominalCadence), r.cfg.Interval)
}

// findGap opens a gap if x is much newer than its module's last delivered value,
// or moves the end of the module's open gap. It reports whether there is history
// to fetch.
//
// The time between two readings of a module can be up to one and a half cadences.
// If live values were repeated until less than half a cadence before x, nothing is
// missing.
//
// A mark in the future comes from a wrong clock. It goes back to x only if the
// times of x are certain, so that a single wrong time costs no mark.
func (r *Record) findGap(x netatmo.Reading, certain bool) bool {
	mark, known := r.state.mark(x.ModuleID)
	if !known || x.Measured.IsZero() || r.cfg.MaxGap <= 0 || !r.hasHistory(x) {
		return false
	}
	m := r.module(x.ModuleID)
	w := m.window
	if w != nil && w.gap() {
		if m.held(time.Now()) {
			w.to = later(w.to, x.Measured)
		}
		return true
	}
	if mark.After(x.Answered.Add(ClockTolerance)) {
		if certain {
			r.state.setMark(x.ModuleID, x.Measured)
		}
		return false
	}
	cadence, reached := r.cadence(x.StationID), later(mark, m.live)
	before := m.delivered
	if before.IsZero() { // lost in a restart; it is up to a cadence older than the mark
		before = reached.Add(-cadence / 2)
	}
	if x.Measured.Sub(before) <= cadence*3/2 || x.Measured.Sub(reached) <= cadence/2 {
		return false
	}
	if w != nil && w.refused() {
		w.to = later(w.to, x.Measured) // live values would wait in vain
		return false
	}
	if w == nil {
		w = &window{module: x.ModuleID, room: x.ModuleType == netatmo.TypeRoom, from: reached, done: reached, cadence: cadence}
		r.windows = append(r.windows, w)
		m.window = w
	}
	w.to, w.look, w.due, w.until = x.Measured, 0, time.Time{}, time.Time{}
	return true
}

func (r *Record) hasHistory(x netatmo.Reading) bool {
	columns := r.cfg.History(x.ModuleType)
	return slices.ContainsFunc(x.Values, func(v netatmo.Value) bool { return keeps(columns, v.Field) })
}

// keeps reports whether f is one of columns.
func keeps(columns []netatmo.Column, f netatmo.Field) bool {
	return slices.ContainsFunc(columns, func(c netatmo.Column) bool { return c.Field == f })
}

// Window is a period of one module's history that the backend may lack. It is a
// snapshot taken by Owed.
type Window struct {
	Module   string
	From, To time.Time     // after From, up to To
	Cadence  time.Duration // of the module's station
	Look     int           // 0: a gap; n: the n-th look at one that was filled
	Measured bool          // it ends with a measurement, which the backend has from history alone
	Upload   bool          // no gap: what one upload brought
	Meter    netatmo.Meter // what the history is of; NoMeter: of the module's sensors

	delivered []int64
	ID        any // identifies the window to its ledger
}

// Delivered reports whether the backend already has the sample at t.
func (w *Window) Delivered(t time.Time) bool {
	_, has := slices.BinarySearch(w.delivered, t.Unix())
	return has
}

// The order of windows that are due, first to last.
const (
	ofStation = iota
	ofRoom    // there may be hundreds; a few stations do not wait for them
	ofLook    // no live values wait for it
	ofFailure // it keeps failing; the others do not wait for it
)

// stubborn is how many failures in a row make a window let all others go first.
const stubborn = 3

func (w *window) turn() int {
	switch {
	case w.failures >= stubborn:
		return ofFailure
	case !w.gap():
		return ofLook
	case w.room && !w.measured:
		return ofRoom
	}
	return ofStation
}

// Owed returns the windows whose turn it is, the one furthest behind first; those of
// meters only if there are no others. If there are none, it returns how long to
// wait. gaps reports whether any gaps are left to fill.
func (r *Record) Owed() (due []Window, wait time.Duration, gaps bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.clock.ok() {
		return nil, time.Minute, true
	}
	now, oldest := time.Now(), r.clock.now().Add(-r.cfg.MaxGap)
	wait = time.Hour
	var ready []*window
	first := ofFailure
	for _, w := range slices.Clone(r.windows) {
		if w.done.Before(oldest) {
			if r.clip(w, oldest); !w.open() {
				r.forget(w)
				continue
			}
		}
		switch d := w.due.Sub(now); {
		case d > 0 && w.open():
			wait = min(wait, d)
		case !w.open():
			r.close(w)
		default:
			ready, first = append(ready, w), min(first, w.turn())
		}
		gaps = gaps || w.gap() && !w.upload()
	}
	r.said.filled(gaps, len(ready) > 0)
	ready = slices.DeleteFunc(ready, func(w *window) bool { return w.turn() > first })
	slices.SortStableFunc(ready, func(a, b *window) int {
		return cmp.Or(cmp.Compare(a.failures, b.failures), a.done.Compare(b.done))
	})
	for _, w := range ready {
		due = append(due, Window{ID: w, Module: w.module, From: w.done, To: w.to, Cadence: w.cadence, Look: w.look, Measured: w.measured && w.look == 0, Upload: w.upload(), delivered: slices.Clone(w.delivered)})
	}
	if len(due) > 0 {
		return due, wait, gaps
	}
	due, next := r.owedMeters()
	return due, min(wait, next), gaps
}

// clip drops the part of w that is older than MaxGap.
func (r *Record) clip(w *window, oldest time.Time) {
	if w.gap() && !r.said.clipped {
		r.said.clipped = true
		r.cfg.Logger.Warn("a gap is longer than NETATMO_BACKFILL; its older part is skipped, and the backfill command can push it",
			"missing_since", w.done, "filled_since", oldest)
	}
	w.done = oldest
}

// Paid notes that the history of w is dealt with up to the time until: the
// backend has taken the samples at these times, or refused them for good. It
// reports whether that closes a gap.
func (r *Record) Paid(x Window, until time.Time, samples []time.Time) (closed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	w, present := r.find(x)
	if !present {
		return false // its module is gone
	}
	w.failures, w.refusals = 0, 0
	for _, t := range samples {
		if at, has := slices.BinarySearch(w.delivered, t.Unix()); !has {
			w.delivered = slices.Insert(w.delivered, at, t.Unix())
			w.late++
		}
	}
	w.done = later(w.done, until)
	switch n := len(w.delivered); {
	case w.look == 0:
		r.advance(w.module, w.done)
	case w.look == 1 && n > 0: // it ends at the present, for which there may be nothing yet
		r.advance(w.module, time.Unix(w.delivered[n-1], 0))
	}
	if closed = !w.open() && w.gap(); closed && !w.measured {
		signal(r.changed) // live values that waited
	}
	if !w.open() {
		r.close(w)
	}
	if news := closed || len(samples) > 0; news && (!w.measured || r.saveNow()) {
		signal(r.unsaved)
	}
	return closed
}

// Failed notes that the history of w could not be read for now.
func (r *Record) Failed(x Window) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if w, present := r.find(x); present {
		w.failures++
	}
	if m, present := r.findOwed(x); present {
		m.failures++
	}
}

// Refused notes that Netatmo refuses the history of w, under every identity. A
// few refusals in a row are doubted. After that the module's live values no longer
// wait, and the window stays until it is older than NETATMO_BACKFILL.
func (r *Record) Refused(x Window, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m, present := r.findOwed(x); present {
		r.refusedMeter(m, err)
		return
	}
	w, present := r.find(x)
	if !present {
		return
	}
	w.refusals++
	if !w.refused() {
		w.due = time.Now().Add(outage.Backoff(w.refusals, firstDoubt, refusedAgain))
		return
	}
	w.due = time.Now().Add(refusedAgain)
	if w.refusals == mostDoubts+1 {
		r.cfg.Logger.Warn("Netatmo refuses a module's history; asking again every hour until NETATMO_BACKFILL has passed", "module", r.name(x.Module), "error", err)
		signal(r.changed)
	}
}

// Gone forgets w, whose module is no longer in Netatmo's answers.
func (r *Record) Gone(x Window) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if w, present := r.find(x); present {
		r.forget(w)
	}
	if m, present := r.findOwed(x); present {
		delete(r.meters, m.module)
	}
}

func (r *Record) find(x Window) (*window, bool) {
	w, ok := x.ID.(*window)
	return w, ok && slices.Contains(r.windows, w)
}

// close ends a gap or a look, and schedules the next look, at growing intervals up
// to the gap's length, and beyond as long as looks find something: a station that
// was offline uploads its stored values after its first new ones, some of them
// hours later.
func (r *Record) close(w *window) {
	if w.look == 0 {
		w.closed, w.length = time.Now(), w.to.Sub(w.from)
		switch {
		case !w.measured:
			w.to = r.clock.now()
		case w.short():
			r.forget(w)
			return
		default:
			r.module(w.module).window = nil // for what comes after it
		}
	} else if w.look > 1 || w.measured { // in other cases, the first look finds what was measured while the gap was filled
		r.said.late += w.late
	}
	distance := 2*w.cadence + w.cadence/10
	for range w.look {
		distance *= 3
	}
	found := w.late > 0
	w.look, w.done, w.late = w.look+1, w.from, 0
	w.due = w.closed.Add(distance)
	switch m := r.module(w.module); {
	case w.look > 1 && distance > w.length && (w.look == 2 || !found), w.refused():
		r.forget(w)
	case w.look > 1 && m.window == w:
		r.release(m, w)
	}
}

// release lets live values count for the mark again.
func (r *Record) release(m *module, w *window) {
	m.window = nil
	r.advance(w.module, m.live)
	m.live = time.Time{}
}

func (r *Record) forget(w *window) {
	r.windows = slices.DeleteFunc(r.windows, func(x *window) bool { return x == w })
	if m := r.module(w.module); m.window == w {
		r.release(m, w)
	}
}
