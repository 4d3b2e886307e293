package poll

import (
	"maps"
	"slices"
	"sync"
	"time"

	"netatmo-agent/agent/netatmo"
)

// Stats are facts about polling, for the agent's own metrics and its heartbeat.
type Stats struct {
	// Success reports whether the last poll of every family succeeded, leaving
	// out families that are aside. It is false before the first success.
	Success bool
	// Time and Duration are those of the last poll that ended; zero before.
	// The duration includes waiting for the request budget.
	Time     time.Time
	Duration time.Duration
	Families map[netatmo.Family]FamilyStats
}

// FamilyStats are facts about one family.
type FamilyStats struct {
	Activity    Activity
	Since       time.Time // when the activity began
	Next        time.Time // when the next poll is due, while asleep
	Aside       bool      // no fault of polling: the account has no such device, as it seems, or may not read it
	LastPoll    time.Time // when the last poll ended; zero before
	LastSuccess time.Time
	Duration    time.Duration // of the last poll
	Err         error         // of the last poll
}

// Activity is what a family's loop does.
type Activity string

// The activities. A loop that sleeps well after Next is stuck.
const (
	Polling  Activity = "polling"
	Sleeping Activity = "sleeping"
	Waiting  Activity = "waiting for a login"
)

type stats struct {
	mu       sync.Mutex
	families map[netatmo.Family]FamilyStats
}

func (s *stats) change(name netatmo.Family, change func(*FamilyStats)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.families == nil {
		s.families = map[netatmo.Family]FamilyStats{}
	}
	f := s.families[name]
	change(&f)
	s.families[name] = f
}

func (s *stats) begin(name netatmo.Family, now time.Time) {
	s.change(name, func(f *FamilyStats) { f.Activity, f.Since, f.Next = Polling, now, time.Time{} })
}

func (s *stats) wait(name netatmo.Family) {
	s.change(name, func(f *FamilyStats) { f.Activity, f.Since, f.Next = Waiting, time.Now(), time.Time{} })
}

func (s *stats) end(name netatmo.Family, err error, aside bool, next time.Time) {
	s.change(name, func(f *FamilyStats) {
		now := time.Now()
		f.Duration, f.LastPoll, f.Err, f.Aside = now.Sub(f.Since), now, err, aside
		if err == nil {
			f.LastSuccess = now
		}
		f.Activity, f.Since, f.Next = Sleeping, now, next
	})
}

// Stats returns what is known now.
func (p *Poller) Stats() Stats {
	p.stats.mu.Lock()
	defer p.stats.mu.Unlock()
	s := Stats{Families: maps.Clone(p.stats.families)}
	failed := false
	for _, name := range slices.Sorted(maps.Keys(s.Families)) {
		f := s.Families[name]
		if f.LastPoll.After(s.Time) {
			s.Time, s.Duration = f.LastPoll, f.Duration
		}
		s.Success = s.Success || f.Err == nil && !f.LastPoll.IsZero()
		failed = failed || f.Err != nil && !f.Aside
	}
	s.Success = s.Success && !failed
	return s
}
