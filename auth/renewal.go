package auth

import (
	"errors"
	"log/slog"
	"time"
)

const (
	minGap   = 2 * time.Second // between two refreshes
	minRetry = 5 * time.Second
	maxRetry = 10 * time.Minute // a token endpoint that answered 403 was seen to need that long a rest
	lostWait = time.Hour        // between tries of a refresh token that was given up
	hourly   = time.Hour        // reminders of a fault that lasts
)

// doubts are the pauses between tries of a refresh token that Netatmo refuses.
// The refusal (invalid_grant) has been seen to pass within minutes; after the
// last of these it is believed.
var doubts = []time.Duration{30 * time.Second, 90 * time.Second, 3 * time.Minute, 5 * time.Minute}

// renewal is the schedule of refreshes.
type renewal struct {
	wanted     bool      // due and asked for
	last       time.Time // when Netatmo was last asked
	next       time.Time // not before, unless by a human
	err        error     // of the last attempt
	fails      int       // passing faults in a row
	refusals   int       // times that invalid_grant was answered in a row
	believed   time.Time // when a refusal will be believed
	rejections int       // access tokens in a row that the API rejected while they were young
	lostAt     time.Time // when an answer was last lost on the way
	complaint  complaint
}

// backoff doubles from minRetry to maxRetry; fails is at least 1.
func backoff(fails int) time.Duration {
	return min(maxRetry, minRetry<<min(fails-1, 10))
}

// passing schedules the next try after a fault.
func (r *renewal) passing(now time.Time, e *TokenError) {
	r.fails++
	r.next = now.Add(backoff(r.fails))
	r.failed(now, e)
}

// refused schedules the next try after an invalid_grant, and reports whether it
// is to be believed now.
func (r *renewal) refused(now time.Time, e *TokenError) bool {
	if r.refusals == len(doubts) {
		return true
	}
	if r.refusals == 0 {
		r.believed = now
		for _, d := range doubts {
			r.believed = r.believed.Add(d)
		}
	}
	r.next = now.Add(doubts[r.refusals])
	r.refusals++
	r.failed(now, e)
	return false
}

func (r *renewal) failed(now time.Time, e *TokenError) {
	e.Retry = r.next
	r.err = e
	if e.Lost {
		r.lostAt = now
	}
}

// tokenRejected asks for a renewal, and for a pause if new tokens are rejected
// again and again: then another one will not help.
func (r *renewal) tokenRejected(now time.Time, young bool) {
	if !young {
		r.rejections = 0
	}
	r.rejections++
	if r.rejections > 1 {
		r.next = now.Add(backoff(r.rejections - 1))
		r.err = &TokenError{Reason: "rejected", Retry: r.next, Err: errors.New("the API rejects the tokens that it gives")}
	}
}

// succeeded forgets all faults.
func (r *renewal) succeeded() {
	*r = renewal{last: r.last, rejections: r.rejections}
}

// complaint says a fault that goes on once, and once an hour.
type complaint struct {
	reason string // empty: all is well
	said   time.Time
}

// level returns the level at which the fault is to be logged now.
func (c *complaint) level(now time.Time, reason string, loud slog.Level) slog.Level {
	if c.reason == reason && now.Sub(c.said) < hourly {
		return slog.LevelDebug
	}
	c.reason, c.said = reason, now
	return loud
}

// over reports whether a fault has ended just now.
func (c *complaint) over() bool {
	was := c.reason != ""
	*c = complaint{}
	return was
}
