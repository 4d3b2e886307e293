package auth

import (
	"errors"
	"time"

	"netatmo-agent/agent/outage"
)

const (
	minGap   = 2 * time.Second // between two renewals
	minRetry = 5 * time.Second
	maxRetry = 10 * time.Minute // an endpoint that answers 403 was seen to need a pause that long
	lostWait = 15 * time.Minute // between retries after a refusal is believed: an outage may still end
)

// doubts are the pauses between tries while Netatmo refuses the refresh token
// or the app. Some refusals end within minutes (observed); after the last pause
// they are believed.
var doubts = []time.Duration{30 * time.Second, 90 * time.Second, 3 * time.Minute, 5 * time.Minute}

// schedule says when the access token is renewed.
type schedule struct {
	wanted     bool        // a renewal is due, and its token is needed
	last       time.Time   // when Netatmo was last asked
	next       time.Time   // no earlier, unless a human logs in
	fault      *TokenError // of the last attempt; nil: it succeeded
	since      time.Time   // of the first fault in a row
	fails      int         // temporary faults in a row
	refusals   int         // of the refresh token or the app, in a row
	refusal    *TokenError // the last of them
	believed   time.Time   // when it will be believed
	rejections int         // young access tokens in a row that the API rejected
	lostAt     time.Time   // when an answer was last lost

	log *outage.Log // guarded by Source.turn
}

// passing schedules the next try after a temporary fault.
func (r *schedule) passing(now time.Time, e *TokenError) {
	r.fails++
	r.next = now.Add(outage.Backoff(r.fails, minRetry, maxRetry))
	r.failed(now, e)
}

// refused schedules the next try after a refusal, and reports whether it is
// believed.
func (r *schedule) refused(now time.Time, e *TokenError) bool {
	if r.refusals == len(doubts) {
		r.next = now.Add(lostWait)
		r.failed(now, e)
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
	r.refusal = e
	r.failed(now, e)
	return false
}

func (r *schedule) failed(now time.Time, e *TokenError) {
	e.Retry = r.next
	if r.fault == nil {
		r.since = now
	}
	r.fault = e
	if e.Lost {
		r.lostAt = now
	}
}

// tokenRejected asks for a renewal. If the API keeps rejecting new tokens,
// another one will not help, so there is a pause.
func (r *schedule) tokenRejected(now time.Time, young bool) {
	if !young {
		r.rejections = 0
	}
	r.rejections++
	if r.rejections > 1 {
		r.next = now.Add(outage.Backoff(r.rejections-1, minRetry, maxRetry))
		r.failed(now, &TokenError{Reason: "rejected", Err: errors.New("the API rejects new access tokens")})
	}
}

// succeeded forgets all faults.
func (r *schedule) succeeded() {
	*r = schedule{last: r.last, rejections: r.rejections, log: r.log}
}
