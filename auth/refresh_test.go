package auth

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"netatmo-agent/auth/authtest"
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
			r.Error("renewed although no caller needs it")
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

// A single save that is forgotten loses the login at the next start.
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
			r.Errorf("a valid token requires no waiting: %v", err)
		}
	})
}

// While a fault is temporary, the old token is used as long as it is valid,
// retries become rarer, and one line is logged at the start and one at the end.
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
				if r.logged("WARN", "reason=") != 1 || r.logged("WARN", reason) != 1 || r.logged("INFO", "renewing the access token works again") != 1 {
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
		// The login opens at the first refusal, as no token works.
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
		// Even then it is retried now and then, because an outage may end.
		time.Sleep(10 * time.Hour)
		if n := r.asked() - len(doubts) - 1; n != 40 {
			r.Errorf("%d tries in the ten hours after", n)
		}
		if n := r.logged("ERROR", "") + r.logged("WARN", "renewing the access token failed"); n != 1 {
			r.Errorf("%d lines about it in ten hours:\n%s", n, r.logs)
		}
	})
}

func TestARefusalThatLastsForHoursCanEnd(t *testing.T) {
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
		r.wantLogged("INFO", "renewing the access token works again")
	})
}

func TestARefusalOfTheAppIsBelievedAfterTenMinutes(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		r.putPair(r.server.Grant(), 9*time.Minute)
		r.server.Inject(authtest.Fault{Kind: authtest.InvalidClient, Times: -1})
		s := r.open()
		defer r.run(s)()
		r.token(s) // the old one, which stays in use
		time.Sleep(9*time.Minute - time.Second)
		r.token(s)
		time.Sleep(time.Second)
		r.loginError(s, CauseApp) // in doubt, and no token works
		if p := s.Status().Problem; !strings.Contains(p, "retrying until") {
			r.Errorf("problem: %s", p)
		}
		time.Sleep(time.Minute + time.Second)
		r.loginError(s, CauseApp)
		if st := s.Status(); st.Refreshes[Final] != 1 || st.Refreshes[Passing] != int64(len(doubts)) {
			r.Errorf("refreshes %v", st.Refreshes)
		}
		r.wantLogged("ERROR", "NETATMO_CLIENT_SECRET")
		if !r.onDisk(r.server.Current()) {
			r.Error("the saved login was touched")
		}
		r.server.Heal()
		time.Sleep(15 * time.Minute)
		r.token(s)
	})
}

// A single odd answer changes nothing.
func TestASingleRefusalIsRetriedWithinAMinute(t *testing.T) {
	for _, kind := range []authtest.FaultKind{authtest.InvalidClient, authtest.InvalidGrant} {
		inBubble(t, authtest.Options{}, func(r *rig) {
			r.putPair(r.server.Grant(), 9*time.Minute)
			r.server.Inject(authtest.Fault{Kind: kind})
			s := r.open()
			defer r.run(s)()
			r.token(s)
			if st := s.Status(); !st.Authorized || st.Waiting {
				r.Errorf("status %+v", st)
			}
			time.Sleep(time.Minute)
			if n := r.asked(); n != 2 || !r.onDisk(r.server.Current()) {
				r.Errorf("%d requests", n)
			}
		})
	}
}

// Netatmo rotated the pair, and its answer was lost: the old token is tried
// again, since nobody can know, and the final message names this as the most
// likely cause.
func TestALostAnswerIsRetriedAndReported(t *testing.T) {
	for _, fault := range []authtest.Fault{
		{Kind: authtest.LostAnswer}, {Kind: authtest.Truncated}, {Kind: authtest.Slow, Delay: 100 * time.Second},
	} {
		inBubble(t, authtest.Options{}, func(r *rig) {
			r.putPair(r.server.Grant(), -time.Hour)
			r.server.Inject(fault)
			s := r.open()
			defer r.run(s)()
			time.Sleep(95 * time.Second)
			if n := r.logged("WARN", "renewing the access token failed"); n == 0 {
				r.Error("nothing was logged")
			}
			time.Sleep(11 * time.Minute)
			r.loginError(s, CauseRefused)
			if p := s.Status().Problem; !strings.Contains(p, "lost on the way") {
				r.Errorf("problem: %s", p)
			}
		})
	}
}

func TestTokensThatTheAPIKeepsRejectingAreRenewedAfterPauses(t *testing.T) {
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
