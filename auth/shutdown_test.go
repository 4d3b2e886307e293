package auth

import (
	"context"
	"errors"
	"testing"
	"time"

	"netatmo-agent/auth/authtest"
	"netatmo-agent/store"
)

func TestAShutdownFinishesARefreshAndBeginsNone(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		r.putPair(r.server.Grant(), -time.Minute)
		r.server.Inject(authtest.Fault{Kind: authtest.Slow, Delay: 20 * time.Second})
		s := r.open()
		stop := r.run(s)
		time.Sleep(time.Second)
		start := time.Now()
		stop()
		if took := time.Since(start); took != 19*time.Second {
			r.Errorf("ended after %v", took)
		}
		r.wantLogged("WARN", "a second signal stops at once")
		if !r.onDisk(r.server.Current()) {
			r.Error("the new pair is not on the disk")
		}
		r.token(s) // still available for the last push
		time.Sleep(3 * time.Hour)
		if _, err := s.Token(r.Context()); err == nil || r.asked() != 1 {
			r.Errorf("%d refreshes, error %v", r.asked(), err)
		}
		if err := s.Exchange(r.Context(), "code"); err == nil {
			r.Error("a login begins after the shutdown")
		}
	})
}

// Waiting costs nothing, unless the process must stop.
func TestASlowAnswerIsAwaited(t *testing.T) {
	for name, row := range map[string]struct{ delay, stopAfter, ends time.Duration }{
		"a minute":               {time.Minute, 0, time.Minute},
		"as long, and then stop": {time.Minute, 40 * time.Second, time.Minute},
		"a stop at once":         {time.Minute, time.Second, time.Second + stopTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, authtest.Options{}, func(r *rig) {
				r.putPair(r.server.Grant(), -time.Minute)
				r.server.Inject(authtest.Fault{Kind: authtest.Slow, Delay: row.delay})
				s, start := r.open(), time.Now()
				stop := r.run(s)
				if row.stopAfter > 0 {
					time.Sleep(row.stopAfter)
					stop()
				} else {
					r.token(s)
					defer stop()
				}
				if took := time.Since(start); took != row.ends {
					r.Errorf("ended after %v, want %v", took, row.ends)
				}
				if saved := r.onDisk(r.server.Current()); saved != (row.ends == row.delay) {
					r.Errorf("the new pair is on the disk: %v", saved)
				}
			})
		})
	}
}

func TestAShutdownWaitsForTheRefreshOfACaller(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		r.putPair(r.server.Grant(), time.Minute)
		r.server.Inject(authtest.Fault{Kind: authtest.Slow, Delay: 20 * time.Second})
		s := r.open()
		stop := r.run(s)
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		go func() { _, _ = s.Token(ctx) }()
		time.Sleep(2 * time.Second)
		stop()
		r.wantLogged("WARN", "a second signal stops at once")
		if r.asked() != 1 || !r.onDisk(r.server.Current()) {
			r.Error("ended before the new pair was on the disk")
		}
	})
}

func TestACallerThatWaitsForTheLockAtAShutdownBeginsNoRefresh(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		r.putPair(r.server.Grant(), time.Hour)
		s := r.open()
		stop := r.run(s)
		access, _ := s.Token(r.Context())
		s.Reject(access)
		lock, err := store.TryLock(s.lockPath)
		if err != nil {
			r.Fatal(err)
		}
		time.AfterFunc(10*time.Second, func() { _ = lock.Unlock() })
		failed := make(chan error)
		go func() {
			_, err := s.Token(r.Context())
			failed <- err
		}()
		time.Sleep(time.Second)
		go stop()
		if err := <-failed; !errors.Is(err, errStopping) || r.asked() != 0 {
			r.Errorf("%d refreshes, error %v", r.asked(), err)
		}
	})
}

func TestAShutdownSavesWhatIsUnsaved(t *testing.T) {
	for _, works := range []bool{true, false} {
		inBubble(t, authtest.Options{}, func(r *rig) {
			p := r.server.Grant()
			r.putPair(p, -time.Minute)
			r.faults = &faultyFile{fails: func(d document) bool { return d.Refresh != p.Refresh }}
			s := r.open()
			stop := r.run(s)
			r.token(s)
			if works {
				r.faults.breaks(nil)
			}
			stop()
			if saved := r.onDisk(r.server.Current()); saved != works || s.Status().Unsaved == works {
				r.Errorf("works: %v, saved: %v, status %+v", works, saved, s.Status())
			}
			if !works {
				r.wantLogged("ERROR", "ends with this process")
			}
		})
	}
}

// The directory is no longer writable, but its content is right.
func TestAShutdownThatCannotSaveASavedLoginLogsNothing(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		r.putPair(r.server.Grant(), time.Hour)
		r.faults = &faultyFile{fails: always}
		s := r.open()
		stop := r.run(s)
		time.Sleep(time.Second)
		stop()
		if r.faults.attempts() == 0 || r.logged("ERROR", "") != 0 || s.Status().Unsaved || !r.onDisk(r.server.Current()) {
			r.Errorf("%d attempts to save, status %+v, lines:\n%s", r.faults.attempts(), s.Status(), r.logs)
		}
	})
}

// Another process that holds the lock at shutdown may have saved a newer pair
// than ours.
func TestAShutdownBesideAnotherCommandLogsNoError(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		r.putPair(r.server.Grant(), time.Hour)
		s := r.open()
		stop := r.run(s)
		time.Sleep(time.Second)
		lock, err := store.TryLock(s.lockPath)
		if err != nil {
			r.Fatal(err)
		}
		defer lock.Unlock() //nolint:errcheck // the test is over
		r.putPair(r.server.Grant(), time.Hour)
		stop()
		if r.logged("ERROR", "") != 0 {
			r.Error(r.logs.String())
		}
	})
}

// A stop does not wait for a login that itself waits for another process.
func TestAStopTurnsAWaitingLoginAway(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		s := r.open()
		stop := r.run(s)
		lock, err := store.TryLock(s.lockPath)
		if err != nil {
			r.Fatal(err)
		}
		defer lock.Unlock() //nolint:errcheck // the test is over
		login := make(chan error, 1)
		go func() { login <- s.Exchange(r.Context(), "code") }()
		time.Sleep(time.Second)
		start := time.Now()
		stop()
		if err := <-login; !errors.Is(err, errStopping) || time.Since(start) > finishWait {
			r.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}

// A command has no Run, but also gets the signal to stop.
func TestAStoppedCommandWaitsHalfAMinuteForAnAnswer(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		r.putPair(r.server.Grant(), -time.Minute)
		r.server.Inject(authtest.Fault{Kind: authtest.Slow, Delay: 80 * time.Second})
		ctx, cancel := context.WithCancel(r.Context())
		s, err := New(ctx, r.config())
		if err != nil {
			r.Fatal(err)
		}
		start := time.Now()
		time.AfterFunc(time.Second, cancel)
		if _, err := s.Token(ctx); err == nil || time.Since(start) != time.Second+stopTimeout {
			r.Errorf("after %v: %v", time.Since(start), err)
		}
		r.wantLogged("WARN", "a second signal stops at once")
	})
}

func TestAShutdownLeavesAnothersLoginAlone(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		r.putPair(r.server.Grant(), time.Hour)
		s := r.open()
		stop := r.run(s)
		time.Sleep(time.Second)
		r.putPair(r.server.Grant(), time.Hour) // as the login command does
		stop()
		if !r.onDisk(r.server.Current()) {
			r.Error("the new login was overwritten by the old one")
		}
	})
}
