package telemetry

import (
	"sort"
	"time"

	"netatmo-agent/agent/netatmo"
)

// limits are the backend's limits, as far as they are known.
type limits struct {
	values int           // that a request carries at most
	shrunk time.Time     // when values was last reduced or raised
	tooOld time.Duration // an age at which history was refused; 0: none was
}

// fitting returns the first of samples that fit one request, at least one.
func (p *Pusher) fitting(samples []netatmo.Sample) []netatmo.Sample {
	p.mu.Lock()
	if p.limits.values < maxValues && time.Since(p.limits.shrunk) > regrow {
		p.limits.values, p.limits.shrunk = min(2*p.limits.values, maxValues), time.Now()
	}
	most := p.limits.values
	p.mu.Unlock()
	values := 0
	for i, s := range samples {
		if values += len(s.Values); values > most {
			return samples[:max(i, 1)]
		}
	}
	return samples
}

// shrink makes requests half as large as one that failed.
func (p *Pusher) shrink(samples []netatmo.Sample) {
	values := 0
	for _, s := range samples {
		values += len(s.Values)
	}
	p.shrinkTo(values / 2)
}

func (p *Pusher) shrinkTo(values int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.limits.values, p.limits.shrunk = max(1, min(values, p.limits.values)), time.Now()
}

// learnTooOld remembers that a point of that time was refused for its age.
func (p *Pusher) learnTooOld(at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if age := time.Since(at); age > nearPast && (p.limits.tooOld == 0 || age < p.limits.tooOld) {
		p.limits.tooOld = age
	}
}

// learnAccepted forgets the age that was refused if the backend accepts a point
// that is about as old.
func (p *Pusher) learnAccepted(at time.Time) {
	if p.likelyTooOld(at) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.limits.tooOld = 0
	}
}

// likelyTooOld reports whether points of about that age were refused.
func (p *Pusher) likelyTooOld(at time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.limits.tooOld > 0 && time.Since(at) >= p.limits.tooOld*15/16
}

// workedJustNow reports whether the backend has accepted a current point within
// the last seconds.
func (p *Pusher) workedJustNow() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Since(p.stats.LastSuccess) < 5*time.Second
}

// oldest returns how many of samples may be dropped at once if the last of them is
// refused: those of an age that was refused before, and those of the oldest
// sixteenth of their age. In the near past it is one, so that none is lost that a
// backend without a window could hold.
func (p *Pusher) oldest(samples []netatmo.Sample) int {
	p.mu.Lock()
	tooOld := p.limits.tooOld
	p.mu.Unlock()
	n := 1
	if age := time.Since(samples[0].Time); age > nearPast {
		n = max(n, countBefore(samples, samples[0].Time.Add(age/16)))
	}
	if tooOld > 0 {
		n = max(n, countBefore(samples, time.Now().Add(-tooOld)))
	}
	return n
}

func countBefore(samples []netatmo.Sample, t time.Time) int {
	return sort.Search(len(samples), func(i int) bool { return !samples[i].Time.Before(t) })
}
