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

// PushHistory pushes values with their own times, oldest first, into the
// series of the live points, and gives way to live pushes between requests. What
// the backend cannot hold, because it is too old or older than what it has, is
// left out and counted: refused is how many of those done they are. The error is
// a *Failure that may pass, or that of ctx; done is how many points, from the
// oldest on, are dealt with all the same, the others are to be pushed again.
func (p *Pusher) PushHistory(ctx context.Context, points []netatmo.Measurement) (done, refused int, err error) {
	byTime := func(a, b netatmo.Measurement) int { return a.Time.Compare(b.Time) }
	if !slices.IsSortedFunc(points, byTime) {
		points = slices.Clone(points)
		slices.SortStableFunc(points, byTime)
	}
	if err = p.take(ctx); err != nil {
		return 0, 0, err
	}
	h := &historyPush{p: p, spare: p.names.spare(points)}
	p.release()
	for len(points) > done && err == nil {
		n := fitting(points[done:])
		if err = h.deliver(ctx, points[done:done+n]); err == nil {
			done, refused = done+n, h.refused
		}
	}
	if h.refusal != nil {
		p.sayRefused(h)
	}
	p.noteHistory(h, err)
	return done, refused, err
}

// noteHistory keeps a failure of history in mind. It is said after the next live
// push if that finds a working backend; else that push says all there is to say.
func (p *Pusher) noteHistory(h *historyPush, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f, ok := errors.AsType[*Failure](err); ok && h.struck {
		p.pastFailure = f
	} else if err == nil {
		p.pastFailure = nil
		p.pastOutage.OK()
	}
}

// fitting returns how many of points, one at least, fit one request.
func fitting(points []netatmo.Measurement) int {
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
func (p *Pusher) sayRefused(h *historyPush) {
	p.mu.Lock()
	said := p.saidRefused
	p.saidRefused = true
	p.mu.Unlock()
	log := p.o.Logger.With("measurements", h.refused)
	if !h.newest.IsZero() {
		log = log.With("newest", h.newest.Format(time.RFC3339))
	}
	if said {
		log.Info("the backend refused history again", "reason", h.refusal.Reason)
		return
	}
	log.Warn("the backend refused history, which is left out", "error", h.refusal)
}

// historyPush is one PushHistory.
type historyPush struct {
	p       *Pusher
	spare   map[member]bool // modules that are left out, see naming.spare
	refused int             // points that the backend cannot hold
	newest  time.Time       // of those that are too old or out of order for it
	refusal *Failure        // the last

	struck       bool // the last request was made and failed
	asked, takes bool // see takesOthers
	mute         bool // the backend does not say why it refuses
}

// deliver pushes what fits one request and sees to it that all of it is
// accepted or refused for good.
func (h *historyPush) deliver(ctx context.Context, points []netatmo.Measurement) error {
	return h.settle(ctx, points, h.push(ctx, points))
}

// settle deals with what came of pushing points. The backend is all or
// nothing: one point that it cannot hold costs the request.
func (h *historyPush) settle(ctx context.Context, points []netatmo.Measurement, err error) error {
	f, ok := errors.AsType[*Failure](err)
	switch {
	case err == nil:
		return nil
	case !ok:
		return err
	case f.Reason == reasonPartial:
		h.refusal = f
		h.refused += int(min(f.Rejected, int64(len(points))))
		return nil
	case f.Reason == reasonTooLarge && len(points) > 1:
		half := len(points) / 2
		return h.deliverBoth(ctx, points[:half], points[half:])
	case f.ofTime():
		if mayDiffer(points, f) {
			if some, others := byModule(points); len(others) > 0 {
				return h.deliverBoth(ctx, some, others)
			}
		}
		return h.shed(ctx, points, f)
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
func mayDiffer(points []netatmo.Measurement, f *Failure) bool {
	return f.Reason == reasonOutOfOrder || time.Since(points[0].Time) < nearPast
}

func (h *historyPush) deliverBoth(ctx context.Context, first, second []netatmo.Measurement) error {
	if err := h.deliver(ctx, first); err != nil {
		return err
	}
	return h.deliver(ctx, second)
}

// shed leaves out the oldest points and pushes the rest; if need be again and
// again. It goes from old to new, because a backend without an out-of-order
// window takes nothing older than what it took; so a test in the middle could
// cost what it was to save.
func (h *historyPush) shed(ctx context.Context, points []netatmo.Measurement, f *Failure) error {
	old, rest := points[:oldest(points)], points[oldest(points):]
	err := h.push(ctx, rest)
	if err == nil && (f.Reason == reasonTooOld || h.mute) {
		return h.sift(ctx, old, f)
	}
	if next, failed := errors.AsType[*Failure](err); err != nil && (!failed || !next.ofContent()) {
		return err
	}
	h.refuse(old, f)
	return h.settle(ctx, rest, err)
}

// sift finds which of points, the last that were shed, the backend does take:
// the limit of its out-of-order window runs through them. Within a window the
// order does not matter, so the newer half is tried first.
func (h *historyPush) sift(ctx context.Context, points []netatmo.Measurement, f *Failure) error {
	for len(points) > 0 {
		half := sameTimeStart(points, len(points)/2)
		err := h.push(ctx, points[half:])
		next, failed := errors.AsType[*Failure](err)
		switch {
		case err == nil:
			points = points[:half]
		case failed && next.Reason == reasonPartial:
			h.refuse(points[:half], f)
			return h.settle(ctx, points[half:], err)
		case !failed || !next.ofTime():
			return err
		case half == 0:
			h.refuse(points, next)
			return nil
		default:
			h.refuse(points[:half], f)
			points = points[half:]
		}
	}
	return nil
}

func (h *historyPush) refuse(points []netatmo.Measurement, f *Failure) {
	if len(points) == 0 {
		return
	}
	h.refusal = f
	h.refused += len(points)
	if newest := points[len(points)-1].Time; newest.After(h.newest) {
		h.newest = newest
	}
	values := 0
	for i := range points {
		values += h.values(&points[i])
	}
	h.p.mu.Lock()
	h.p.stats.BackfillRefused += int64(values)
	h.p.mu.Unlock()
}

// oldest returns how many of points to leave out at once: those of the oldest
// sixteenth of their age. In the near past it is those of the oldest time, so
// that not one is left out that a backend without a window could hold.
func oldest(points []netatmo.Measurement) int {
	first := points[0].Time
	until := first
	if age := time.Since(first); age > nearPast {
		until = first.Add(age / 16)
	}
	n, _ := slices.BinarySearchFunc(points, until, func(h netatmo.Measurement, t time.Time) int {
		if h.Time.Equal(first) || h.Time.Before(t) {
			return -1
		}
		return 1
	})
	return n
}

// sameTimeStart returns the index of the first point with the time of point i.
func sameTimeStart(points []netatmo.Measurement, i int) int {
	n, _ := slices.BinarySearchFunc(points, points[i].Time, func(h netatmo.Measurement, t time.Time) int {
		return h.Time.Compare(t)
	})
	return n
}

// byModule splits points in two by half of their modules; others is empty for
// one module.
func byModule(points []netatmo.Measurement) (some, others []netatmo.Measurement) {
	number := map[member]int{}
	for i := range points {
		k := memberOf(&points[i].Reading)
		if _, ok := number[k]; !ok {
			number[k] = len(number)
		}
	}
	for _, h := range points {
		if number[memberOf(&h.Reading)] < (len(number)+1)/2 {
			some = append(some, h)
		} else {
			others = append(others, h)
		}
	}
	return some, others
}

// push makes one request of points, in its turn.
func (h *historyPush) push(ctx context.Context, points []netatmo.Measurement) error {
	p := h.p
	if err := p.take(ctx); err != nil {
		return err
	}
	defer p.release()
	h.struck = false
	if !p.o.ClockOK() {
		return newFailure(reasonClock, "", nil)
	}
	if f := cmp.Or(p.waiting(), p.backendAway()); f != nil {
		return f
	}
	metrics, values := h.metrics(points)
	if values == 0 {
		return nil
	}
	f := p.export(ctx, p.pastResource, metrics)
	if err := ctx.Err(); f != nil && err != nil {
		return err
	}
	h.struck = f != nil
	if f != nil && f.Reason == reasonRefused && h.takesOthers(ctx) {
		h.mute = true
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
func (h *historyPush) takesOthers(ctx context.Context) bool {
	if !h.asked {
		h.asked = true
		h.takes = h.p.export(ctx, h.p.pastResource, infoPoint(h.p.o.Version)) == nil
	}
	return h.takes
}

// values returns how many of a measurement's values are reported.
func (h *historyPush) values(m *netatmo.Measurement) int {
	if !h.reports(m) {
		return 0
	}
	count := 0
	for _, v := range m.Values {
		if h.p.names.readings[v.Field] != nil {
			count++
		}
	}
	return count
}

func (h *historyPush) reports(m *netatmo.Measurement) bool {
	return h.p.names.reports(m.Reading) && !h.spare[memberOf(&m.Reading)]
}

// metrics returns points as metrics, each with its own time and ascending
// within a series, and the number of values. The turn must be held.
func (h *historyPush) metrics(points []netatmo.Measurement) (metrics []metricdata.Metrics, values int) {
	var byField [netatmo.FieldEnd][]metricdata.DataPoint[float64]
	n := h.p.names
	for i := range points {
		pt := &points[i]
		if !h.reports(pt) {
			continue
		}
		set := n.set(&pt.Reading, "")
		for _, v := range pt.Values {
			if m := n.readings[v.Field]; m != nil {
				byField[v.Field] = append(byField[v.Field], metricdata.DataPoint[float64]{
					Attributes: set, Time: pt.Time, Value: number(m, v),
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
