package poll

import (
	"maps"
	"slices"
	"sync"
	"time"

	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/record"
)

// Stats are facts about polling, for the agent's own metrics and its heartbeat.
type Stats struct {
	// Success reports whether the last poll of every family succeeded, except for
	// families that are set aside. It is false before the first success.
	Success bool
	// Time and Duration are those of the last poll that ended; zero before.
	// The duration includes waiting for the request budget.
	Time     time.Time
	Duration time.Duration
	Families map[netatmo.Family]FamilyStats
}

// FamilyStats are facts about one family. For a family in homes they combine the
// list of homes and each home.
type FamilyStats struct {
	Activity    Activity
	Since       time.Time // when the oldest request under way began
	Next        time.Time // when the next poll is due, while asleep
	Aside       bool      // set aside: the account seems to have no such device, or may not read it
	LastPoll    time.Time // when the last poll ended; zero before
	LastSuccess time.Time
	Duration    time.Duration // of the last poll
	Err         error         // of a last poll that failed
}

// Activity is what the Poller is doing for a family.
type Activity string

// The activities. A family that sleeps well after Next is stuck.
const (
	Polling  Activity = "polling"
	Sleeping Activity = "sleeping"
	Waiting  Activity = "waiting for a login"
)

// stats are facts about each task, by its place.
type stats struct {
	mu     sync.Mutex
	places map[record.Place]FamilyStats
}

func (s *stats) change(place record.Place, change func(*FamilyStats)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.places == nil {
		s.places = map[record.Place]FamilyStats{}
	}
	f := s.places[place]
	change(&f)
	s.places[place] = f
}

func (s *stats) begin(place record.Place) {
	s.change(place, func(f *FamilyStats) { f.Activity, f.Since, f.Next = Polling, time.Now(), time.Time{} })
}

func (s *stats) wait(place record.Place) {
	s.change(place, func(f *FamilyStats) { f.Activity, f.Since, f.Next = Waiting, time.Now(), time.Time{} })
}

func (s *stats) end(place record.Place, err error, aside bool, next time.Time) {
	s.change(place, func(f *FamilyStats) {
		now := time.Now()
		f.Duration, f.LastPoll, f.Err, f.Aside = now.Sub(f.Since), now, err, aside
		if err == nil {
			f.LastSuccess = now
		}
		f.Activity, f.Since, f.Next = Sleeping, now, next
	})
}

func (s *stats) forget(place record.Place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.places, place)
}

// Stats returns the current facts.
func (p *Poller) Stats() Stats {
	p.stats.mu.Lock()
	defer p.stats.mu.Unlock()
	s := Stats{Families: map[netatmo.Family]FamilyStats{}}
	succeeded, failed := false, false
	for place, x := range p.stats.places {
		f, known := s.Families[place.Family]
		if !known {
			f = x
		} else {
			f = both(f, x)
		}
		s.Families[place.Family] = f
		succeeded = succeeded || x.Err == nil && !x.LastPoll.IsZero()
		failed = failed || x.Err != nil && !x.Aside
	}
	for _, name := range slices.Sorted(maps.Keys(s.Families)) {
		if f := s.Families[name]; f.LastPoll.After(s.Time) {
			s.Time, s.Duration = f.LastPoll, f.Duration
		}
	}
	s.Success = succeeded && !failed
	return s
}

// both combines the stats of two tasks of a family.
func both(a, b FamilyStats) FamilyStats {
	if b.Activity == Polling && (a.Activity != Polling || b.Since.Before(a.Since)) ||
		a.Activity != Polling && b.Activity == Sleeping && (a.Activity != Sleeping || b.Next.Before(a.Next)) {
		a.Activity, a.Since, a.Next = b.Activity, b.Since, b.Next
	}
	if b.LastPoll.After(a.LastPoll) {
		a.LastPoll, a.Duration = b.LastPoll, b.Duration
	}
	if b.LastSuccess.After(a.LastSuccess) {
		a.LastSuccess = b.LastSuccess
	}
	if b.Err != nil && (a.Err == nil || a.Aside && !b.Aside) {
		a.Err, a.Aside = b.Err, b.Aside
	}
	return a
}
