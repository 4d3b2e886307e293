package telemetry

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"netatmo-agent/agent/netatmo"
)

// History is what one module measured at one time.
type History struct {
	Reading netatmo.Reading // whose identity counts
	Time    time.Time
	Values  netatmo.Values
}

// HistoryResult says how far PushHistory came: the first Accepted + Refused
// elements are dealt with.
type HistoryResult struct {
	Accepted, Refused int
	// RefusedBefore is the newest time that was refused as too old or out of
	// order; zero if none was.
	RefusedBefore time.Time
}

// PushHistory pushes values with their own times, oldest first, into the
// series of the live points, and gives way to live pushes between requests. What
// the backend cannot hold, because it is too old or older than what it has, is
// left out and counted. The error is a *Failure that may pass, or that of ctx;
// the request it struck is to be pushed again whole, as far as the result goes.
func (p *Pusher) PushHistory(ctx context.Context, points []History) (HistoryResult, error) {
	byTime := func(a, b History) int { return a.Time.Compare(b.Time) }
	if !slices.IsSortedFunc(points, byTime) {
		points = slices.Clone(points)
		slices.SortStableFunc(points, byTime)
	}
	b := &backfill{p: p}
	var done HistoryResult
	var err error
	for len(points) > 0 && err == nil {
		n := fitting(points)
		if err = b.deliver(ctx, points[:n]); err == nil {
			done = b.result
		}
		points = points[n:]
	}
	if b.refusal != nil {
		p.sayRefused(b)
	}
	p.noteHistory(b, err)
	return done, err
}

// noteHistory keeps a failure of history in mind. It is said after the next live
// push if that finds a working backend; else that push says all there is to say.
func (p *Pusher) noteHistory(b *backfill, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f, ok := errors.AsType[*Failure](err); ok && b.struck {
		p.pastFailure = f
	} else if err == nil {
		p.pastFailure = nil
		p.pastOutage.OK()
	}
}

// fitting returns how many of points, one at least, fit one request.
func fitting(points []History) int {
	values := 0
	for i := range points {
		if values += len(points[i].Values); values > maxPoints {
			return max(i, 1)
		}
	}
	return len(points)
}

// sayRefused says once how to make the backend take history, later only that
// it did not.
func (p *Pusher) sayRefused(b *backfill) {
	p.mu.Lock()
	said := p.saidRefused
	p.saidRefused = true
	p.mu.Unlock()
	log := p.o.Logger.With("measurements", b.result.Refused)
	if newest := b.result.RefusedBefore; !newest.IsZero() {
		log = log.With("newest", newest.Format(time.RFC3339))
	}
	if said {
		log.Info("the backend refused history again", "reason", b.refusal.Reason)
		return
	}
	log.Warn("the backend refused history, which is left out", "error", b.refusal)
}

// backfill is one PushHistory.
type backfill struct {
	p       *Pusher
	result  HistoryResult
	refusal *Failure // the last

	struck       bool // the last request was made and failed
	asked, takes bool // see takesOthers
	mute         bool // the backend does not say why it refuses
}

// deliver pushes what fits one request and sees to it that all of it is
// accepted or refused for good.
func (b *backfill) deliver(ctx context.Context, points []History) error {
	return b.settle(ctx, points, b.push(ctx, points))
}

// settle deals with what came of pushing points. The backend is all or
// nothing: one point that it cannot hold costs the request.
func (b *backfill) settle(ctx context.Context, points []History, err error) error {
	f, ok := errors.AsType[*Failure](err)
	switch {
	case err == nil:
		b.result.Accepted += len(points)
		return nil
	case !ok:
		return err
	case f.Reason == reasonPartial:
		refused := int(min(f.Rejected, int64(len(points))))
		b.refusal = f
		b.result.Accepted += len(points) - refused
		b.result.Refused += refused
		return nil
	case f.Reason == reasonTooLarge && len(points) > 1:
		half := len(points) / 2
		return b.deliverBoth(ctx, points[:half], points[half:])
	case f.ofTime():
		if mayDiffer(points, f) {
			if some, others := byModule(points); len(others) > 0 {
				return b.deliverBoth(ctx, some, others)
			}
		}
		return b.shed(ctx, points, f)
	}
	return f
}

// nearPast is the age below which Prometheus takes a point without an
// out-of-order window, if it is the newest of its series: an hour, and some
// minutes for a backend that is behind.
const nearPast = 70 * time.Minute

// mayDiffer reports whether the limit that f tells of may be another for each
// module: that of order is, by its newest point; that of age is the same for
// all, unless it is near.
func mayDiffer(points []History, f *Failure) bool {
	return f.Reason == reasonOutOfOrder || time.Since(points[0].Time) < nearPast
}

func (b *backfill) deliverBoth(ctx context.Context, first, second []History) error {
	if err := b.deliver(ctx, first); err != nil {
		return err
	}
	return b.deliver(ctx, second)
}

// shed leaves out the oldest points and pushes the rest; if need be again and
// again. It goes from old to new, because a backend without an out-of-order
// window takes nothing older than what it took; so a test in the middle could
// cost what it was to save.
func (b *backfill) shed(ctx context.Context, points []History, f *Failure) error {
	old, rest := points[:oldest(points)], points[oldest(points):]
	err := b.push(ctx, rest)
	if err == nil && (f.Reason == reasonTooOld || b.mute) {
		b.result.Accepted += len(rest)
		return b.sift(ctx, old, f)
	}
	if next, failed := errors.AsType[*Failure](err); err != nil && (!failed || !next.ofContent()) {
		return err
	}
	b.refuse(old, f)
	return b.settle(ctx, rest, err)
}

// sift finds which of points, the last that were shed, the backend does take:
// the limit of its out-of-order window runs through them. Within a window the
// order does not matter, so the newer half is tried first.
func (b *backfill) sift(ctx context.Context, points []History, f *Failure) error {
	for len(points) > 0 {
		half := sameTimeStart(points, len(points)/2)
		err := b.push(ctx, points[half:])
		next, failed := errors.AsType[*Failure](err)
		switch {
		case err == nil:
			b.result.Accepted += len(points) - half
			points = points[:half]
		case failed && next.Reason == reasonPartial:
			b.refuse(points[:half], f)
			return b.settle(ctx, points[half:], err)
		case !failed || !next.ofTime():
			return err
		case half == 0:
			b.refuse(points, next)
			return nil
		default:
			b.refuse(points[:half], f)
			points = points[half:]
		}
	}
	return nil
}

func (b *backfill) refuse(points []History, f *Failure) {
	if len(points) == 0 {
		return
	}
	b.refusal = f
	b.result.Refused += len(points)
	if newest := points[len(points)-1].Time; newest.After(b.result.RefusedBefore) {
		b.result.RefusedBefore = newest
	}
	values := 0
	for i := range points {
		values += b.p.names.values(&points[i])
	}
	b.p.mu.Lock()
	b.p.stats.BackfillRefused += int64(values)
	b.p.mu.Unlock()
}

// oldest returns how many of points to leave out at once: those of the oldest
// sixteenth of their age. In the near past it is those of the oldest time, so
// that not one is left out that a backend without a window could hold.
func oldest(points []History) int {
	first := points[0].Time
	until := first
	if age := time.Since(first); age > nearPast {
		until = first.Add(age / 16)
	}
	n, _ := slices.BinarySearchFunc(points, until, func(h History, t time.Time) int {
		if h.Time.Equal(first) || h.Time.Before(t) {
			return -1
		}
		return 1
	})
	return n
}

// sameTimeStart returns the index of the first point with the time of point i.
func sameTimeStart(points []History, i int) int {
	n, _ := slices.BinarySearchFunc(points, points[i].Time, func(h History, t time.Time) int {
		return h.Time.Compare(t)
	})
	return n
}

// byModule splits points in two by half of their modules; others is empty for
// one module.
func byModule(points []History) (some, others []History) {
	type key struct{ module, station string }
	number := map[key]int{}
	for _, h := range points {
		k := key{h.Reading.ModuleID, h.Reading.StationID}
		if _, ok := number[k]; !ok {
			number[k] = len(number)
		}
	}
	for _, h := range points {
		if number[key{h.Reading.ModuleID, h.Reading.StationID}] < (len(number)+1)/2 {
			some = append(some, h)
		} else {
			others = append(others, h)
		}
	}
	return some, others
}

// push makes one request of points, in its turn.
func (b *backfill) push(ctx context.Context, points []History) error {
	p := b.p
	if err := p.take(ctx); err != nil {
		return err
	}
	defer p.release()
	b.struck = false
	if !p.o.ClockOK() {
		return newFailure(reasonClock, "", nil)
	}
	if f := cmp.Or(p.waiting(), p.backendAway()); f != nil {
		return f
	}
	metrics, values := p.names.history(points)
	if values == 0 {
		return nil
	}
	f := p.export(ctx, p.pastResource, metrics)
	if err := ctx.Err(); f != nil && err != nil {
		return err
	}
	b.struck = f != nil
	if f != nil && f.Reason == reasonRefused && b.takesOthers(ctx) {
		b.mute = true
		f = &Failure{
			Reason: reasonOutOfOrder, Err: f,
			What:   "the backend takes other points, but not these; if it does not say why, they are most likely too old (" + f.What + ")",
			Remedy: admitHistory,
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case f == nil:
		p.stats.BackfillPoints += int64(values)
		return nil
	case f.Reason == reasonPartial:
		refused := min(f.Rejected, int64(values))
		p.stats.BackfillPoints += int64(values) - refused
		p.stats.BackfillRefused += refused
	case !f.ofTime():
		p.stats.Failures[f.Reason]++
	}
	return f
}

// takesOthers asks, once, whether the backend takes a point of this moment. If
// it does, it is the times of the others that it refuses: a Collector passes on
// that the backend behind it refused, but not why (observed). The turn must be
// held.
func (b *backfill) takesOthers(ctx context.Context) bool {
	if !b.asked {
		b.asked = true
		b.takes = b.p.export(ctx, b.p.pastResource, sign(b.p.o.Version)) == nil
	}
	return b.takes
}

// values returns how many of a measurement's values are reported.
func (n *naming) values(h *History) int {
	if !n.reports(h.Reading) {
		return 0
	}
	count := 0
	for _, v := range h.Values {
		if n.readings[v.Field] != nil {
			count++
		}
	}
	return count
}

// history returns points as metrics, each with its own time and ascending
// within a series, and the number of values.
func (n *naming) history(points []History) (metrics []metricdata.Metrics, values int) {
	var byField [256][]metricdata.DataPoint[float64]
	for i := range points {
		h := &points[i]
		if !n.reports(h.Reading) {
			continue
		}
		set := n.set(nil, &h.Reading)
		for _, v := range h.Values {
			if m := n.readings[v.Field]; m != nil {
				byField[v.Field] = append(byField[v.Field], metricdata.DataPoint[float64]{
					Attributes: set, Time: h.Time, Value: number(m, v),
				})
			}
		}
	}
	for field, points := range byField {
		if len(points) > 0 {
			m := n.readings[field]
			metrics = append(metrics, metricdata.Metrics{
				Name: m.Name, Unit: m.Unit, Description: m.Description,
				Data: metricdata.Gauge[float64]{DataPoints: points},
			})
			values += len(points)
		}
	}
	return metrics, values
}
