package record

import (
	"time"

	"netatmo-agent/agent/netatmo"
)

// Delivery is what the backend did with samples of a module, oldest first. The
// samples after them can be pushed again.
type Delivery struct {
	Refused  int // dropped, because the backend cannot hold them
	Accepted int // those after the refused ones
}

// Done returns how many samples are dealt with.
func (d Delivery) Done() int { return d.Refused + d.Accepted }

// Delivered notes that the backend acknowledged at the time at, by the local
// clock, what may be shown of these readings, which came from Readings. It moves
// the marks of the modules whose measurements were among that.
func (r *Record) Delivered(at time.Time, readings []netatmo.Reading) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if limit := r.clock.now().Add(ClockTolerance); at.After(limit) {
		at = limit
	}
	r.taken = time.Now()
	news, begins := false, false
	for _, x := range readings {
		// Older values are not shown, and Readings leaves out those that wait.
		if at.Sub(x.Measured) > x.Lasts(r.cfg.Stale) || !r.hasHistory(x) {
			continue
		}
		m := r.module(x.ModuleID)
		if x.Measured.After(m.delivered) {
			m.delivered, news = x.Measured, true
		}
		if m.window != nil {
			m.live = later(m.live, at)
		} else {
			r.advance(x.ModuleID, at)
		}
	}
	for _, w := range r.windows {
		if w.gap() && w.until.IsZero() {
			w.until, begins = r.taken.Add(hold), true
		}
	}
	if news {
		signal(r.unsaved)
	}
	if begins {
		signal(r.owing)
	}
}

// advance moves the mark of a module forward, never back.
func (r *Record) advance(id string, t time.Time) {
	if mark, known := r.state.mark(id); !known || t.After(mark) {
		r.state.setMark(id, t)
	}
}

// NotPushed notes that the backend accepts no history now. If it has accepted
// nothing for long, live values wait again, so that the history comes first when
// the backend is back.
func (r *Record) NotPushed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.taken) < away {
		return
	}
	for _, w := range r.windows {
		w.until = time.Time{}
	}
}
