package poll

import (
	"time"

	"golang.org/x/time/rate"

	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/record"
)

const (
	statusEvery = 5 * time.Minute // between two requests for the state of a home, if the budget allows
	homesEvery  = time.Hour       // between two requests for the list of homes
)

// homesPerHour is how many requests for homes a budget allows: half of it, so that
// stations, gaps and meters have the other half, however many homes there are.
func homesPerHour(budget int) int { return max(1, budget/2) }

// newHomesLimit spreads the requests for homes evenly, after a quarter of the budget
// at once, so that most accounts have all their readings at the start.
func newHomesLimit(budget int) *rate.Limiter {
	return rate.NewLimiter(rate.Every(time.Hour/time.Duration(homesPerHour(budget))), max(1, budget/4))
}

// round returns how much time passes between two requests for the home of t, as
// one of all homes.
func (p *Poller) round(t *task) time.Duration {
	homes := 0
	for _, other := range p.tasks {
		if other.home != nil {
			homes++
		}
	}
	return max(p.usual(t), time.Hour*time.Duration(homes)/time.Duration(homesPerHour(p.cfg.PerHour)))
}

// listed processes the list of homes: each gets a task.
func (p *Poller) listed(x result) error {
	t := x.task
	if len(x.homes) == 0 {
		if err := p.doubt(t, mostEmpty); err != nil {
			return err
		}
	}
	present := map[record.Place]bool{t.place: true}
	for _, h := range x.homes {
		if !p.cfg.Allows("", h.ID) {
			continue
		}
		place := record.Place{Family: t.place.Family, Home: h.ID}
		present[place] = true
		home := p.tasks[place]
		if home == nil {
			home = p.add(place)
		}
		home.home = &h
		if home.why == naming {
			home.due = time.Now()
		}
	}
	for place, gone := range p.tasks {
		if place.Family == t.place.Family && !present[place] {
			p.cfg.Logger.Info("a home has left the account", "home", place.Home, "name", gone.home.Name)
			delete(p.tasks, place)
			p.stats.forget(place)
			p.record.Drop(place)
		}
	}
	if len(present) == 1 {
		err := nothing(len(x.homes))
		p.leaveOut(t, absent, err)
		return err
	}
	p.succeeded(t, 0, t.asked.Add(p.usual(t)))
	return nil
}

// stateOf processes the state of a home.
func (p *Poller) stateOf(x result) {
	t := x.task
	list := p.tasks[record.Place{Family: t.place.Family}]
	if t.why != naming && t.unnamed(x.answer.Readings) {
		t.why, t.due = naming, list.asked.Add(24*time.Hour)
		if list.why == onTime {
			list.due = time.Now()
		}
		return
	}
	if len(t.nameless) > netatmo.MostDevices { // ids that change all the time
		clear(t.nameless)
	}
	for _, r := range x.answer.Readings {
		if r.ModuleName == r.ModuleID {
			t.nameless[r.ModuleID] = true
		}
	}
	next := t.began.Add(p.usual(t))
	round := p.round(t)
	for i := range x.answer.Readings {
		x.answer.Readings[i].Round = round
	}
	if len(x.answer.Readings) > 0 || len(x.answer.Rejected) > 0 {
		p.record.Merge(t.place, x.answer)
		p.succeeded(t, 0, next)
		return
	}
	if t.doubts < mostEmpty { // it is requested again at the usual pace
		p.succeeded(t, t.doubts+1, next)
		return
	}
	p.record.Merge(t.place, x.answer)
	p.succeeded(t, t.doubts, t.asked.Add(max(homesEvery, p.usual(t))))
}

// unnamed reports whether a device that could have a name has none.
func (t *task) unnamed(readings []netatmo.Reading) bool {
	for _, r := range readings {
		if r.ModuleName == r.ModuleID && !t.nameless[r.ModuleID] {
			return true
		}
	}
	return false
}

// leaveOutHome sets a home aside.
func (p *Poller) leaveOutHome(t *task, reason why, err error) {
	if !t.leftOut {
		p.cfg.Logger.Warn("a home is left out: Netatmo does not report its state to this account; retrying occasionally", "home", t.place.Home, "name", t.home.Name, "error", err)
	}
	t.leftOut, t.denial = true, nil
	t.putAside(reason)
	p.record.Drop(t.place)
}

// settleScope decides why Netatmo denies homes for lack of a scope: if it answers
// for other homes, the denied ones are not shared in full; if for none, the login
// lacks the scope. It waits for answers that are under way.
func (p *Poller) settleScope(name netatmo.Family) {
	var denied []*task
	answers, failures := false, false
	for _, t := range p.tasks {
		switch {
		case t.home == nil, t.place.Family != name:
		case t.busy, t.asked.IsZero():
			return
		case t.denial != nil:
			denied = append(denied, t)
		default:
			answers = answers || t.why == onTime || t.why == doubted
			failures = failures || t.why == failing
		}
	}
	if len(denied) == 0 || failures && !answers {
		return
	}
	for _, t := range denied {
		if answers {
			p.leaveOutHome(t, noScope, t.denial)
			continue
		}
		list := p.tasks[record.Place{Family: name}]
		p.leaveOut(list, noScope, t.denial)
		p.stats.end(list.place, t.denial, true, list.due)
		t.putAside(noScope)
		p.stats.end(t.place, t.denial, true, t.due)
		t.denial = nil
	}
}
