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

// lockTimeout is longer than another process needs for a refresh.
const lockTimeout = askTimeout + 15*time.Second

// refresh renews the access token. The caller holds the turn.
//
// At Netatmo a refresh is a write that cannot be undone: it makes a new pair and
// kills the old one, whether or not the answer arrives. So nobody else may be at
// it (token.lock), nobody may have done it already (reload), a save must work
// (prove), and then nothing stops it before the new pair is on the disk.
func (s *Source) refresh(ctx context.Context) error {
	defer s.wake()
	s.locked(func(time.Time) { s.renewal.wanted = true })
	if err := s.pace(ctx); err != nil {
		return err
	}
	lock, err := s.lock(ctx)
	if ctx.Err() != nil {
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
	s.locked(func(now time.Time) { s.renewal.last = now })
	d, err := s.ask(ctx, s.refreshGrant(token))
	if fault, ok := errors.AsType[*TokenError](err); ok {
		return s.failed(fault)
	}
	level := slog.LevelDebug
	if s.received(d, false) {
		level = slog.LevelInfo // after a fault
	}
	_ = s.save() // reported and tried again; the token is good all the same
	s.log.Log(ctx, level, "the access token is renewed", "expiry", d.Expiry)
	return nil
}

func (s *Source) refreshGrant(token string) func(context.Context) (*oauth2.Token, error) {
	return func(ctx context.Context) (*oauth2.Token, error) {
		return s.oauth.TokenSource(ctx, &oauth2.Token{RefreshToken: token}).Token()
	}
}

// due returns the refresh token if it has to be used now, else why not; neither
// if another process has done it.
func (s *Source) due() (token string, err error) {
	s.locked(func(now time.Time) {
		switch {
		case s.held.fresh(now):
			s.renewal.wanted = false
		case s.held.Refresh == "":
			err = s.need(now)
		case s.stopped():
			err = errStopping
		default:
			token = s.held.Refresh
		}
	})
	return token, err
}

// pace keeps two refreshes minGap apart.
func (s *Source) pace(ctx context.Context) error {
	s.mu.Lock()
	wait, stopping := time.Until(s.renewal.last.Add(minGap)), s.stopping
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
		s.log.Error("the token lock could not be freed; other commands wait until this process ends", "error", err)
	}
}

// failed counts and schedules what follows from a fault, says it once, and
// returns what Token answers.
func (s *Source) failed(e *TokenError) (answer error) {
	var level slog.Level
	var next, until time.Time
	var alive bool
	var unsaid *LoginError // given up, and locked will not tell
	s.locked(func(now time.Time) {
		alive, until = s.held.alive(now), s.held.until
		outcome, loud := Passing, slog.LevelWarn
		given, givenUp := s.lost != nil, false
		if final := s.giveUp(now, e); final != nil {
			outcome, loud = Final, slog.LevelError
			s.lost, s.renewal.next = final, now.Add(lostWait)
			givenUp = !given
			if givenUp && (alive || !s.seen.authorized) {
				unsaid = final
			}
		} else if e.Reason == "store" {
			outcome, loud = Blocked, slog.LevelError
		}
		s.refreshes[outcome]++
		answer, next = e, s.renewal.next
		if need := s.need(now); need != nil {
			answer = need
		}
		level = s.renewal.complaint.level(now, fmt.Sprint(outcome, e.Reason, alive), loud)
		if givenUp {
			level = slog.LevelDebug // the end of the login says more
		}
	})
	message := "the access token could not be renewed and is no longer good; until it is, nothing is read from Netatmo"
	if alive {
		message = "the access token could not be renewed; the old one is used until it expires"
	}
	s.log.Log(context.Background(), level, message, "reason", e.Reason, "error", e.Err, "next_try", next, "expiry", until)
	if unsaid != nil {
		s.log.Error("the login will not be renewed: "+unsaid.Error(), "cause", unsaid.Cause)
	}
	return answer
}

// giveUp returns what to say if the fault is final, else schedules the next try.
// The caller holds mu.
func (s *Source) giveUp(now time.Time, e *TokenError) *LoginError {
	switch e.Reason {
	case "invalid_grant":
		if s.renewal.refused(now, e) {
			return refusedError(s.renewal.lostAt, e)
		}
	case "invalid_client":
		return loginError(CauseApp, e)
	case "unauthorized_client":
		return loginError(CauseGrant, e)
	default:
		s.renewal.passing(now, e)
	}
	return nil
}

// mostSpent is how many used refresh tokens are remembered: those of a month.
const mostSpent = 250

// spend notes that the refresh token in memory was used up for another one,
// which is new. The caller holds mu.
func (s *Source) spend(by string) {
	s.spent = slices.DeleteFunc(s.spent, func(token string) bool { return token == by })
	if old := s.held.Refresh; old != "" && old != by {
		s.spent = append(s.spent, old)
	}
	if over := len(s.spent) - mostSpent; over > 0 {
		s.spent = slices.Delete(s.spent, 0, over)
	}
}

// received takes a pair from Netatmo into memory, and reports whether that ends
// a fault. Until save was tried the pair is given to nobody.
func (s *Source) received(d document, login bool) (recovered bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spend(d.Refresh)
	s.held = hold(d.succeeds(s.disk), time.Now())
	s.unsaved, s.settling, s.lost = true, true, nil
	recovered = s.renewal.complaint.over()
	s.renewal.succeeded()
	if login {
		s.missing, s.renewal.rejections = nil, 0
		return recovered
	}
	s.refreshes[OK]++
	return recovered
}
