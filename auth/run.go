package auth

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"time"

	"netatmo-agent/store"
)

const (
	watchEvery = 4 * time.Second // so that a login is adopted within 5 s
	maxPause   = time.Minute     // until a jump of the wall clock or a change of the file is noticed
	finishWait = 5 * time.Second // for the lock, at shutdown
)

// Run does the work that does not wait for a call of Token, until ctx ends: it
// renews a token that was expired at start, retries what failed, and reads the
// file every minute, or every 4 s while no access token works. After the end of
// ctx no renewal begins; Run waits for one under way, saves, and returns.
func (s *Source) Run(ctx context.Context) {
	s.locked(func(time.Time) { s.stopping = ctx.Done() })
	w := s.newWatch()
	for ctx.Err() == nil {
		timer := time.NewTimer(s.step(ctx, w))
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-s.poke:
		}
		timer.Stop()
	}
	s.finish(ctx)
}

// KeepSaving runs until the login is saved. It fails if ctx ends first.
func (s *Source) KeepSaving(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var saving sync.WaitGroup
	saving.Go(func() { s.Run(ctx) })
	defer saving.Wait()
	defer cancel()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for !s.isOnDisk() {
		select {
		case <-ctx.Done():
			return errors.New("the login could not be saved")
		case <-tick.C:
		}
	}
	return nil
}

// plan lists what is due now, and how long it takes until something else is.
type plan struct {
	refresh, save, look bool
	pause               time.Duration
}

func (s *Source) plan(w *watch) (p plan) {
	s.locked(func(now time.Time) {
		p.pause = maxPause
		due := func(at time.Time) bool {
			if at.After(now) {
				p.pause = min(p.pause, at.Sub(now))
			}
			return !at.After(now)
		}
		p.refresh = s.schedule.wanted && s.pair.Refresh != "" && due(s.schedule.next)
		p.save = s.stored == unsaved && due(s.saving.next)
		every := maxPause
		if s.told.waiting || !s.told.authorized {
			every = watchEvery
		}
		p.look = due(w.last.Add(every))
		if s.pair.alive(now) {
			p.pause = min(p.pause, s.pair.left(now))
		}
	})
	return p
}

// step does what is due, and returns how long it takes until something else is.
func (s *Source) step(ctx context.Context, w *watch) time.Duration {
	p := s.plan(w)
	if p.look {
		s.look(ctx, w)
		p = s.plan(w)
	}
	if p.refresh || p.save {
		s.catchUp(ctx, w)
	}
	return s.plan(w).pause
}

func (s *Source) catchUp(ctx context.Context, w *watch) {
	if s.take(ctx) != nil {
		return
	}
	defer s.release()
	switch p := s.plan(w); { // whoever had the turn before may have done it
	case p.refresh:
		_ = s.refresh(ctx) // failed has logged it
	case p.save:
		s.saveAgain(ctx)
	}
}

func (s *Source) saveAgain(ctx context.Context) {
	lock, err := s.lock(ctx)
	if err != nil {
		if ctx.Err() == nil {
			s.saved(s.current(), err)
		}
		return
	}
	defer s.unlock(lock)
	s.reload()
	if !s.isOnDisk() {
		_ = s.save() // saved has logged it
	}
}

// watch is what Run knows about the file from its last look.
type watch struct {
	last   time.Time
	damage string // as logged
	broken bool   // the file was missing or damaged
}

// newWatch returns a watch that does not log again what open has logged.
func (s *Source) newWatch() *watch {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lost != nil && s.lost.Cause == CauseDamaged {
		return &watch{damage: s.lost.Err.Error()}
	}
	return &watch{}
}

// look adopts a login that was put into the file, and repairs what another
// program has done to it.
func (s *Source) look(ctx context.Context, w *watch) {
	w.last = time.Now()
	d, err := s.file.Load()
	if damage, ok := errors.AsType[*store.CorruptError](err); ok && w.damage != damage.Error() {
		w.damage = damage.Error()
		s.log.Warn("the token file is now damaged", "file", s.cfg.TokenFile, "error", damage.Err)
		s.locked(func(time.Time) {
			if s.pair.empty() {
				s.lost = damagedError(damage)
			}
		})
	}
	s.mend(err, w)
	known := false
	s.locked(func(time.Time) { known = d.same(s.disk) })
	if err == nil && !known {
		s.Reread(ctx)
	}
}

// mend has the login saved again if the file was missing or damaged twice in a
// row: once could mean that a program is just writing it. err is what this look
// found.
func (s *Source) mend(err error, w *watch) {
	_, damaged := errors.AsType[*store.CorruptError](err)
	broken := damaged || errors.Is(err, fs.ErrNotExist)
	again := false
	if broken && w.broken {
		s.locked(func(now time.Time) {
			usable := s.lost == nil && (s.pair.Refresh != "" || s.pair.alive(now))
			if again = usable && s.stored == onDisk; again {
				s.stored = unsaved
			}
		})
	}
	w.broken = broken
	if again {
		s.log.Warn("another program removed or damaged the token file; saving the login again", "file", s.cfg.TokenFile, "error", err)
	}
}

// finish saves for the last time. If the pair is saved already, a failure is
// harmless.
func (s *Source) finish(ctx context.Context) {
	s.turn <- struct{}{} // a renewal under way has its own time limit
	defer s.release()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishWait)
	defer cancel()
	lock, err := store.LockWait(ctx, s.lockPath)
	if err == nil {
		defer s.unlock(lock)
		s.reload()
		if st := s.Status(); !st.LoggedOut() || st.Unsaved {
			err = s.prove()
		}
	}
	_, loadErr := s.file.Load() // any pair will do: another command may have renewed ours
	if !s.isOnDisk() || err != nil && loadErr != nil && !s.current().empty() {
		s.log.Error("the login could not be saved and ends with this process; log in again after the next start", "file", s.cfg.TokenFile, "error", err)
	}
}
