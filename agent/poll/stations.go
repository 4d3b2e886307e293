package poll

import (
	"slices"
	"time"

	"netatmo-agent/agent/netatmo"
)

// followed processes the answer about a family of stations. One request covers
// all of them, although each uploads at its own times.
func (p *Poller) followed(x result) error {
	t, doubts := x.task, 0
	if len(x.answer.Readings) == 0 && (len(x.answer.Rejected) == 0 || len(t.stations) > 0) {
		if err := p.doubt(t, mostEmpty); err != nil {
			return err
		}
		doubts = t.doubts
	}
	readings := p.record.Merge(t.place, x.answer)
	p.observe(t, readings, x.sent, x.answer.Offset)
	if len(readings) > 0 || len(x.answer.Rejected) > 0 {
		t.some = t.asked
	}
	if time.Since(t.some) > aside {
		err := nothing(len(x.answer.Readings))
		p.leaveOut(t, absent, err)
		return err
	}
	p.succeeded(t, doubts, t.next(p.cfg.Interval))
	return nil
}

// observe passes each station the newest measurement of its modules, and forgets
// stations that are gone.
func (p *Poller) observe(t *task, readings []netatmo.Reading, sent time.Time, offset time.Duration) {
	newest := map[string]time.Time{}
	for _, r := range readings {
		if r.Measured.After(newest[r.StationID]) || newest[r.StationID].IsZero() {
			newest[r.StationID] = r.Measured
		}
	}
	for id, measured := range newest {
		s := t.stations[id]
		if s == nil {
			s = &station{}
			if c := p.record.Cadence(id); c > 0 {
				s.seen = []time.Duration{c}
			}
			t.stations[id] = s
		}
		s.observe(measured, sent, t.asked, offset)
		if s.sure {
			p.record.LearnCadence(id, s.value())
		}
	}
	for id := range t.stations {
		if _, present := newest[id]; !present {
			delete(t.stations, id)
		}
	}
}

// next returns when to poll stations again: when the first is due, or a little
// later if others are due soon after. Polls keep a minimum distance, so that a
// thousand stations do not cost a thousand polls.
func (t *task) next(interval time.Duration) time.Time {
	if interval > 0 {
		return t.asked.Add(interval)
	}
	if len(t.stations) == 0 {
		return t.asked.Add(longest)
	}
	dues := make([]time.Time, 0, len(t.stations))
	for _, s := range t.stations {
		dues = append(dues, s.due())
	}
	slices.SortFunc(dues, time.Time.Compare)
	distance := t.distance()
	soon, _ := slices.BinarySearchFunc(dues, dues[0].Add(distance/2), time.Time.Compare)
	next := dues[max(soon-1, 0)]
	if first := t.asked.Add(distance); next.Before(first) {
		return first
	}
	return next
}

// quickest returns the shortest cadence of the stations, at most most.
func (t *task) quickest(most time.Duration) time.Duration {
	for _, s := range t.stations {
		if c := s.value(); c > 0 {
			most = min(most, c)
		}
	}
	return most
}

// distance returns the minimum time between two polls of stations. It is zero for
// one station and grows to a minute, or a tenth of the cadence, for more than ten.
func (t *task) distance() time.Duration {
	most := min(time.Minute, t.quickest(longest)/10)
	return most * time.Duration(min(len(t.stations)-1, 10)) / 10
}
