package poll

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/outage"
	"netatmo-agent/agent/record"
)

const (
	firstRetry = 10 * time.Second // after a failure; it doubles
	aside      = 24 * time.Hour   // for what the account does not have or may not read
	asideOnce  = 15 * time.Minute // the same, if it could be read before

	// How many answers in a row are doubted, because Netatmo also gives them during
	// short outages: answers without any known device for five minutes, refusals of
	// what it answered before for 15 minutes.
	mostEmpty    = 5
	mostRefusals = 7
)

// task is one thing to request from Netatmo repeatedly: a family of stations,
// the list of homes, or the state of a home.
type task struct {
	place    record.Place
	due      time.Time
	why      why       // reason for due
	busy     bool      // its request is under way
	login    uint64    // of the last request
	began    time.Time // the last request
	asked    time.Time // when it was answered
	answered bool      // at least once
	doubts   int       // answers in a row that were doubted
	failures int       // in a row

	home     *netatmo.Home   // only for the state of a home
	nameless map[string]bool // devices without a name at Netatmo
	leftOut  bool            // and the log says so
	denial   error           // of the home, until it is clear whether the login is the cause
	stations map[string]*station
	some     time.Time // when the family last had a station
}

// why is the reason for a task's due time.
type why string

const (
	onTime  why = ""
	failing why = "the last request failed"
	doubted why = "the last answer is not believed"
	noScope why = "the login lacks its scope"
	absent  why = "the account has no such device"
	naming  why = "a device has no name yet: the list of homes comes first"
)

// homes reports whether t is the list of homes.
func (t *task) homes() bool { return t.place.Family.InHomes() && t.home == nil }

func (p *Poller) add(place record.Place) *task {
	t := &task{place: place, nameless: map[string]bool{}, stations: map[string]*station{}}
	p.tasks[place] = t
	return t
}

// family is what the tasks of a family of devices have in common.
type family struct {
	log     *slog.Logger
	outage  *outage.Log
	answers bool // one of its tasks got an answer
	aside   why  // as reported to the log and OnScope
}

func newFamily(name netatmo.Family, logger *slog.Logger) *family {
	log := logger.With("family", name)
	return &family{log: log, outage: outage.New(log, "polling")}
}

// usual returns about how much time passes between two requests for t.
func (p *Poller) usual(t *task) time.Duration {
	switch {
	case t.homes():
		return max(homesEvery, p.cfg.Interval)
	case p.cfg.Interval > 0:
		return p.cfg.Interval
	case t.home != nil:
		return statusEvery
	}
	return t.quickest(longest)
}

// succeeded notes an answer about t, after so many in a row that are or were
// doubted. t is due again at next.
func (p *Poller) succeeded(t *task, doubts int, next time.Time) {
	t.due, t.why, t.doubts, t.failures, t.denial, t.answered = next, onTime, doubts, 0, nil, true
	f := p.families[t.place.Family]
	if !t.homes() { // every login may request the list
		if f.aside == noScope {
			p.cfg.OnScope(t.place.Family, true)
		}
		t.leftOut, f.answers, f.aside = false, true, onTime
	}
	for _, other := range p.tasks {
		if other.place.Family == t.place.Family && other.why == failing {
			return
		}
	}
	f.outage.OK()
}

// doubt returns an error if an empty answer or a refusal is still doubtful, and
// then schedules another request.
func (p *Poller) doubt(t *task, most int) error {
	if t.doubts >= most {
		return nil
	}
	t.doubts++
	t.why, t.due = doubted, time.Now().Add(outage.Backoff(t.doubts, firstRetry, p.usual(t)))
	err := fmt.Errorf("Netatmo's answer is doubtful (%d in a row); asking again", t.doubts)
	p.cfg.Logger.Debug(err.Error(), "family", t.place.Family, "home", t.place.Home)
	return err
}

// failed handles a request's error.
func (p *Poller) failed(x result) {
	t := x.task
	meaning := netatmo.MeaningOf(x.err)
	if meaning == netatmo.Failed || meaning == netatmo.Hopeless {
		t.failures++
		t.why, t.due = failing, time.Now().Add(outage.Backoff(t.failures, firstRetry, p.usual(t)))
		if class := netatmo.ClassOf(x.err); class != netatmo.ClassLogin { // package auth logs those
			p.families[t.place.Family].outage.Failed(string(class), x.err)
		}
		return
	}
	if t.answered && p.doubt(t, mostRefusals) != nil {
		if t.home != nil && t.doubts == 1 { // it may have left the account
			p.tasks[record.Place{Family: t.place.Family}].due = time.Now()
		}
		return
	}
	switch {
	case t.home != nil && meaning == netatmo.NoScope:
		t.denial = x.err
		t.why, t.due = onTime, t.asked.Add(p.usual(t))
	case t.home != nil:
		p.leaveOutHome(t, absent, x.err)
	case meaning == netatmo.NoScope:
		p.leaveOut(t, noScope, x.err)
	default:
		p.leaveOut(t, absent, x.err)
	}
}

var (
	errNothing  = errors.New("the account has none")
	errFiltered = errors.New("NETATMO_STATIONS excludes them all")
)

// nothing returns why a family has no device. found counts its devices before
// NETATMO_STATIONS is applied.
func nothing(found int) error {
	if found > 0 {
		return errFiltered
	}
	return errNothing
}

// putAside pauses t for a day, or for a short time if it could be read before. A
// new login ends the pause if it may help, see isDue.
func (t *task) putAside(reason why) {
	pause := aside
	if t.answered && t.doubts >= mostRefusals {
		pause = asideOnce
	}
	t.why, t.due, t.failures = reason, time.Now().Add(pause), 0
}

// leaveOut sets a whole family aside.
func (p *Poller) leaveOut(t *task, reason why, err error) {
	f := p.families[t.place.Family]
	t.putAside(reason)
	f.outage.OK()
	if reason == noScope || f.aside == noScope {
		p.cfg.OnScope(t.place.Family, reason != noScope)
	}
	if f.aside == reason {
		return
	}
	level := slog.LevelWarn
	if errors.Is(err, errFiltered) {
		level = slog.LevelInfo // as the user wants it
	}
	f.log.Log(context.Background(), level, "a device family is left out; it is tried again with every new access token, and at least once a day", "reason", err)
	f.aside, f.answers = reason, false
}
