package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"

	"netatmo-agent/agent/otlp"
	"netatmo-agent/agent/outage"
)

const firstPause = 5 * time.Second // after a failure; doubled for each further one

// LastPush is how long the push at the end may take.
const LastPush = 5 * time.Second

// Run pushes at every Push.Interval and when readings change, sooner after a failure that may
// pass, until ctx ends; then it pushes a last time, for 5 s at most, whatever the
// backend asks, and shuts the exporter down.
func (p *Pusher) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	pushIn := func(d time.Duration) {
		timer.Reset(d)
		p.mu.Lock()
		p.stats.Next = time.Now().Add(d)
		p.mu.Unlock()
	}
	pushIn(p.o.Push.Interval)
	for {
		select {
		case <-ctx.Done():
			p.finish(context.WithoutCancel(ctx))
			return
		case <-timer.C:
			if f := p.waiting(); f != nil { // the answer to history asked for it
				pushIn(f.RetryAfter)
				continue
			}
		case <-p.o.Changed:
			if p.waiting() != nil {
				continue
			}
		}
		start := time.Now()
		if p.PushNow(ctx) != nil {
			pushIn(p.pause())
		} else {
			pushIn(p.o.Push.Interval - time.Since(start))
		}
	}
}

// pause returns how long to wait after a push that failed.
func (p *Pusher) pause() time.Duration {
	p.mu.Lock()
	n := p.failed
	p.mu.Unlock()
	pause := p.o.Push.Interval
	if n > 0 {
		pause = outage.Backoff(n, min(firstPause, pause), pause)
	}
	if f := p.waiting(); f != nil {
		pause = max(pause, f.RetryAfter)
	}
	return pause
}

func (p *Pusher) finish(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, LastPush)
	defer cancel()
	_ = p.PushNow(ctx) // logged
	_ = p.o.Exporter.Shutdown(ctx)
}

// export makes one request. The turn must be held.
func (p *Pusher) export(ctx context.Context, r *resource.Resource, metrics []metricdata.Metrics) *otlp.Failure {
	f := otlp.Classify(p.o.Exporter.Export(ctx, resourceMetrics(r, metrics)))
	p.mu.Lock()
	defer p.mu.Unlock()
	if f == nil {
		p.throttled = 0
	} else if f.Reason == otlp.Throttled || f.RetryAfter > 0 {
		p.throttled++
		if f.RetryAfter == 0 { // it does not say how long
			f.RetryAfter = outage.Backoff(p.throttled, p.o.Push.Interval, 8*p.o.Push.Interval)
		}
		if most := p.o.Stale; most > 0 {
			f.RetryAfter = min(f.RetryAfter, most)
		}
		p.waitFor, p.waitUntil = f, time.Now().Add(f.RetryAfter)
	}
	return f
}

// waiting returns the failure that made the backend ask to wait, with the time
// that is left, or nil.
func (p *Pusher) waiting() *otlp.Failure {
	p.mu.Lock()
	defer p.mu.Unlock()
	left := time.Until(p.waitUntil)
	if left <= 0 {
		return nil
	}
	f := *p.waitFor
	f.RetryAfter = left
	return &f
}

// backendAway returns why the last live push found no working backend, nil if it
// did. Live pushes are small and come every minute; what is more waits for one
// that is accepted.
func (p *Pusher) backendAway() *otlp.Failure {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.away
}
