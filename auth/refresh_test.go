package auth

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"netatmo-agent/auth/authtest"
	"netatmo-agent/store"
)

func TestATokenIsRenewedWhenItIsNextNeeded(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		r.putPair(r.server.Grant(), 3*time.Hour)
		s := r.open()
		defer r.run(s)()
		time.Sleep(3*time.Hour - 10*time.Minute - time.Second)
		r.token(s)
		if r.asked() != 0 {
			r.Error("renewed too early")
		}
		time.Sleep(6 * time.Minute)
		if r.asked() != 0 {
			r.Error("renewed although nobody needs it")
		}
		r.token(s)
		r.token(s)
		if r.asked() != 1 || !r.onDisk(r.server.Current()) {
			r.Errorf("%d refreshes", r.asked())
		}
		if st := s.Status(); st.Refreshes[OK] != 1 || st.Unsaved || !st.Expiry.Equal(time.Now().Add(3*time.Hour)) {
			r.Errorf("status %+v", st)
		}
	})
}

// Forgotten once, a save costs the login at the next start.
func TestEveryNewPairIsSaved(t *testing.T) {
	const renewals = 300
	inBubble(t, authtest.Options{}, func(r *rig) {
		r.putPair(r.server.Grant(), 3*time.Hour)
		s := r.open()
		for n := range renewals {
			time.Sleep(3 * time.Hour)
			r.token(s)
			if !r.onDisk(r.server.Current()) {
				r.Fatalf("the pair of renewal %d is not on the disk", n+1)
			}
		}
		if r.asked() != renewals {
			r.Errorf("%d refreshes", r.asked())
		}
	})
}

func TestManyCallersShareOneRefresh(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		r.server.Inject(authtest.Fault{Kind: authtest.Slow, Delay: 20 * time.Second})
		r.putPair(r.server.Grant(), -time.Hour)
		s := r.open()
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() { r.token(s) })
		}
		ctx, cancel := context.WithTimeout(r.Context(), 15*time.Second)
		defer cancel()
		time.Sleep(10 * time.Second)
		if _, err := s.Token(ctx); !errors.Is(err, context.DeadlineExceeded) {
			r.Errorf("waiting for another's refresh cannot be cancelled: %v", err)
		}
		all.Wait()
		if r.asked() != 1 {
			r.Errorf("%d refreshes", r.asked())
		}
	})
}

func TestTwoRefreshesAreTwoSecondsApart(t *testing.T) {
	inBubble(t, authtest.Options{TokenLife: time.Second}, func(r *rig) {
		r.putPair(r.server.Grant(), -time.Hour)
		s := r.open()
		start := time.Now()
		for range 4 {
			r.token(s)
			time.Sleep(time.Second)
		}
		if took := time.Since(start); took < 7*time.Second || r.asked() != 4 {
			r.Errorf("%d refreshes in %v", r.asked(), took)
		}
	})
}

func TestARefreshUnderWayIsNotCancelledWithItsCaller(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		r.server.Inject(authtest.Fault{Kind: authtest.Slow, Delay: 20 * time.Second})
		r.putPair(r.server.Grant(), -time.Hour)
		s := r.open()
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		if access, err := s.Token(ctx); err != nil || !r.server.Check(access).Valid {
			r.Errorf("%v", err)
		}
		if !r.onDisk(r.server.Current()) {
			r.Error("the new pair is not on the disk")
		}
		if _, err := s.Token(ctx); err != nil {
			r.Errorf("a token that is there needs no waiting: %v", err)
		}
	})
}

// Faults that pass: the old token is used while it lives, tries get rarer, and
// one line is logged at the beginning and one at the end.
func TestPassingFaults(t *testing.T) {
	kinds := map[authtest.FaultKind]string{
		authtest.Refuse: "http 403", authtest.HTML403: "http 403", authtest.HTML429: "http 429", authtest.HTML500: "http 500",
		authtest.HTML502: "http 502", authtest.HTML503: "http 503", authtest.HTML504: "http 504", authtest.HangUp: "network",
		authtest.InvalidRequest: "invalid_request", authtest.TooManyConnections: "too_many_connections", authtest.InvalidGrant: "invalid_grant",
	}
	for kind, reason := range kinds {
		t.Run(reason, func(t *testing.T) {
			inBubble(t, authtest.Options{}, func(r *rig) {
				r.putPair(r.server.Grant(), 9*time.Minute)
				r.server.Inject(authtest.Fault{Kind: kind, Times: 3})
				s := r.open()
				defer r.run(s)()
				for range 8 * 60 {
					r.token(s)
					time.Sleep(time.Second)
				}
				if st := s.Status(); st.Refreshes[Passing] != 3 || st.Refreshes[OK] != 1 || st.Refreshes[Final] != 0 {
					r.Errorf("refreshes %v", st.Refreshes)
				}
				if r.logged("WARN", "reason=") != 1 || r.logged("WARN", reason) != 1 || r.logged("INFO", "renewed") != 1 {
					r.Errorf("lines:\n%s", r.logs)
				}
			})
		})
	}
}

func TestAnOutageOverTheExpiryIsSurvived(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		r.putPair(r.server.Grant(), 5*time.Minute)
		r.server.Inject(authtest.Fault{Kind: authtest.HTML503, Times: -1})
		s := r.open()
		defer r.run(s)()
		r.token(s)
		time.Sleep(12 * time.Hour)
		_, err := s.Token(r.Context())
		fault, ok := errors.AsType[*TokenError](err)
		if !ok || fault.Reason != "http 503" || !fault.Retry.After(time.Now()) || !strings.Contains(err.Error(), "503") {
			r.Errorf("Token: %v", err)
		}
		if st := s.Status(); !st.Authorized || st.Waiting {
			r.Errorf("an outage counts as a lost login: %+v", st)
		}
		if n := r.asked(); n < 50 || n > 90 {
			r.Errorf("%d tries in 12 hours", n)
		}
		if n := r.logged("WARN", "503"); n < 10 || n > 14 {
			r.Errorf("%d lines in 12 hours, want one an hour", n)
		}
		r.server.Heal()
		time.Sleep(maxRetry)
		r.token(s) // Run has renewed it
		if st := s.Status(); st.Refreshes[OK] != 1 {
			r.Errorf("refreshes %v", st.Refreshes)
		}
	})
}

func TestInvalidGrantIsBelievedAfterTenMinutes(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		r.putPair(r.server.Grant(), -time.Hour)
		r.server.Revoke()
		s := r.open()
		defer r.run(s)()
		time.Sleep(time.Second)
		// The login is open from the first refusal on, as no token works.
		r.loginError(s, CauseDoubt)
		time.Sleep(10*time.Minute - 2*time.Second)
		r.loginError(s, CauseDoubt)
		if n := r.asked(); n != len(doubts) {
			r.Errorf("%d tries before the last", n)
		}
		time.Sleep(2 * time.Second)
		r.loginError(s, CauseRefused)
		problem := s.Status().Problem
		for _, hint := range []string{"another program", "dev.netatmo.com", "permission", "Log in again"} {
			if !strings.Contains(problem, hint) {
				r.Errorf("no %q in: %s", hint, problem)
			}
		}
		if st := s.Status(); st.Refreshes[Passing] != int64(len(doubts)) || st.Refreshes[Final] != 1 {
			r.Errorf("refreshes %v", st.Refreshes)
		}
		r.wantLogged("ERROR", "another program")
		// Even then it is tried now and then: bad days of the server have an end.
		time.Sleep(10 * time.Hour)
		if n := r.asked() - len(doubts) - 1; n < 9 || n > 10 {
			r.Errorf("%d tries in the ten hours after", n)
		}
		if n := r.logged("ERROR", "will not be renewed") + r.logged("ERROR", "is lost"); n != 2 {
			r.Errorf("%d lines of it in ten hours:\n%s", n, r.logs)
		}
	})
}

func TestARefusalThatLastsForHoursHealsByItself(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		r.putPair(r.server.Grant(), -time.Hour)
		r.server.Inject(authtest.Fault{Kind: authtest.InvalidGrant, Times: -1})
		s := r.open()
		defer r.run(s)()
		time.Sleep(3 * time.Hour)
		r.loginError(s, CauseRefused)
		changed := s.Changed()
		r.server.Heal()
		time.Sleep(time.Hour)
		<-changed
		r.token(s)
		r.wantLogged("INFO", "logged in to Netatmo")
	})
}

func TestFinalCausesAreBelievedAtOnce(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		r.putPair(r.server.Grant(), 5*time.Minute)
		r.server.Inject(authtest.Fault{Kind: authtest.InvalidClient})
		s := r.open()
		defer r.run(s)()
		r.token(s) // the old one, which goes on being used
		if st := s.Status(); !st.Authorized || st.Refreshes[Final] != 1 {
			r.Errorf("status %+v", st)
		}
		r.wantLogged("ERROR", "NETATMO_CLIENT_SECRET")
		time.Sleep(5 * time.Minute)
		r.loginError(s, CauseApp)
		if !r.onDisk(r.server.Current()) {
			r.Error("the saved login was touched")
		}
		if n := r.asked(); n != 1 {
			r.Errorf("%d tries", n)
		}
	})
}

// Netatmo rotated, and its answer was lost: the old token is tried again, since
// nobody can know, and the sentence in the end names this as the likeliest cause.
func TestALostAnswerIsTriedAgainAndNamed(t *testing.T) {
	for _, fault := range []authtest.Fault{
		{Kind: authtest.LostAnswer}, {Kind: authtest.Truncated}, {Kind: authtest.Slow, Delay: 100 * time.Second},
	} {
		inBubble(t, authtest.Options{}, func(r *rig) {
			r.putPair(r.server.Grant(), -time.Hour)
			r.server.Inject(fault)
			s := r.open()
			defer r.run(s)()
			time.Sleep(95 * time.Second)
			if n := r.logged("WARN", "could not be renewed"); n == 0 {
				r.Error("nothing was said")
			}
			time.Sleep(11 * time.Minute)
			r.loginError(s, CauseRefused)
			if p := s.Status().Problem; !strings.Contains(p, "lost on the way") {
				r.Errorf("problem: %s", p)
			}
		})
	}
}

func TestTokensThatTheAPIRejectsAtOnceAreNotRenewedForEver(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		r.putPair(r.server.Grant(), time.Hour)
		s := r.open()
		for range 60 * 60 {
			if access, err := s.Token(r.Context()); err == nil {
				s.Reject(access)
			}
			time.Sleep(time.Second)
		}
		if n := r.asked(); n > 15 {
			r.Errorf("%d refreshes in an hour", n)
		}
		time.Sleep(maxRetry)
		r.token(s)
	})
}

func TestNetatmoMayKeepTheRefreshToken(t *testing.T) {
	inBubble(t, authtest.Options{NoRotation: true}, func(r *rig) {
		p := r.server.Grant()
		r.putPair(p, -time.Minute)
		s := r.open()
		r.token(s)
		if r.disk().Refresh != p.Refresh || !r.disk().Expiry.After(time.Now()) {
			r.Errorf("on the disk: expiry %v", r.disk().Expiry)
		}
	})
}

func TestTwoProcessesNeverRefreshOnePairTwice(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		r.server.Inject(authtest.Fault{Kind: authtest.Slow, Delay: 10 * time.Second})
		r.putPair(r.server.Grant(), time.Minute)
		agent, target := r.open(), r.path
		r.path = filepath.Join(r.TempDir(), "link.json") // the same file
		if err := os.Symlink(target, r.path); err != nil {
			r.Fatal(err)
		}
		command := r.open()
		defer r.run(agent)()
		var both sync.WaitGroup
		for _, s := range []*Source{agent, command} {
			both.Go(func() { r.token(s) })
		}
		both.Wait()
		if r.asked() != 1 {
			r.Errorf("%d refreshes", r.asked())
		}
		// And much later, the one that did not refresh takes up what the other did.
		time.Sleep(3*time.Hour - time.Minute)
		r.token(agent)
		r.token(command)
		if r.asked() != 2 {
			r.Errorf("%d refreshes", r.asked())
		}
	})
}

func TestWaitingForTheLockAtStartIsSaid(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		r.putPair(r.server.Grant(), time.Hour)
		for _, wait := range []time.Duration{500 * time.Millisecond, 10 * time.Second} {
			lock, err := store.TryLock(r.open().lockPath)
			if err != nil {
				r.Fatal(err)
			}
			time.AfterFunc(wait, func() { _ = lock.Unlock() })
			r.open()
			if said := r.logged("WARN", "waiting for the token file"); said == 1 != (wait > time.Second) {
				r.Errorf("said %d times in %s:\n%s", said, wait, r.logs)
			}
		}
	})
}

func TestALockThatIsHeldForLongIsAFaultThatPasses(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		r.putPair(r.server.Grant(), 5*time.Minute)
		s := r.open()
		lock, err := store.TryLock(s.lockPath)
		if err != nil {
			r.Fatal(err)
		}
		r.token(s) // after a while, the old one
		r.wantLogged("ERROR", "held by process")
		if r.asked() != 0 || s.Status().Refreshes[Blocked] != 1 {
			r.Error("asked without the lock")
		}
		_ = lock.Unlock()
		time.Sleep(minRetry)
		r.token(s)
		if r.asked() != 1 {
			r.Error("not renewed after the lock was free")
		}
	})
}
