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
	"go.opentelemetry.io/otel/sdk/resource"

	"netatmo-agent/agent/config"
	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/otlp"
	"netatmo-agent/agent/outage"
)

// Options are what a Pusher needs. The funcs and the channel are optional; the
// goroutine that pushes uses them.
type Options struct {
	Exporter      otlp.Exporter
	Push          config.Push
	InstanceID    string // service.instance.id, unless Push.InstanceID is set
	Version       string
	ExporterNames bool          // names and labels of netatmo-exporter
	Stale         time.Duration // how long a value is repeated after its measurement

	Readings func() []netatmo.Reading // current readings; not changed afterwards
	Changed  <-chan struct{}          // receives when Readings has something new: Run pushes at once
	Agent    func() AgentValues

	// Clock returns why the local clock cannot be trusted, so that nothing is
	// pushed, or nil. If unsure, the backend's answer may have the time.
	Clock func() (unsure bool, fault error)

	// Delivered is called after each push with the readings for which the backend has
	// accepted a live value, and the time of the points. None, if all of them wait,
	// means that the backend accepts points.
	Delivered func(at time.Time, readings []netatmo.Reading)

	Logger *slog.Logger
}

// Pusher pushes readings. Its methods are safe for concurrent use.
type Pusher struct {
	o                          Options
	started                    time.Time
	names                      *naming
	gauges                     *gauges
	agent                      *agentMetrics
	reader                     *sdkmetric.ManualReader
	liveResource, pastResource *resource.Resource

	// turn is held during a live push and during one request of history. Those who
	// wait get it in the order in which they asked, so that a long history delays a
	// live push by one request only. It is a channel because it is held while
	// waiting for the network. It guards the fields up to mu.
	turn     chan struct{}
	stamp    time.Time // of the last live push
	counting time.Time // the start, by the clock as it was at the first push
	splits   int       // that the live push under way may still make
	outage   *outage.Log
	accepted bool    // the log says that readings were accepted
	deltas   *deltas // nil: counters are cumulative

	// identifying: history goes out with the attributes that identify the sender
	// alone, because the backend refuses it with others.
	identifying bool

	mu          sync.Mutex
	stats       PushStats
	failed      int           // live pushes in a row that found no working backend
	away        *otlp.Failure // of the last of them
	waitUntil   time.Time     // the backend asked for it
	waitFor     *otlp.Failure
	throttled   int // failures in a row of that kind
	limits      limits
	pastFailure *otlp.Failure // of history, not logged yet
	pastOutage  *outage.Log

	saidRefused   time.Time // when the log last said that history was refused
	unsaidRefused int       // samples since then
}

// PushStats is what was pushed since the start. Points are single values.
type PushStats struct {
	Points          int64                 // live, accepted
	Failures        map[otlp.Reason]int64 // requests by reason of Failure; refused history is not among them
	LastSuccess     time.Time             // when the backend last accepted a live request
	Next            time.Time             // when the next one begins at the latest, also if the backend asked to wait; zero before Run
	BackfillPoints  int64                 // history, accepted
	BackfillRefused int64                 // history that the backend cannot hold
}

// NewPusher returns a Pusher; Run makes it push.
func NewPusher(o Options) (*Pusher, error) {
	if o.Readings == nil {
		o.Readings = func() []netatmo.Reading { return nil }
	}
	if o.Agent == nil {
		o.Agent = func() AgentValues { return AgentValues{} }
	}
	if o.Clock == nil {
		o.Clock = func() (bool, error) { return false, nil }
	}
	if o.Delivered == nil {
		o.Delivered = func(time.Time, []netatmo.Reading) {}
	}
	meter, reader := newMeter()
	names := newNaming(o.ExporterNames)
	p := &Pusher{
		o: o, started: time.Now(), names: names, reader: reader,
		gauges:     &gauges{names: names},
		turn:       make(chan struct{}, 1),
		outage:     outage.New(o.Logger, "push"),
		pastOutage: outage.New(o.Logger, "pushing history"),
		limits:     limits{values: maxValues},
		stats:      PushStats{Failures: map[otlp.Reason]int64{}},
	}
	p.liveResource, p.pastResource = resources(o)
	if o.Push.Delta {
		p.deltas = newDeltas()
	}
	p.agent = &agentMetrics{version: o.Version, values: o.Agent, stats: p.Stats}
	if err := errors.Join(p.gauges.register(meter), p.agent.register(meter, names.agent)); err != nil {
		return nil, err
	}
	return p, nil
}

// resources returns the resource of the points, and one with only the attributes
// that identify the sender: for any other, Prometheus writes a target_info series,
// which is out of order for old points, and refuses the points for it.
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

func (p *Pusher) take(ctx context.Context) error {
	select {
	case p.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *Pusher) release() { <-p.turn }

// PushNow pushes the current readings. The error is the first *otlp.Failure of the
// push, although the backend may have accepted other requests, or that of ctx.
func (p *Pusher) PushNow(ctx context.Context) error {
	at, delivered, err := p.pushLive(ctx)
	if err == nil || len(delivered) > 0 { // after our turn: Delivered may lead to a push
		p.o.Delivered(at, delivered)
	}
	return err
}

func (p *Pusher) pushLive(ctx context.Context) (at time.Time, delivered []netatmo.Reading, err error) {
	if err := p.take(ctx); err != nil {
		return at, nil, err
	}
	defer p.release()
	limited, cancel := context.WithTimeout(ctx, p.o.Push.ExportTimeout)
	defer cancel()
	if f, early := p.checkClock(limited); early {
		return at, nil, f
	} else if f != nil {
		return at, nil, p.conclude(ctx, f)
	}

	// The readings are taken in our turn: history that was pushed before is older
	// than these points. Who asked for a push until now gets this one.
	select {
	case <-p.o.Changed:
	default:
	}
	p.stamp, p.splits = p.nextStamp(), maxSplits
	if p.counting.IsZero() { // the clock may have been set since the start
		p.counting = p.stamp.Add(-time.Since(p.started))
	}
	var first *otlp.Failure
	p.mu.Lock()
	most := p.limits.values
	p.mu.Unlock()
	for _, r := range requests(p.names.origins(p.o.Readings(), p.stamp, p.o.Stale), most) {
		accepted, f := p.send(limited, r)
		delivered = append(delivered, accepted...)
		if first = cmp.Or(first, f); f != nil && !f.OfContent() {
			break // the next request would fare no better
		}
	}
	err = p.conclude(ctx, first)
	if len(delivered) > 0 && !p.accepted {
		p.o.Logger.Info("the backend accepted the first readings", "readings", len(delivered))
		p.accepted = true
	}
	return p.stamp, delivered, err
}

// untold is how long after the start the log does not mention that the time is
// not known yet.
const untold = 2 * time.Minute

// checkClock returns why nothing may be pushed now. If the time is not known,
// it sends the backend an empty request, whose answer may give it. early means
// that the log need not mention it yet.
func (p *Pusher) checkClock(ctx context.Context) (f *otlp.Failure, early bool) {
	unsure, fault := p.o.Clock()
	if fault != nil && unsure {
		if f := p.export(ctx, p.liveResource, nil); f != nil && !f.OfContent() {
			return f, false
		}
		_, fault = p.o.Clock()
	}
	if fault == nil {
		return nil, false
	}
	f = otlp.NewFailure(otlp.Clock, fault.Error()+"; nothing is pushed until it is known to be right", nil)
	return f, unsure && time.Since(p.started) < untold
}

// nextStamp returns the time for a push's points: now, in milliseconds as
// backends store it, and later than the last, because a series has one value at
// a time.
func (p *Pusher) nextStamp() time.Time {
	at := time.Now().Truncate(time.Millisecond)
	if ahead := p.stamp.Sub(at); ahead >= 0 && ahead < time.Second {
		at = p.stamp.Add(time.Millisecond)
	}
	return at
}

// maxSplits is how often a push divides requests at most. That finds each of 32
// modules that the backend refuses, or a few among thousands.
const maxSplits = 32

// send makes a live request and returns the readings that were accepted. It
// divides a request that is refused for its content, so that modules that the
// backend refuses cost no other.
func (p *Pusher) send(ctx context.Context, r liveRequest) ([]netatmo.Reading, *otlp.Failure) {
	points, f := p.exportLive(ctx, r)
	return p.divide(ctx, r, points, f)
}

func (p *Pusher) divide(ctx context.Context, r liveRequest, points int, f *otlp.Failure) ([]netatmo.Reading, *otlp.Failure) {
	if f == nil {
		return r.readings(), nil
	}
	if f.Reason == otlp.Partial {
		// Final by the specification: these points are not to be sent again, and
		// what was refused now will be refused later.
		if f.Rejected < int64(points) {
			return r.readings(), f
		}
		return nil, f
	}
	first, second, ok := r.halves()
	if !ok || !f.OfContent() || p.splits == 0 {
		return nil, f
	}
	p.splits--
	if f.Reason == otlp.TooLarge {
		p.shrinkTo(points / 2)
	}
	n1, f1 := p.exportLive(ctx, first)
	n2, f2 := p.exportLive(ctx, second)
	if r.own && f.Reason != otlp.TooLarge && f1 != nil && f2 != nil {
		p.splits = 0
		return nil, f // the backend accepts nothing at all
	}
	accepted, f1 := p.divide(ctx, first, n1, f1)
	more, f2 := p.divide(ctx, second, n2, f2)
	return append(accepted, more...), cmp.Or(f1, f2)
}

// exportLive makes one live request and counts what became of its points.
func (p *Pusher) exportLive(ctx context.Context, r liveRequest) (points int, f *otlp.Failure) {
	metrics, points, err := p.collect(ctx, r)
	if err != nil {
		f = otlp.Classify(err)
	} else {
		f = p.export(ctx, p.liveResource, metrics)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	accepted := 0
	switch {
	case f == nil:
		accepted = points
	case f.Reason == otlp.Partial:
		accepted = points - int(min(f.Rejected, int64(points)))
	}
	if p.deltas != nil && r.own && (f == nil || accepted > 0) {
		p.deltas.accept(metrics, p.stamp)
	}
	if p.stats.Points += int64(accepted); f == nil || accepted > 0 {
		p.stats.LastSuccess = time.Now()
	}
	if f != nil {
		p.stats.Failures[f.Reason]++
	}
	return points, f
}

// conclude ends a live push: it logs and counts the failure, if any.
func (p *Pusher) conclude(ctx context.Context, f *otlp.Failure) error {
	if err := ctx.Err(); f != nil && err != nil {
		return err // interrupted, which says nothing about the backend
	}
	p.mu.Lock()
	if f == nil || f.OfContent() {
		p.failed, p.away = 0, nil
		if past := p.pastFailure; past != nil {
			p.pastOutage.Failed(string(past.Reason), past)
		}
	} else {
		p.failed, p.away = p.failed+1, f
	}
	p.pastFailure = nil
	p.mu.Unlock()
	if f == nil {
		p.outage.OK()
		return nil
	}
	var until []any
	if wait := p.waiting(); wait != nil {
		until = []any{"waiting_until", time.Now().Add(wait.RetryAfter)}
	}
	p.outage.Failed(string(f.Reason), f, until...)
	return f
}
