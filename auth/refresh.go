package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/oauth2"

	"netatmo-agent/store"
)

// lockTimeout is longer than another process needs for a renewal.
const lockTimeout = askTimeout + 15*time.Second

// refresh renews the access token. The caller holds the turn.
//
// At Netatmo a refresh is a write that cannot be undone: it makes a new pair
// and invalidates the old one, whether or not the answer arrives. So before the
// request, refresh makes sure that no other process is doing it (token.lock) or
// has done it (reload), and that a save works (prove). After that, nothing
// stops it until the new pair is on the disk.
func (s *Source) refresh(ctx context.Context) error {
	defer s.wake()
	s.locked(func(time.Time) { s.schedule.wanted = true })
	if err := s.pace(ctx); err != nil {
		return err
	}
	lock, err := s.lock(ctx)
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return s.failed(&TokenError{Reason: "store", Err: err})
	}
	defer s.unlock(lock)
	s.reload()
	token, err := s.due()
	if token == "" {
		return err
	}
	if err := s.prove(); err != nil {
		return s.failed(&TokenError{Reason: "store", Err: err})
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	s.locked(func(now time.Time) { s.schedule.last = now })
	d, err := s.ask(ctx, s.refreshGrant(token))
	if fault, ok := errors.AsType[*TokenError](err); ok {
		return s.failed(fault)
	}
	s.received(d, false)
	_ = s.save() // logged and retried; the token works all the same
	if d.Access == "" {
		return s.failed(&TokenError{Reason: "malformed", Err: errors.New("Netatmo sent a new refresh token without a usable access token")})
	}
	s.schedule.log.OK()
	s.log.Debug("renewed the access token", "expiry", d.Expiry)
	return nil
}

func (s *Source) refreshGrant(token string) func(context.Context) (*oauth2.Token, error) {
	return func(ctx context.Context) (*oauth2.Token, error) {
		return s.oauth.TokenSource(ctx, &oauth2.Token{RefreshToken: token}).Token()
	}
}

// due returns the refresh token if it has to be used now, or else the reason why
// not. It returns neither if another process has renewed the access token.
func (s *Source) due() (token string, err error) {
	s.locked(func(now time.Time) {
		switch {
		case s.pair.fresh(now):
			s.schedule.wanted = false
		case s.pair.Refresh == "":
			err = s.need(now)
		case s.stopped():
			err = errStopping
		default:
			token = s.pair.Refresh
		}
	})
	return token, err
}

// pace keeps two renewals minGap apart.
func (s *Source) pace(ctx context.Context) error {
	s.mu.Lock()
	wait, stopping := time.Until(s.schedule.last.Add(minGap)), s.stopping
	s.mu.Unlock()
	if wait <= 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-stopping:
		return errStopping
	}
}

func (s *Source) lock(ctx context.Context) (*store.Lock, error) {
	ctx, cancel := context.WithTimeout(ctx, lockTimeout)
	defer cancel()
	return store.LockWait(ctx, s.lockPath)
}

func (s *Source) unlock(lock *store.Lock) {
	if err := lock.Unlock(); err != nil {
		s.log.Error("could not release token.lock; other commands wait until this process ends", "error", err)
	}
}

// failed counts and logs a fault, schedules the next try, and returns what Token
// answers. The caller holds the turn.
func (s *Source) failed(e *TokenError) (answer error) {
	outcome, level := Passing, slog.LevelWarn
	var until time.Time
	var alive bool
	var final *LoginError // believed just now
	s.locked(func(now time.Time) {
		alive, until = s.pair.alive(now), s.pair.until
		if lost := s.giveUp(now, e); lost != nil {
			outcome, level = Final, slog.LevelDebug
			if s.lost == nil {
				final = lost
			}
			s.lost = lost
		} else if e.Reason == "store" {
			outcome, level = Blocked, slog.LevelError
		}
		s.counts[outcome]++
		answer = e
		if need := s.need(now); need != nil {
			answer = need
			if e.refusal { // whoever waits for Changed says why a login is needed
				level = slog.LevelDebug
			}
		}
	})
	effect := "the current access token is used until it expires"
	if !alive {
		effect = "nothing is read from Netatmo until a renewal succeeds"
	}
	s.schedule.log.FailedAt(level, fmt.Sprint(e.Reason, alive), e.Err, "reason", e.Reason, "effect", effect, "next_try", e.Retry, "expiry", until)
	if final != nil {
		s.log.Error("the login cannot be renewed: "+final.Error(), "cause", final.Cause)
	}
	return answer
}

// giveUp schedules the next try, and returns the error to report if the fault
// is final. The caller holds mu.
func (s *Source) giveUp(now time.Time, e *TokenError) *LoginError {
	if _, refused := refusals[e.Reason]; !refused {
		s.schedule.passing(now, e)
		return nil
	}
	if !s.schedule.refused(now, e) {
		return nil
	}
	return refusedError(e, s.schedule.lostAt)
}

// received takes a pair from Netatmo into memory. Nobody gets it before the
// first attempt to save it. The caller holds the turn.
func (s *Source) received(d document, login bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spend(d.Refresh)
	s.pair = newPair(d.succeeds(s.disk), time.Now())
	s.stored, s.lost = arrived, nil
	if login {
		s.missing, s.schedule.rejections = nil, 0
	}
	if d.Access == "" { // it has to be renewed, and that may fail again
		s.schedule.wanted = true
		return
	}
	s.schedule.succeeded()
	if !login {
		s.counts[OK]++
	}
}

// mostSpent is how many used refresh tokens are remembered: those of a month.
const mostSpent = 250

// spend notes that the refresh token in memory was used to get the one that
// replaces it. The caller holds mu.
func (s *Source) spend(replacement string) {
	s.spent = slices.DeleteFunc(s.spent, func(token string) bool { return token == replacement })
	if old := s.pair.Refresh; old != "" && old != replacement {
		s.spent = append(s.spent, old)
	}
	if over := len(s.spent) - mostSpent; over > 0 {
		s.spent = slices.Delete(s.spent, 0, over)
	}
}
