package netatmo_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"netatmo-agent/agent/netatmo"
)

// pass lets n requests through g and returns when each was admitted.
func pass(t *testing.T, g *netatmo.Gate, p netatmo.Priority, n int) []time.Duration {
	t.Helper()
	start := time.Now()
	var at []time.Duration
	for range n {
		if err := g.Wait(t.Context(), p); err != nil {
			t.Error(err)
			return at
		}
		at = append(at, time.Since(start))
	}
	return at
}

func near(a, b time.Duration) bool { return (a - b).Abs() < time.Millisecond }

func TestBurstThenSpacing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := pass(t, netatmo.NewGate(400), netatmo.Live, 25)
		for i, got := range at {
			if want := time.Duration(max(0, i-19)) * 5 * time.Second; !near(got, want) {
				t.Errorf("request %d after %s, want %s", i+1, got, want)
			}
		}
	})
}

// TestHour: no hour has more requests than allowed, over a day of requests
// without pause.
func TestHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const perHour = 100
		g := netatmo.NewGate(perHour)
		at := pass(t, g, netatmo.Live, 24*perHour)
		for i := perHour; i < len(at); i++ {
			if d := at[i] - at[i-perHour]; d < time.Hour {
				t.Fatalf("requests %d to %d within %s", i-perHour+1, i+1, d)
			}
		}
		if last := at[len(at)-1]; last > 24*time.Hour {
			t.Errorf("took %s, the limit is not used", last)
		}
		if g.Remaining() != 0 {
			t.Errorf("%d remain", g.Remaining())
		}
		time.Sleep(time.Hour)
		if g.Remaining() != perHour {
			t.Errorf("%d remain after an hour of rest", g.Remaining())
		}
	})
}

// TestHistoryLeavesRoom: history takes three quarters of the hour; live
// requests get the rest at once.
func TestHistoryLeavesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := netatmo.NewGate(40)
		at := pass(t, g, netatmo.History, 31)
		if at[29] > 5*time.Minute || at[30] < time.Hour {
			t.Errorf("request 30 after %s, request 31 after %s", at[29], at[30])
		}
		g = netatmo.NewGate(40)
		pass(t, g, netatmo.History, 30)
		time.Sleep(time.Minute)
		if d := pass(t, g, netatmo.Live, 1)[0]; d != 0 {
			t.Errorf("a live request waited %s", d)
		}
	})
}

// TestLiveFirst: live requests do not wait for history, however much of it
// waits.
func TestLiveFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := netatmo.NewGate(400)
		ctx, cancel := context.WithCancel(t.Context())
		for range 10 {
			go func() {
				for ctx.Err() == nil {
					_ = g.Wait(ctx, netatmo.History)
				}
			}()
		}
		time.Sleep(time.Minute)
		for range 20 {
			if d := pass(t, g, netatmo.Live, 1)[0]; d > 5*time.Second {
				t.Errorf("a live request waited %s", d)
			}
			time.Sleep(7 * time.Second)
		}
		at := pass(t, g, netatmo.Live, 10)
		if at[9] > 50*time.Second {
			t.Errorf("10 live requests took %s", at[9])
		}
		cancel()
	})
}

func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := netatmo.NewGate(400)
		g.Pause(time.Hour)
		g.Pause(time.Minute) // does not shorten it
		if d := time.Until(g.PausedUntil()); d != time.Hour {
			t.Errorf("paused for %s", d)
		}
		var live, history time.Duration
		start := time.Now()
		done := make(chan struct{})
		go func() {
			history = pass(t, g, netatmo.History, 1)[0]
			close(done)
		}()
		live = pass(t, g, netatmo.Live, 1)[0]
		<-done
		if live != time.Hour || history < time.Hour {
			t.Errorf("live after %s, history after %s", live, history)
		}
		go func() {
			time.Sleep(time.Second)
			g.Pause(time.Hour)
		}()
		pass(t, g, netatmo.Live, 40) // a pause that begins while callers wait holds them too
		if d := time.Since(start); d < 2*time.Hour {
			t.Errorf("done after %s", d)
		}
	})
}

func TestWaitEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := netatmo.NewGate(400)
		g.Pause(time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		if err := g.Wait(ctx, netatmo.Live); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("%v after %s", err, time.Since(start))
		}
		if g.Remaining() != 400 {
			t.Errorf("%d remain, an ended wait was counted", g.Remaining())
		}
	})
}
