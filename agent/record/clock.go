package record

import (
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// ClockTolerance is how far the local clock may differ from Netatmo's. Beyond it
// nothing is pushed.
const ClockTolerance = 2 * time.Minute

// Witness is the source of a time. A higher one counts more.
type Witness int

// The witnesses.
const (
	Nobody  Witness = iota
	Backend         // the header Date of the backend's answers
	Gateway         // the same of any other answer at Netatmo's address
	Netatmo         // Netatmo's answers to requests for readings
)

// clock compares the local clock with Netatmo's, or with another server's until
// Netatmo has answered. A Raspberry Pi's clock does not survive a power cut, and
// points with a wrong time can spoil a backend for days, because it rejects points
// older than its newest. The Record's lock guards it.
type clock struct {
	log *slog.Logger

	witness  Witness   // of the last answer that counts
	answered time.Time // when it came, monotonic
	wall     time.Time // the same by the wall clock
	offset   time.Duration
	bad      bool // as of that answer
}

// century is the largest offset that is remembered: sums of larger ones would
// overflow.
const century = 100 * 365 * 24 * time.Hour

// observe takes the offset of an answer, local minus the witness's.
func (c *clock) observe(witness Witness, offset time.Duration) {
	if witness < c.witness {
		return
	}
	c.witness, c.answered = witness, time.Now()
	c.wall, c.offset = c.answered.Round(0), min(max(offset, -century), century)
	bad := !agree(offset)
	switch {
	case bad && !c.bad:
		c.log.Warn("the local clock is wrong: nothing is pushed until it is right; set it, or let NTP do so", "deviation", deviation(offset, witness))
	case !bad && c.bad:
		c.log.Info("the local clock is right again")
	}
	c.bad = bad
}

// agree reports whether the local clock and Netatmo's agree, given the offset of
// an answer. If they do not, either may be wrong.
func agree(offset time.Duration) bool { return offset.Abs() <= ClockTolerance }

func deviation(offset time.Duration, by Witness) string {
	direction := "ahead of"
	if offset < 0 {
		direction = "behind"
	}
	whose := "Netatmo's"
	if by == Backend {
		whose = "the backend's"
	}
	return fmt.Sprintf("%s %s %s", offset.Abs().Round(time.Second), direction, whose)
}

// fault returns why the local clock cannot be trusted, or nil.
func (c *clock) fault() error {
	switch {
	case c.witness == Nobody:
		return errUntold
	case !c.ok():
		return fmt.Errorf("it is %s", deviation(c.skew(time.Now()), c.witness))
	}
	return nil
}

var errUntold = errors.New("the time is not known yet, neither from Netatmo nor from the backend")

// skew returns how far the local clock is ahead of Netatmo's at now: the offset of
// the last answer, plus any step since.
func (c *clock) skew(now time.Time) time.Duration {
	if c.answered.IsZero() {
		return 0
	}
	return c.offset + now.Round(0).Sub(c.wall) - now.Sub(c.answered)
}

// ok reports whether the clock is right as far as is known.
func (c *clock) ok() bool { return c.skew(time.Now()).Abs() <= ClockTolerance }

// now returns the time by Netatmo's clock.
func (c *clock) now() time.Time {
	now := time.Now()
	return now.Round(0).Add(-c.skew(now))
}
