package telemetry

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"

	"netatmo-agent/agent/config"
	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/outage"
)

// Options are what a Pusher needs. The funcs may be left out; they are called
// from the goroutine that pushes.
type Options struct {
	Exporter      Exporter
	Push          config.Push
	InstanceID    string // service.instance.id, unless Push.InstanceID is set
	Version       string
	ExporterNames bool          // names and labels of netatmo-exporter
	Stale         time.Duration // how long after its measurement a value is repeated

	Readings func() []netatmo.Reading // what to report now; not changed afterwards
	Agent    func() AgentValues
	ClockOK  func() bool // false: nothing is pushed

	// Delivered is told after each push which readings the backend has taken
	// live, with a value that has a history, and the time that their points
	// carry. None, if all of them wait, says that the backend takes points.
	Delivered func(at time.Time, readings []netatmo.Reading)

	Logger *slog.Logger
}

// Pusher pushes readings. Its methods are safe for concurrent use.
type Pusher struct {
	o                          Options
	names                      *naming
	live                       *live
	reader                     *sdkmetric.ManualReader
	liveResource, pastResource *resource.Resource

	wake chan struct{}
	// turn is held during a live push and during one request of history. Those
	// who wait get it in the order of asking, so that a long history holds a
	// live push back for one request only. A channel, because it is held while
	// waiting for the network. It guards the fields below.
	turn     chan struct{}
	stamp    time.Time // of the last live push
	splits   int       // that the live push under way may still make
	outage   *outage.Log
	accepted bool // the log knows that a push was

	mu          sync.Mutex
	stats       PushStats
	failed      int       // live pushes in a row that found no working backend
	away        *Failure  // of the last of them
	waitUntil   time.Time // the backend asked for it
	waitFor     *Failure
	throttled   int // failures in a row of that kind
	saidRefused bool
	pastFailure *Failure // of history, not said yet
	pastOutage  *outage.Log
}

// PushStats is what was pushed since the start. Points are single values.
type PushStats struct {
	Points          int64            // live, accepted
	Failures        map[Reason]int64 // requests by reason of Failure; refused history is not among them
	LastSuccess     time.Time        // when the backend last accepted a live request
	Next            time.Time        // when the next one begins at the latest, also if the backend asked to wait; zero before Run
	BackfillPoints  int64            // history, accepted
	BackfillRefused int64            // history that the backend cannot hold
}

// NewPusher returns a Pusher; Run makes it push.
func NewPusher(o Options) (*Pusher, error) {
	if o.Readings == nil {
		o.Readings = func() []netatmo.Reading { return nil }
	}
	if o.Agent == nil {
		o.Agent = func() AgentValues { return AgentValues{} }
	}
	if o.ClockOK == nil {
		o.ClockOK = func() bool { return true }
	}
	if o.Delivered == nil {
		o.Delivered = func(time.Time, []netatmo.Reading) {}
	}
	meter, reader := newMeter()
	names := newNaming(o.ExporterNames)
	p := &Pusher{
		o: o, names: names, reader: reader,
		live:       &live{names: names, stale: o.Stale, readings: o.Readings},
		wake:       make(chan struct{}, 1),
		turn:       make(chan struct{}, 1),
		outage:     outage.New(o.Logger, "push"),
		pastOutage: outage.New(o.Logger, "pushing history"),
		stats:      PushStats{Failures: map[Reason]int64{}},
	}
	p.liveResource, p.pastResource = resources(o)
	agent := &agentMetrics{version: o.Version, values: o.Agent, stats: p.Stats}
	if err := errors.Join(p.live.register(meter), agent.register(meter, names.agent)); err != nil {
		return nil, err
	}
	return p, nil
}

// resources returns the resource of live points and that of history, which
// carries no more than what identifies the sender: any other attribute makes
// Prometheus write a target_info series, out of order for points of the past,
// and refuse the points for it.
func resources(o Options) (live, past *resource.Resource) {
	identifying := []attribute.KeyValue{
		attribute.String("service.name", o.Push.ServiceName),
		attribute.String("service.instance.id", cmp.Or(o.Push.InstanceID, o.InstanceID)),
	}
	if o.Push.ServiceNamespace != "" {
		identifying = append(identifying, attribute.String("service.namespace", o.Push.ServiceNamespace))
	}
	past = resource.NewSchemaless(identifying...)
	all := identifying
	for key, value := range o.Push.Attributes {
		all = append(all, attribute.String(key, value))
	}
	return resource.NewSchemaless(all...), past
}

// Stats returns what was pushed so far.
func (p *Pusher) Stats() PushStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stats
	s.Failures = maps.Clone(s.Failures)
	return s
}

// Wake makes Run push at once, because there is something new. Several calls
// make one push.
func (p *Pusher) Wake() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *Pusher) take(ctx context.Context) error {
	select {
	case p.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *Pusher) release() { <-p.turn }

// PushNow pushes what there is to report at this moment. The error is the
// first *Failure of the push, of which other requests may have been accepted,
// or that of ctx.
func (p *Pusher) PushNow(ctx context.Context) error {
	at, delivered, err := p.pushLive(ctx)
	if err == nil || len(delivered) > 0 { // outside of our turn: who is told may want one
		p.o.Delivered(at, delivered)
	}
	return err
}

func (p *Pusher) pushLive(ctx context.Context) (at time.Time, delivered []netatmo.Reading, err error) {
	if err := p.take(ctx); err != nil {
		return at, nil, err
	}
	defer p.release()
	if !p.o.ClockOK() {
		return at, nil, p.conclude(ctx, newFailure(reasonClock, "", nil))
	}
	limited, cancel := context.WithTimeout(ctx, p.o.Push.ExportTimeout)
	defer cancel()

	// The snapshot is taken in our turn: history that was pushed before it is
	// older than these points. What asked for a push until now gets this one.
	select {
	case <-p.wake:
	default:
	}
	at = p.nextStamp()
	p.live.now, p.splits = at, maxSplits
	var collected metricdata.ResourceMetrics
	if err := p.reader.Collect(limited, &collected); err != nil {
		return at, nil, p.conclude(ctx, Classify(err))
	}
	var first *Failure
	for _, r := range p.live.split(collected.ScopeMetrics, at) {
		taken, f := p.deliver(limited, r)
		delivered = append(delivered, taken...)
		if first = cmp.Or(first, f); f != nil && !f.ofContent() {
			break // the next request would fare no better
		}
	}
	return at, delivered, p.conclude(ctx, first)
}

// nextStamp returns the time for the points of a push: now, in milliseconds as
// backends store it, and later than the last, because a series takes one value
// for one time.
func (p *Pusher) nextStamp() time.Time {
	at := time.Now().Truncate(time.Millisecond)
	if ahead := p.stamp.Sub(at); ahead >= 0 && ahead < time.Second {
		at = p.stamp.Add(time.Millisecond)
	}
	p.stamp = at
	return at
}

// maxSplits is how often the requests of one push are taken apart at most. That
// finds each of 32 modules that the backend does not like, or a few among
// thousands.
const maxSplits = 32

// deliver sends a request and returns the readings that were taken. A request
// that is refused for what it holds is taken apart, so that modules that the
// backend does not like cost no other.
func (p *Pusher) deliver(ctx context.Context, r request) ([]netatmo.Reading, *Failure) {
	return p.settle(ctx, r, p.exportLive(ctx, r))
}

func (p *Pusher) settle(ctx context.Context, r request, f *Failure) ([]netatmo.Reading, *Failure) {
	switch {
	case f == nil:
		return r.delivered(), nil
	case f.Reason == reasonPartial:
		// Final by the specification: it is not to be sent again, and what
		// was refused now will be refused later.
		if f.Rejected < int64(r.points) {
			return r.delivered(), f
		}
		return nil, f
	case !f.ofContent() || !r.divisible() || p.splits == 0:
		return nil, f
	}
	p.splits--
	parts := p.live.apart(r, p.stamp)
	a, b := p.exportLive(ctx, parts[0]), p.exportLive(ctx, parts[1])
	if r.own && f.Reason != reasonTooLarge && a != nil && b != nil {
		p.splits = 0
		return nil, f // it takes nothing at all
	}
	// Settling one part gives its modules new numbers; they are not needed
	// any more in the other.
	fromA, a := p.settle(ctx, parts[0], a)
	fromB, b := p.settle(ctx, parts[1], b)
	return append(fromA, fromB...), cmp.Or(a, b)
}

func (p *Pusher) exportLive(ctx context.Context, r request) *Failure {
	f := p.export(ctx, p.liveResource, r.metrics)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case f == nil:
		p.stats.Points += int64(r.points)
	case f.Reason == reasonPartial:
		p.stats.Points += max(int64(r.points)-f.Rejected, 0)
		if f.Rejected < int64(r.points) {
			p.stats.LastSuccess = time.Now()
		}
	}
	if f != nil {
		p.stats.Failures[f.Reason]++
		return f
	}
	p.stats.LastSuccess = time.Now()
	return nil
}

// conclude ends a live push: it tells the log and counts for the pause.
func (p *Pusher) conclude(ctx context.Context, f *Failure) error {
	if err := ctx.Err(); f != nil && err != nil {
		return err // interrupted, which says nothing about the backend
	}
	p.mu.Lock()
	if f == nil || f.ofContent() {
		p.failed, p.away = 0, nil
		if past := p.pastFailure; past != nil {
			p.pastOutage.Failed(string(past.Reason), past)
		}
	} else {
		p.failed, p.away = p.failed+1, f
	}
	p.pastFailure = nil
	points := p.stats.Points
	p.mu.Unlock()
	if f == nil {
		if !p.accepted && !p.outage.Failing() {
			p.o.Logger.Info("the first push is accepted", "points", points)
		}
		p.accepted = true
		p.outage.OK()
		return nil
	}
	p.outage.Failed(string(f.Reason), f)
	return f
}
