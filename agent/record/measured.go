package record

import (
	"time"

	"netatmo-agent/agent/netatmo"
)

// owe opens the window of what x's module has measured since its mark, or moves
// that window's end. It reports whether there is history to fetch now. A module
// without a mark begins with what the upload of x brought.
//
// Marks move to measurements that Netatmo's history has shown, so what it shows
// late is only late.
func (r *Record) owe(x netatmo.Reading, certain bool) bool {
	if x.Measured.IsZero() || !r.hasHistory(x) {
		return false
	}
	m, cadence := r.module(x.ModuleID), time.Duration(float64(r.cadence(x.StationID))*r.stretch)
	mark, known := r.state.mark(x.ModuleID)
	room := x.ModuleType == netatmo.TypeRoom
	switch {
	case !known:
		mark = x.Measured.Add(-r.cadence(x.StationID))
	case mark.After(x.Answered.Add(ClockTolerance)):
		if certain {
			r.state.setMark(x.ModuleID, x.Measured)
		}
		return false
	}
	w := m.window
	if w == nil {
		// A room's reading has the time of the answer, not of a measurement.
		if since := x.Measured.Sub(mark); since <= 0 || room && since < cadence {
			return false
		}
		w = &window{module: x.ModuleID, room: room, measured: true, from: mark, done: mark, cadence: cadence}
		r.windows = append(r.windows, w)
		m.window = w
	}
	if x.Measured.After(w.to) {
		w.to = x.Measured
		if !room && w.refusals == 0 {
			w.due = time.Time{}
			if r.stretch > 1 {
				w.due = m.asked.Add(cadence)
			}
		}
	}
	return !w.due.After(time.Now())
}

// Shown notes that Netatmo has shown all that it has of x, a window that is
// Measured. The rest is requested after the next upload.
func (r *Record) Shown(x Window) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.module(x.Module).asked = time.Now()
	if w, present := r.find(x); present && w.open() && w.look == 0 && (w.to.Sub(w.done) < w.cadence || !w.done.After(x.From)) {
		w.due = time.Now().Add(w.cadence)
	}
}

// upload reports whether w is what one upload brought, and no gap.
func (w *window) upload() bool { return w.measured && w.look == 0 && w.short() }

// refused reports whether Netatmo refuses the module's history. Its live values
// are then better than none.
func (m *module) refused() bool { return m != nil && m.window != nil && m.window.refused() }

// saveEvery is how much delivery of measurements may be repeated after a crash.
const saveEvery = time.Minute

// saveNow reports whether to save the state now. For the sake of SD cards that waits
// until the modules of an upload are dealt with, but not for long.
func (r *Record) saveNow() bool {
	now := time.Now()
	for _, w := range r.windows {
		if w.upload() && w.open() && !w.due.After(now) && now.Sub(r.saved) < saveEvery {
			return false
		}
	}
	r.saved = now
	return true
}

// pace spreads the requests for history over the hour if the modules need more
// than there are.
func (r *Record) pace() {
	var perHour float64
	seen := map[string]bool{}
	for _, x := range r.snapshot.all {
		if !seen[x.ModuleID] && r.hasHistory(x) {
			seen[x.ModuleID] = true
			perHour += float64(time.Hour) / float64(r.cadence(x.StationID))
		}
	}
	r.stretch = 1
	if usable := r.cfg.Budget * 4 / 5; usable > 0 { // polls take the rest
		r.stretch = max(1, perHour/float64(usable))
		r.said.short(int(perHour), usable)
	}
}
