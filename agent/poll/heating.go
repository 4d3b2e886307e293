package poll

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"netatmo-agent/agent/netatmo"
)

const (
	statusEvery = 5 * time.Minute
	homesEvery  = time.Hour
)

// heating polls the energy family: the state of each home every few minutes,
// and their names every hour or when a device without one shows up.
type heating struct {
	p      *Poller
	homes  map[string]*home // by id
	asked  time.Time        // when the homes were asked for
	polled time.Time
	doubt  doubt

	filtered int             // homes that NETATMO_STATIONS leaves out
	changed  <-chan struct{} // closed since the login changed
}

// home is a home of the account.
type home struct {
	netatmo.Home
	refused  time.Time       // when Netatmo did not give its state, see homeRefused
	scope    bool            // it was for want of a scope
	said     bool            // that it is refused
	answered bool            // Netatmo has given its state
	empty    bool            // without energy devices when it was last asked about
	nameless map[string]bool // modules of which Netatmo has no name
	doubt    doubt
}

func (h *heating) next() time.Time { return h.polled.Add(h.every()) }

func (h *heating) every() time.Duration { return cmp.Or(h.p.cfg.Interval, statusEvery) }

func (h *heating) poll(ctx context.Context) error {
	defer func() { h.polled = time.Now() }()
	all := h.asked.IsZero() || time.Since(h.asked) >= homesEvery
	var failed error // the first of them
	if all {
		failed = h.askHomes(ctx)
	}
	h.pardon()
	done, answered := map[string]bool{}, false
	var denied []*home // for want of a scope
	var denial error
	for x := h.due(done, all); x != nil; x = h.due(done, all) {
		done[x.ID] = true
		err := h.askStatus(ctx, x)
		if classOf(err) == netatmo.ClassScope {
			denied, denial = append(denied, x), err
			continue
		}
		answered = answered || err == nil && x.answered
		failed = cmp.Or(failed, err)
		if hopeless(err) {
			break
		}
	}
	switch {
	case answered: // so it is not the login that lacks it
		for _, x := range denied {
			x.scope = true
			h.refuse(x, denial)
		}
	case failed == nil:
		failed = denial
	}
	switch {
	case failed != nil || h.any():
		return failed
	case len(h.homes) > 0:
		return errRefused
	}
	return nothing(h.filtered)
}

// due returns the first home that is to be asked about and not yet done, nil if
// there is none. The homes may change between two calls.
func (h *heating) due(done map[string]bool, all bool) *home {
	for _, id := range slices.Sorted(maps.Keys(h.homes)) {
		if x := h.homes[id]; !done[id] && time.Since(x.refused) >= refusal && (all || !x.empty) {
			return x
		}
	}
	return nil
}

// any reports whether a home is left to ask about.
func (h *heating) any() bool { return h.due(nil, true) != nil }

// pardon forgets what was refused for want of a scope once the login has
// changed, and everything if nothing else is left.
func (h *heating) pardon() {
	select {
	case <-h.changed:
		none := !h.any()
		for _, x := range h.homes {
			if x.scope || none {
				x.refused, x.scope = time.Time{}, false
			}
		}
		h.changed = nil
	default:
	}
	if h.changed == nil && h.p.cfg.Changed != nil {
		h.changed = h.p.cfg.Changed()
	}
}

// hopeless reports whether an error about one home holds for the others too.
func hopeless(err error) bool {
	switch classOf(err) {
	case netatmo.ClassLogin, netatmo.ClassQuota, netatmo.ClassCanceled:
		return true
	}
	return false
}

// refuse leaves a home alone for a day.
func (h *heating) refuse(x *home, err error) {
	if !x.said {
		h.p.cfg.Logger.Warn("a home is left out for a day: Netatmo does not give its state to this account", "home", x.ID, "name", x.Name, "error", err)
	}
	x.refused, x.said, x.answered = time.Now(), true, false
	h.p.drop(group{netatmo.Energy, x.ID})
}

func (h *heating) askHomes(ctx context.Context) error {
	found, err := h.p.src.Homes(ctx)
	if err != nil {
		return err
	}
	if !h.doubt.believes(len(found) == 0) {
		return doubtError(h.doubt)
	}
	h.asked = time.Now()
	old := h.homes
	h.homes = map[string]*home{}
	for _, x := range found {
		if !h.p.cfg.Allows("", x.ID) {
			continue
		}
		h.homes[x.ID] = &home{Home: x, nameless: map[string]bool{}}
		if before := old[x.ID]; before != nil {
			h.homes[x.ID] = before
			before.Home = x
		}
	}
	h.filtered = len(found) - len(h.homes)
	for id, x := range old {
		if h.homes[id] == nil {
			h.p.cfg.Logger.Info("a home has left the account", "home", id, "name", x.Name)
			h.p.drop(group{netatmo.Energy, id})
		}
	}
	return nil
}

// askStatus asks for the state of a home. Netatmo refuses homes that are only
// shared with the account; those are left alone.
func (h *heating) askStatus(ctx context.Context, x *home) error {
	answer, err := h.p.src.HomeStatus(ctx, x.Home)
	if err == nil && x.unknown(answer.Readings) {
		if err := h.askHomes(ctx); err != nil {
			return err
		}
		if h.homes[x.ID] == nil {
			return nil // it has left the account meanwhile
		}
		answer, err = h.p.src.HomeStatus(ctx, x.Home)
	}
	switch {
	case err == nil:
		x.answered, x.said = true, false
	case homeRefused(err) && x.answered && !x.doubt.believes(true):
		return cmp.Or(h.askHomes(ctx), error(doubtError(x.doubt))) // it may have left the account
	case homeRefused(err):
		h.refuse(x, err)
		return nil
	default:
		return err
	}
	for _, r := range answer.Readings {
		if r.ModuleName == r.ModuleID {
			x.nameless[r.ModuleID] = true
		}
	}
	empty := len(answer.Readings) == 0 && len(answer.Rejected) == 0
	if !x.doubt.believes(empty) {
		return nil // it is asked again at the usual pace
	}
	x.empty = empty
	h.p.merge(group{netatmo.Energy, x.ID}, answer)
	return nil
}

// unknown reports whether a module has no name that was not known to have none.
func (x *home) unknown(readings []netatmo.Reading) bool {
	for _, r := range readings {
		if r.ModuleName == r.ModuleID && !x.nameless[r.ModuleID] {
			return true
		}
	}
	return false
}
