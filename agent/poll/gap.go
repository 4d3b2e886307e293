package poll

import (
	"slices"
	"time"

	"netatmo-agent/agent/netatmo"
)

const (
	// hold is how long the live values of a module wait for its gap, while they
	// could be delivered.
	hold = 2 * time.Minute
	// away is after how long without a delivery nothing counts as deliverable.
	away = 10 * time.Minute
	// refusal is for how long Netatmo is not asked again for what it refused: the
	// history of a module, or the state of a home.
	refusal = 24 * time.Hour
)

// module is what is known about the deliveries of a module, besides its mark.
// While history is to be delivered, the mark is where that stands, so that a
// restart goes on from there; live values then count in live.
type module struct {
	delivered time.Time // measurement time of the newest reading delivered in this process
	live      time.Time // newest live values delivered that the mark does not count yet
	gap       *gap      // nil unless one is open
	look      *window   // nil unless a second look is due at a gap that was filled
	refused   time.Time // when Netatmo refused its history
}

// gap is a span of a module's history that was not delivered live.
type gap struct {
	*window
	until time.Time // end of the hold; zero while nothing at all can be delivered
}

// held reports whether the module's live values wait at now.
func (m *module) held(now time.Time) bool {
	return m != nil && m.gap != nil && (m.gap.until.IsZero() || now.Before(m.gap.until))
}

// checkGap opens a gap if the module of r measured much later than what was
// delivered of it, or moves the end of its open gap. It reports whether there
// is history to fetch.
//
// The time between two readings of a module can be half a cadence longer than
// a cadence, hence one and a half; and if live values were repeated until less
// than half a cadence before r, nothing is missing.
//
// A mark in the future was made by a clock that was wrong. It goes back to r if
// the times of r are certain: a single wrong one costs no mark.
func (p *Poller) checkGap(r netatmo.Reading, certain bool) bool {
	mark, known := p.state.mark(r.ModuleID)
	if !known || r.Measured.IsZero() || p.cfg.MaxGap <= 0 || !p.history.said(r) {
		return false
	}
	m := p.module(r.ModuleID)
	if m.gap != nil {
		if m.held(time.Now()) {
			m.gap.to = later(m.gap.to, r.Measured)
		}
		return true
	}
	if mark.After(r.Answered.Add(ClockTolerance)) {
		if certain {
			p.state.setMark(r.ModuleID, r.Measured)
		}
		return false
	}
	cadence, reached := p.cadence(r.StationID), later(mark, m.live)
	before := m.delivered
	if before.IsZero() { // a restart has forgotten it; it is up to a cadence older than the mark
		before = reached.Add(-cadence / 2)
	}
	if r.Measured.Sub(before) <= cadence*3/2 || r.Measured.Sub(reached) <= cadence/2 || time.Since(m.refused) < refusal {
		return false
	}
	w := m.look
	if w == nil {
		w = &window{module: r.ModuleID, from: reached, done: reached, cadence: cadence}
		p.windows = append(p.windows, w)
	}
	w.to, w.again, w.notBefore = r.Measured, false, time.Time{}
	m.gap, m.look = &gap{window: w}, nil
	return true
}

func (p *Poller) module(id string) *module {
	m := p.modules[id]
	if m == nil {
		m = &module{}
		p.modules[id] = m
	}
	return m
}

// cadence is the distance of two readings of a station's modules, or of rooms
// for an empty id.
func (p *Poller) cadence(station string) time.Duration {
	c := p.state.cadence(station)
	if c == 0 {
		c = NominalCadence
	}
	return max(c, p.cfg.Interval)
}

// withoutHeld takes the values with a history off the readings whose module
// has an open gap: a backend takes no history older than the live values. The
// other values have none and need not wait.
func (p *Poller) withoutHeld(readings []netatmo.Reading) []netatmo.Reading {
	now := time.Now()
	copied := false
	for i, r := range readings {
		if !p.modules[r.ModuleID].held(now) {
			continue
		}
		if !copied {
			readings, copied = slices.Clone(readings), true
		}
		columns := p.history.columns(r.ModuleType)
		readings[i].Values = slices.DeleteFunc(slices.Clone(r.Values), func(v netatmo.Value) bool { return kept(columns, v.Field) })
	}
	return readings
}

// Delivered says that the backend acknowledged at the time at, by the local
// clock, the live values of these readings, which came from Readings. It moves
// the marks of their modules.
func (p *Poller) Delivered(at time.Time, readings []netatmo.Reading) {
	if limit := p.clock.now().Add(ClockTolerance); at.After(limit) {
		at = limit
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.alive = time.Now()
	news, waiting := false, false
	for _, r := range readings {
		// Stale values were not pushed, held ones are not there.
		if at.Sub(r.Measured) > p.cfg.Stale || !p.history.said(r) {
			continue
		}
		m := p.module(r.ModuleID)
		if r.Measured.After(m.delivered) {
			m.delivered, news = r.Measured, true
		}
		if m.gap != nil || m.look != nil {
			m.live = later(m.live, at)
		} else {
			p.advance(r.ModuleID, at)
		}
	}
	for _, m := range p.modules {
		if m.gap != nil && m.gap.until.IsZero() {
			m.gap.until, waiting = p.alive.Add(hold), true
		}
	}
	if news {
		signal(p.save)
	}
	if waiting {
		signal(p.fill)
	}
}

// holdAgain has live values wait as from the start, if there was no delivery for
// long: when the backend is back, the history is to be first again.
func (p *Poller) holdAgain() {
	if time.Since(p.alive) < away {
		return
	}
	for _, m := range p.modules {
		if m.gap != nil {
			m.gap.until = time.Time{}
		}
	}
}

// advance moves the mark of a module on, never back.
func (p *Poller) advance(id string, t time.Time) {
	if mark, known := p.state.mark(id); !known || t.After(mark) {
		p.state.setMark(id, t)
	}
}
