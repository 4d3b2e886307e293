package auth

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"netatmo-agent/auth/authtest"
	"netatmo-agent/store"
)

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
		// Much later, the one that did not refresh adopts the other's new pair.
		time.Sleep(3*time.Hour - time.Minute)
		r.token(agent)
		r.token(command)
		if r.asked() != 2 {
			r.Errorf("%d refreshes", r.asked())
		}
	})
}

func TestWaitingForTheLockAtStartIsLogged(t *testing.T) {
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
				r.Errorf("logged %d times in %s:\n%s", said, wait, r.logs)
			}
		}
	})
}

func TestALockHeldForLongIsATemporaryFault(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		r.putPair(r.server.Grant(), 5*time.Minute)
		s := r.open()
		lock, err := store.TryLock(s.lockPath)
		if err != nil {
			r.Fatal(err)
		}
		r.token(s) // after a while, the old token
		r.wantLogged("ERROR", "held by process")
		if r.asked() != 0 || s.Status().Refreshes[Blocked] != 1 {
			r.Error("requested without the lock")
		}
		_ = lock.Unlock()
		time.Sleep(minRetry)
		r.token(s)
		if r.asked() != 1 {
			r.Error("not renewed after the lock was free")
		}
	})
}

// The caller may leave at the moment at which the lock becomes free. Which of
// the two comes first is random.
func TestACallerThatLeavesKeepsNoLock(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		for range 20 {
			r.putPair(r.server.Grant(), -time.Minute)
			s := r.open()
			held, err := store.TryLock(s.lockPath)
			if err != nil {
				r.Fatal(err)
			}
			const firstLook = 50 * time.Millisecond
			time.AfterFunc(firstLook-1, func() { _ = held.Unlock() })
			ctx, cancel := context.WithTimeout(r.Context(), firstLook)
			_, _ = s.Token(ctx)
			cancel()
			free, err := store.TryLock(s.lockPath)
			if err != nil {
				r.Fatal(err)
			}
			_ = free.Unlock()
		}
	})
}
