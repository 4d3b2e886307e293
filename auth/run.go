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
	watchEvery = 4 * time.Second // so that a login is taken up within 5 s
	maxPause   = time.Minute     // after which a jump of the wall clock is seen, and what others do to the file
	finishWait = 5 * time.Second // for the lock, at the end
)

// watch is how Run looks at the file.
type watch struct {
	last   time.Time
	damage string // as it was last said
	broken bool   // at the last look it was missing or damaged
}

// Run does what cannot wait for a call of Token until ctx ends: it renews what
// was found expired at start, tries again what failed, and looks at the file
// every minute, every 5 s while a login is needed. From the end of ctx on no
// refresh begins; Run then waits for one that is under way, saves, and returns.
func (s *Source) Run(ctx context.Context) {
	s.locked(func(time.Time) { s.stopping = ctx.Done() })
	for ctx.Err() == nil {
		timer := time.NewTimer(s.step(ctx))
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-s.poke:
		}
		timer.Stop()
	}
	s.finish(ctx)
}

// KeepSaving does as Run does until the login is saved. It fails if ctx ends
// first.
func (s *Source) KeepSaving(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var saving sync.WaitGroup
	saving.Go(func() { s.Run(ctx) })
	defer saving.Wait()
	defer cancel()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for s.Status().Unsaved {
		select {
		case <-ctx.Done():
			return errors.New("the login could not be saved")
		case <-tick.C:
		}
	}
	return nil
}

// plan is what is due now, and when to look again.
type plan struct {
	refresh, save, look bool
	pause               time.Duration
}

func (s *Source) plan() (p plan) {
	s.locked(func(now time.Time) {
		p.pause = maxPause
		due := func(at time.Time) bool {
			if at.After(now) {
				p.pause = min(p.pause, at.Sub(now))
			}
			return !at.After(now)
		}
		p.refresh = s.renewal.wanted && s.held.Refresh != "" && due(s.renewal.next)
		p.save = s.unsaved && !s.settling && due(s.saving.next)
		every := maxPause
		if s.seen.waiting {
			every = watchEvery
		}
		p.look = due(s.watch.last.Add(every))
		if s.held.alive(now) {
			p.pause = min(p.pause, s.held.left(now))
		}
	})
	return p
}

// step does what is due and returns how long nothing else will be.
func (s *Source) step(ctx context.Context) time.Duration {
	p := s.plan()
	if p.look {
		s.look(ctx)
		p = s.plan()
	}
	if p.refresh || p.save {
		s.catchUp(ctx)
	}
	return s.plan().pause
}

func (s *Source) catchUp(ctx context.Context) {
	if s.take(ctx) != nil {
		return
	}
	defer s.release()
	switch p := s.plan(); { // the one before us may have done it
	case p.refresh:
		_ = s.refresh(ctx) // it has told
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
	if s.Status().Unsaved {
		_ = s.save() // it has told
	}
}

// look takes up a login that was put into the file, and puts right what another
// program has written there.
func (s *Source) look(ctx context.Context) {
	s.watch.last = time.Now()
	d, err := s.file.Load()
	if damage, ok := errors.AsType[*store.CorruptError](err); ok && s.watch.damage != damage.Error() {
		s.watch.damage = damage.Error()
		s.log.Warn("what was put into the token file cannot be understood", "file", s.cfg.TokenFile, "error", damage.Err)
		s.locked(func(time.Time) {
			if s.held.empty() {
				s.lost = damagedError(damage)
			}
		})
	}
	s.mend(err)
	known := false
	s.locked(func(time.Time) { known = d.same(s.disk) })
	if err != nil || known || s.take(ctx) != nil {
		return
	}
	defer s.release()
	lock, err := s.lock(ctx)
	if err != nil {
		return // whoever holds it may be saving a login just now; there is a next look
	}
	defer s.unlock(lock)
	s.reload()
}

// mend has the login saved again if its file is missing or damaged at two looks
// in a row, so that nobody is just writing it; err is what the last one found.
func (s *Source) mend(err error) {
	_, damaged := errors.AsType[*store.CorruptError](err)
	broken := damaged || errors.Is(err, fs.ErrNotExist)
	again := false
	if broken && s.watch.broken {
		s.locked(func(now time.Time) {
			again = s.need(now) == nil && !s.unsaved
			s.unsaved = s.unsaved || again
		})
	}
	s.watch.broken = broken
	if again {
		s.log.Warn("the token file was removed or damaged by another program; the login is saved again", "file", s.cfg.TokenFile, "error", err)
	}
}

// finish saves for the last time. Where all is saved, a failure costs nothing.
func (s *Source) finish(ctx context.Context) {
	s.turn <- struct{}{} // a refresh under way is bounded by its own timeout
	defer s.release()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishWait)
	defer cancel()
	lock, err := store.LockWait(ctx, s.lockPath)
	if err == nil {
		defer s.unlock(lock)
		s.reload()
		if st := s.Status(); st.Authorized || st.Unsaved {
			err = s.prove()
		}
	}
	_, loadErr := s.file.Load() // whose pair it is does not matter: another command may have renewed ours
	if s.Status().Unsaved || err != nil && loadErr != nil && !s.current().empty() {
		s.log.Error("the login could not be saved and ends with this process; log in again at the next start", "file", s.cfg.TokenFile, "error", err)
	}
}
