package record

import (
	"log/slog"
	"math"
	"testing"
	"testing/synctest"
	"time"
)

// StepClock acts as if the wall clock had been moved by d.
func (r *Record) StepClock(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clock.wall = r.clock.wall.Add(-d)
}

func moved(c *clock) bool {
	r := Record{clock: *c}
	return r.ClockMoved()
}

// A step of the local clock is noticed without a request to Netatmo. A test
// cannot set the wall clock, so it changes the record of it.
func TestClockStep(t *testing.T) {
	for _, step := range []time.Duration{0, time.Minute, -time.Minute, time.Hour, -time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			c := clock{log: slog.New(slog.DiscardHandler)}
			c.observe(Netatmo, 10*time.Second)
			c.wall = c.wall.Add(-step)
			time.Sleep(time.Minute)
			for range 2 { // reading it changes nothing
				if want := step.Abs() < ClockTolerance; c.ok() != want || moved(&c) == want {
					t.Errorf("after a step of %s: ok %v, moved %v", step, c.ok(), moved(&c))
				}
			}
			if got := time.Since(c.now()); got != step+10*time.Second {
				t.Errorf("after a step of %s Netatmo's clock is %s behind", step, got)
			}
			c.observe(Netatmo, 10*time.Second)
			if !c.ok() || moved(&c) {
				t.Error("not ok after an answer that proves it")
			}
		})
	}
}

// The time that Netatmo's readings have counts more than that of a gateway, and
// that more than the backend's. Before any, nothing may be pushed.
func TestWitnesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock{log: slog.New(slog.DiscardHandler)}
		if c.fault() == nil {
			t.Error("the clock counts as right before the time is known")
		}
		for _, step := range []struct {
			witness Witness
			offset  time.Duration
			wrong   bool
		}{
			{Backend, time.Hour, true}, {Backend, time.Second, false}, {Backend, -time.Hour, true},
			{Gateway, 0, false}, {Backend, time.Hour, false}, {Gateway, 72 * time.Hour, true},
			{Netatmo, 0, false}, {Gateway, time.Hour, false}, {Backend, time.Hour, false},
			{Netatmo, math.MaxInt64, true}, {Netatmo, math.MinInt64, true}, {Netatmo, 0, false},
		} {
			c.observe(step.witness, step.offset)
			for range 2 {
				if err := c.fault(); err != nil != step.wrong {
					t.Errorf("%v says %s: %v", step.witness, step.offset, err)
				}
				c.wall = c.wall.Add(-time.Nanosecond)
			}
		}
	})
}

// ForgetGone does what KeepSaved does before it saves.
func (r *Record) ForgetGone() { r.forgetGone() }
