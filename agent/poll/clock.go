package poll

import (
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// ClockTolerance is how far the local clock may be from Netatmo's; beyond it
// nothing is pushed.
const ClockTolerance = 2 * time.Minute

// clock compares the local clock with Netatmo's. A Raspberry Pi has none that
// survives a power cut, and points with a wrong time spoil a backend for days:
// it takes nothing older than what it has.
type clock struct {
	log *slog.Logger

	mu       sync.Mutex
	answered time.Time // when the last answer came, monotonic
	wall     time.Time // the same by the wall clock
	offset   time.Duration
	bad      bool // as of the last answer
	told     bool // that it has changed since
}

// observe takes the offset of an answer, local minus Netatmo's.
func (c *clock) observe(offset time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answered = time.Now()
	c.wall, c.offset, c.told = c.answered.Round(0), offset, false
	bad := !agree(offset)
	switch {
	case bad && !c.bad:
		c.log.Warn("the local clock is wrong: nothing is pushed until it is right; set it, or let NTP do so", "deviation", describe(offset))
	case !bad && c.bad:
		c.log.Info("the local clock is right again")
	}
	c.bad = bad
}

// agree reports whether the clocks of an answer with that offset, the local one
// and Netatmo's, are both to be believed: which of two that differ is wrong,
// nobody knows.
func agree(offset time.Duration) bool { return offset.Abs() <= ClockTolerance }

func describe(offset time.Duration) string {
	direction := "ahead of"
	if offset < 0 {
		direction = "behind"
	}
	return fmt.Sprintf("%s %s Netatmo's", offset.Abs().Round(time.Second), direction)
}

// skew is how far ahead of Netatmo's the local clock is at now: as at the last
// answer, plus what it was moved since. The caller holds mu.
func (c *clock) skew(now time.Time) time.Duration {
	if c.answered.IsZero() {
		return 0
	}
	return c.offset + now.Round(0).Sub(c.wall) - now.Sub(c.answered)
}

// ok reports whether the clock is right as far as is known, and, once, that
// this is news since the last answer.
func (c *clock) ok() (ok, news bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ok = c.skew(time.Now()).Abs() <= ClockTolerance
	news = ok == c.bad && !c.told
	c.told = c.told || news
	return ok, news
}

// now is the time by Netatmo's clock.
func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	return now.Round(0).Add(-c.skew(now))
}
