package poll

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/outage"
)

const (
	firstBackoff = 10 * time.Second // after a failed poll; it doubles
	asideFor     = 24 * time.Hour   // for a family that the account has not or may not read
)

var (
	errNothing  = errors.New("the account has none")
	errFiltered = errors.New("NETATMO_STATIONS leaves none")
	errRefused  = errors.New("Netatmo does not give the state of any home to this account")
)

// nothing is why a family has no device, of so many that the account has before
// NETATMO_STATIONS is applied.
func nothing(found int) error {
	if found > 0 {
		return errFiltered
	}
	return errNothing
}

// schedule polls one family and knows when to do it next.
type schedule interface {
	poll(ctx context.Context) error
	next() time.Time
	every() time.Duration // about the time between two polls
}

// family is one family of devices at work. Each has a loop of its own, so that
// none waits for another.
type family struct {
	p        *Poller
	name     netatmo.Family
	schedule schedule
	kick     chan struct{} // capacity 1: poll now
	outage   *outage.Log
	failures int    // polls that failed in a row
	aside    reason // empty: it is not aside
}

// reason is why a family is aside, which is to be polled rarely and to count as
// no fault.
type reason string

const (
	noScope  reason = "the login lacks its scope"
	noDevice reason = "the account has no such device"
)

func newFamily(p *Poller, name netatmo.Family) *family {
	f := &family{
		p: p, name: name,
		kick:   make(chan struct{}, 1),
		outage: outage.New(p.cfg.Logger.With("family", name), "polling"),
	}
	if name == netatmo.Energy {
		f.schedule = &heating{p: p, homes: map[string]*home{}}
	} else {
		f.schedule = &follower{p: p, name: name, stations: map[string]*station{}}
	}
	return f
}

// run polls until ctx ends.
func (f *family) run(ctx context.Context) {
	for f.awaitLogin(ctx) {
		begin := time.Now()
		f.p.stats.begin(f.name, begin)
		err := f.schedule.poll(ctx)
		if ctx.Err() != nil {
			return
		}
		next := f.judge(err)
		f.p.stats.end(f.name, err, f.aside != "" || doubts(err) > 0, next)
		f.sleep(ctx, next)
	}
}

// judge says what came of a poll and returns when the next one is due.
func (f *family) judge(err error) time.Time {
	class := classOf(err)
	switch {
	case doubts(err) > 0:
		f.p.cfg.Logger.Debug("an answer is not believed", "family", f.name, "error", err)
		return time.Now().Add(backoff(doubts(err), firstBackoff, f.schedule.every()))
	case err == nil:
		f.scope(true)
		f.outage.OK()
		f.failures, f.aside = 0, ""
		return f.schedule.next()
	case class == netatmo.ClassScope:
		f.scope(false)
		return f.putAside(noScope, err)
	case class == netatmo.ClassNotFound, errors.Is(err, errNothing), errors.Is(err, errFiltered), errors.Is(err, errRefused):
		f.scope(true)
		return f.putAside(noDevice, err)
	}
	f.failures++
	if class != netatmo.ClassLogin { // which has a log of its own
		f.outage.Failed(string(class), err)
	}
	return time.Now().Add(backoff(f.failures, firstBackoff, f.schedule.every()))
}

// scope tells that the family's scope is missing, or no longer is.
func (f *family) scope(granted bool) {
	if f.p.cfg.OnScope != nil && (!granted || f.aside == noScope) {
		f.p.cfg.OnScope(f.name, granted)
	}
}

// putAside leaves the family alone for a day, or until the login changes.
func (f *family) putAside(why reason, err error) time.Time {
	f.outage.OK()
	if f.aside != why {
		level := slog.LevelWarn
		if errors.Is(err, errFiltered) {
			level = slog.LevelInfo // as the user wants it
		}
		f.p.cfg.Logger.Log(context.Background(), level, "a device family is left out; it is tried again with every new access token, and once a day", "family", f.name, "reason", err)
	}
	f.failures, f.aside = 0, why
	return time.Now().Add(asideFor)
}

// awaitLogin waits until there is a login. It returns false when ctx ends.
func (f *family) awaitLogin(ctx context.Context) bool {
	for ctx.Err() == nil {
		changed := f.changed()
		if f.p.cfg.Authorized == nil || f.p.cfg.Authorized() {
			return true
		}
		f.p.stats.wait(f.name)
		select {
		case <-ctx.Done():
		case <-changed:
		}
	}
	return false
}

func (f *family) changed() <-chan struct{} {
	if f.p.cfg.Changed == nil {
		return nil
	}
	return f.p.cfg.Changed()
}

// sleep waits until next, a kick, the end of ctx, or, for a family that is
// aside or failed, a change of the login. A new access token, which comes every
// few hours, is such a change: it may have other scopes.
func (f *family) sleep(ctx context.Context, next time.Time) {
	var changed <-chan struct{}
	if f.aside != "" || f.failures > 0 {
		changed = f.changed()
	}
	timer := time.NewTimer(time.Until(next))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-f.kick:
	case <-changed:
	case <-timer.C:
	}
}

// backoff is the time to wait after the n-th failure in a row: it doubles from
// first up to most, a fifth more or less.
func backoff(n int, first, most time.Duration) time.Duration {
	d := max(first, min(first<<min(n-1, 16), most))
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64())) //nolint:gosec // to spread retries, not to hide anything
}
