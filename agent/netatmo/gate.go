package netatmo

import (
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Netatmo allows a user 50 requests in 10 s and 500 in an hour. The
// documentation can also be read as 2 requests in 10 s for an app with one
// user.
const (
	burst   = 20
	spacing = 5 * time.Second
)

// Priority orders the callers that wait at a Gate.
type Priority int

// Live requests precede requests about homes, of which there may be many. Both
// precede History requests, which leave them a quarter of the hour.
const (
	Live Priority = iota
	Homes
	History
)

// Gate admits the requests of a process, so that all callers together stay
// within Netatmo's limits: at most 20 at once, then one in 5 s, a fixed number
// in any hour, none during a pause. It is safe for concurrent use.
type Gate struct {
	perHour int
	bucket  *rate.Limiter

	mu      sync.Mutex
	sent    []time.Time  // admissions of the last hour, oldest first
	waiting [History]int // callers in Wait, by priority
	paused  time.Time    // end of the pause
}

// NewGate returns a gate that admits perHour requests, at least 1, in any hour.
// History requests leave the last quarter of them to the others. With more than
// 720, which Netatmo does not allow but a simulation may, requests follow
// faster than one in 5 s.
func NewGate(perHour int) *Gate {
	every := min(spacing, time.Hour/time.Duration(perHour))
	return &Gate{perHour: perHour, bucket: rate.NewLimiter(rate.Every(every), burst)}
}

// Wait blocks until a request may be made, and counts it. It returns early
// only with ctx's error.
func (g *Gate) Wait(ctx context.Context, p Priority) error {
	if p < History {
		g.countWaiting(p, 1)
		defer g.countWaiting(p, -1)
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		d := g.admit(p, time.Now())
		if d == 0 {
			return nil
		}
		timer := time.NewTimer(d)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

// Pause holds every caller back for d from now. It never shortens a pause.
func (g *Gate) Pause(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if until := time.Now().Add(d); until.After(g.paused) {
		g.paused = until
	}
}

// PausedUntil returns the end of the pause, a past time if there is none.
func (g *Gate) PausedUntil() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.paused
}

// Remaining returns how many requests are left in the hour that ends now.
func (g *Gate) Remaining() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.forget(time.Now())
	return max(0, g.perHour-len(g.sent))
}

// admit counts a request and returns zero, or returns how long to wait before
// asking again.
func (g *Gate) admit(p Priority, now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	if d := g.paused.Sub(now); d > 0 {
		return d
	}
	g.forget(now)
	most := g.perHour
	if p == History {
		most -= g.perHour / 4
	}
	for _, n := range g.waiting[:p] {
		if n > 0 {
			return spacing
		}
	}
	if over := len(g.sent) - most; over >= 0 {
		return g.sent[over].Add(time.Hour).Sub(now)
	}
	r := g.bucket.ReserveN(now, 1)
	if d := r.DelayFrom(now); d > 0 {
		r.CancelAt(now)
		return d
	}
	g.sent = append(g.sent, now)
	return 0
}

// forget drops the admissions that are an hour old.
func (g *Gate) forget(now time.Time) {
	hourAgo := now.Add(-time.Hour)
	g.sent = slices.DeleteFunc(g.sent, func(t time.Time) bool { return !t.After(hourAgo) })
}

func (g *Gate) countWaiting(p Priority, n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting[p] += n
}
