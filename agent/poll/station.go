package poll

import "time"

// Durations at the nominal cadence; those of a faster station are proportionally
// shorter.
const (
	settling  = 5 * time.Second  // from a measurement until it can be asked for, as observed
	firstWait = 10 * time.Second // before the first probe for a late upload; it doubles
	creep     = time.Second      // how much earlier each poll is than the one before, until one is too early
)

// longest is the time between two polls of a silent station, so that its
// status stays fresh.
const longest = 10 * time.Minute

// station predicts when the next upload of a weather station or home coach becomes
// visible. Its times are local and monotonic, except newest, so that a wrong or
// jumping clock does not affect it.
type station struct {
	cadence
	newest    time.Time // of its measurements; zero while it has none
	shown     time.Time // about when newest became visible, rather late than early
	unchanged time.Time // when an answer without anything newer was requested
	polled    time.Time // when the last answer came
	misses    int       // answers without anything new since the upload was due
}

// observe takes the newest measurement time of an answer that was requested at
// sent and arrived at received. The local clock is offset ahead of Netatmo's.
func (s *station) observe(newest, sent, received time.Time, offset time.Duration) {
	due := s.due()
	s.polled = received
	if !newest.After(s.newest) {
		s.unchanged = sent
		switch {
		case !s.sure && s.passed(s.value()/2, sent):
			s.sure = true
		case !received.Before(due):
			s.misses++
		}
		return
	}
	age := received.Round(0).Sub(newest.Add(offset))
	known, distance := s.value() != 0, newest.Sub(s.newest)
	if !s.newest.IsZero() {
		s.cadence.observe(distance, s.passed(distance/2, s.unchanged))
	}
	if known && !s.shown.IsZero() {
		s.shown = s.shown.Add(distance - s.scale(creep))
	} else {
		s.shown = received.Add(s.scale(settling) - age)
	}
	if s.shown.After(received) || !s.shown.After(s.unchanged) {
		s.shown = received
	}
	s.newest, s.unchanged, s.misses = newest, sent, 0
}

// passed reports whether an upload that came d after the newest one would have
// been visible at t.
func (s *station) passed(d time.Duration, t time.Time) bool {
	return d > 0 && t.Sub(s.shown) >= d
}

// due returns when to poll for this station.
func (s *station) due() time.Time {
	c := s.value()
	switch {
	case s.newest.IsZero():
		return s.polled.Add(longest)
	case c == 0:
		return s.polled.Add(s.wait(longest))
	case s.misses > 0:
		return s.polled.Add(s.wait(min(c, longest)))
	case !s.sure:
		return s.shown.Add(c / 2)
	}
	return s.shown.Add(c)
}

// wait returns the time until the next probe.
func (s *station) wait(most time.Duration) time.Duration {
	d := s.scale(firstWait) << min(max(s.misses-1, 0), 10)
	return min(d, most)
}
