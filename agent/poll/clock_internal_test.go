package poll

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

// A step of the local clock is noticed without asking Netatmo. The wall clock
// cannot be set in a test, so the record of it is.
func TestClockStep(t *testing.T) {
	for _, step := range []time.Duration{0, time.Minute, -time.Minute, time.Hour, -time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			c := clock{log: slog.New(slog.DiscardHandler)}
			c.observe(10 * time.Second)
			c.wall = c.wall.Add(-step)
			time.Sleep(time.Minute)
			ok, news := c.ok()
			if want := step.Abs() < ClockTolerance; ok != want || news == want {
				t.Errorf("after a step of %s: ok %v, news %v", step, ok, news)
			}
			if got := time.Since(c.now()); got != step+10*time.Second {
				t.Errorf("after a step of %s Netatmo's clock is %s behind", step, got)
			}
			if _, again := c.ok(); again {
				t.Error("told twice")
			}
			c.observe(10 * time.Second)
			if ok, _ := c.ok(); !ok {
				t.Error("not ok after an answer that says so")
			}
		})
	}
}
