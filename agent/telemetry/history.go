package telemetry

import (
	"cmp"
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/otlp"
	"netatmo-agent/agent/record"
)

// regrow is how long until history requests grow again. A backend with a short
// fault can look like one with a size limit.
const regrow = 10 * time.Minute

// PushHistory pushes samples of a module, ascending in time, with their own times,
// into the series of its live points. Live pushes go between its requests. What the
// backend refuses for good is counted and dropped. The error is a temporary
// *otlp.Failure, or that of ctx.
func (p *Pusher) PushHistory(ctx context.Context, module netatmo.Reading, samples []netatmo.Sample) (record.Delivery, error) {
	if err := p.take(ctx); err != nil {
		return record.Delivery{}, err
	}
	h := &historyPush{p: p, sets: p.names.setsOf(&module, samples), shown: p.names.shows(&module, p.o.Readings)}
	p.release()
	done, err := h.deliver(ctx, samples)
	if h.refusal != nil {
		p.logRefused(h)
	}
	p.noteHistory(h, err)
	refused := min(h.refused, done)
	return record.Delivery{Refused: refused, Accepted: done - refused}, err
}

// noteHistory remembers a failure of history. It is logged after the next live push
// if that finds a working backend; else that push logs all there is to say.
func (p *Pusher) noteHistory(h *historyPush, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f, ok := errors.AsType[*otlp.Failure](err); ok && h.struck {
		p.pastFailure = f
	} else if err == nil {
		p.pastFailure = nil
		p.pastOutage.OK()
	}
}

// logRefused says once how to make the backend accept history, later only how much
// more it refused, at most once an hour.
func (p *Pusher) logRefused(h *historyPush) {
	p.mu.Lock()
	first := p.saidRefused.IsZero()
	p.unsaidRefused += h.refused
	n := p.unsaidRefused
	due := time.Since(p.saidRefused) >= time.Hour
	if due {
		p.saidRefused, p.unsaidRefused = time.Now(), 0
	}
	p.mu.Unlock()
	if !due {
		return
	}
	log := p.o.Logger.With("measurements", n)
	if !h.newest.IsZero() {
		log = log.With("newest", h.newest.Format(time.RFC3339))
	}
	if first {
		log.Warn("the backend refused history, which is now dropped", "error", h.refusal)
	} else {
		log.Info("the backend refused more history", "reason", h.refusal.Reason)
	}
}

// historyPush is one PushHistory.
type historyPush struct {
	p       *Pusher
	sets    map[netatmo.Field]attribute.Set // of the module's series
	shown   bool                            // the module's points go into these series
	refused int                             // samples that the backend cannot hold
	newest  time.Time                       // of those that are too old or out of order for it
	refusal *otlp.Failure                   // the last

	struck bool // the last request was made and failed
	trying bool // accepted samples are pushed again, and counted then
}

// deliver delivers samples, oldest first, in requests as large as the backend
// accepts. If a large request fails while live pushes succeed, it concludes only
// that a smaller one may succeed.
func (h *historyPush) deliver(ctx context.Context, samples []netatmo.Sample) (done int, err error) {
	for done < len(samples) {
		n, err := h.next(ctx, samples[done:])
		if done += n; err != nil {
			return done, err
		}
	}
	return done, nil
}

// next deals with the oldest of samples, or finds that requests must be smaller.
func (h *historyPush) next(ctx context.Context, samples []netatmo.Sample) (done int, err error) {
	if h.p.likelyTooOld(samples[0].Time) {
		return h.shed(ctx, samples)
	}
	chunk := h.p.fitting(samples)
	f, err := h.push(ctx, chunk)
	alone := len(chunk) == 1
	switch {
	case err != nil:
		return 0, err
	case f == nil:
		return len(chunk), nil
	case f.Reason == otlp.Partial:
		h.refusal = f
		h.refused += int(min(f.Rejected, int64(len(chunk))))
		return len(chunk), nil
	case f.OfTime():
		return h.shed(ctx, chunk)
	case f.Reason == otlp.TooLarge && alone:
		h.refuse(chunk, f)
		return 1, nil
	case f.Reason == otlp.TooLarge:
	case !f.MayBeOfSize() || alone && f.Reason != otlp.Refused || !h.livePasses(ctx):
		return 0, f
	case f.Reason == otlp.Refused && alone:
		return h.shed(ctx, chunk)
	case f.Reason == otlp.Refused:
		// For its size or for the age of its samples: the oldest alone has no size.
		switch g, err := h.push(ctx, chunk[:1]); {
		case err != nil:
			return 0, err
		case g == nil:
			done = 1
		case g.OfContent():
			return h.shed(ctx, chunk)
		default:
			return 0, g
		}
	}
	h.p.shrink(chunk)
	return done, nil
}

// nearPast is the age below which Prometheus accepts a point without an
// out-of-order window, if it is the newest of its series: an hour, and some minutes
// for a backend that is behind.
const nearPast = 70 * time.Minute

// shed finds the oldest sample that the backend accepts, drops those before it, and
// returns how many that are. It asks with single samples, so that no size can be in
// the way, and goes from old to new, because a backend without an out-of-order
// window accepts nothing older than what it has accepted.
func (h *historyPush) shed(ctx context.Context, samples []netatmo.Sample) (dropped int, err error) {
	var refusal *otlp.Failure
	defer func() { h.refuse(samples[:dropped], refusal) }()
	first, accepted := 0, -1 // all before first are refused; accepted is, -1: none yet
	for first != accepted && first < len(samples) {
		try := (first + accepted) / 2
		if accepted < 0 {
			try = first + h.p.oldest(samples[first:]) - 1
		}
		ok, f, err := h.accepts(ctx, samples[try:try+1])
		if err != nil {
			return first, err
		}
		if ok {
			accepted = try
			continue
		}
		refusal, first = f, try+1
		if f.Reason == otlp.TooOld {
			h.p.learnTooOld(samples[try].Time)
		}
	}
	if accepted >= 0 {
		h.p.learnAccepted(samples[first].Time)
	}
	return first, nil
}

// accepts reports whether the backend accepts one sample. If not, f says why.
func (h *historyPush) accepts(ctx context.Context, sample []netatmo.Sample) (ok bool, f *otlp.Failure, err error) {
	h.trying = true
	f, err = h.push(ctx, sample)
	h.trying = false
	switch {
	case err != nil:
		return false, nil, err
	case f == nil, f.Reason == otlp.Partial:
		return true, nil, nil
	case f.OfTime(), f.Reason == otlp.TooLarge:
		return false, f, nil
	case f.Reason == otlp.Refused && (h.p.workedJustNow() || h.livePasses(ctx)):
		// A Collector reports that its backend refused the points, but not why.
		return false, &otlp.Failure{
			Reason: otlp.TooOld, Err: f,
			What:   "the backend accepts other points, but not these; if it does not say why, they are most likely too old (" + f.What + ")",
			Remedy: otlp.AdmitHistory,
		}, nil
	}
	return false, nil, f
}

// refuse counts samples that the backend cannot hold.
func (h *historyPush) refuse(samples []netatmo.Sample, f *otlp.Failure) {
	if len(samples) == 0 {
		return
	}
	h.refusal = f
	h.refused += len(samples)
	if newest := samples[len(samples)-1].Time; newest.After(h.newest) {
		h.newest = newest
	}
	_, values := h.metrics(samples)
	h.p.mu.Lock()
	h.p.stats.BackfillRefused += int64(values)
	h.p.mu.Unlock()
}

// push makes one request of samples, in its turn. f is the backend's failure, err
// why there was no request.
func (h *historyPush) push(ctx context.Context, samples []netatmo.Sample) (f *otlp.Failure, err error) {
	p := h.p
	if err := p.take(ctx); err != nil {
		return nil, err
	}
	defer p.release()
	h.struck = false
	if _, fault := p.o.Clock(); fault != nil {
		return nil, otlp.NewFailure(otlp.Clock, fault.Error(), nil)
	}
	if f := cmp.Or(p.waiting(), p.backendAway()); f != nil {
		return nil, f
	}
	metrics, values := h.metrics(samples)
	if values == 0 {
		return nil, nil
	}
	f = p.exportPast(ctx, metrics)
	if err := ctx.Err(); f != nil && err != nil {
		return nil, err
	}
	h.struck = f != nil
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case h.trying:
	case f == nil:
		p.stats.BackfillPoints += int64(values)
	case f.Reason == otlp.Partial:
		refused := min(f.Rejected, int64(values))
		p.stats.BackfillPoints += int64(values) - refused
		p.stats.BackfillRefused += refused
	case !f.OfContent():
		p.stats.Failures[f.Reason]++
	}
	return f, nil
}

// exportPast makes one request of history, with the resource of live points, so that
// it goes into the same series. Where the backend refuses that but accepts it with
// the identifying attributes alone, it stays with these. The turn must be held.
func (p *Pusher) exportPast(ctx context.Context, metrics []metricdata.Metrics) *otlp.Failure {
	if p.identifying || len(p.o.Push.Attributes) == 0 {
		return p.export(ctx, p.pastResource, metrics)
	}
	f := p.export(ctx, p.liveResource, metrics)
	if f == nil || !f.OfTime() && f.Reason != otlp.Refused {
		return f
	}
	if p.export(ctx, p.pastResource, metrics) != nil {
		return f
	}
	p.identifying = true
	p.o.Logger.Warn("the backend refuses history with OTEL_RESOURCE_ATTRIBUTES; history is now sent without them", "reason", f.Reason)
	return nil
}

// livePasses reports whether the backend accepts a current point. If so, it
// refused the other points for their content or number.
func (h *historyPush) livePasses(ctx context.Context) bool {
	if err := h.p.take(ctx); err != nil {
		return false
	}
	defer h.p.release()
	if h.p.export(ctx, h.p.liveResource, infoPoint(h.p.o.Version)) != nil {
		return false
	}
	h.p.mu.Lock()
	defer h.p.mu.Unlock()
	h.p.stats.LastSuccess = time.Now()
	return true
}

// metrics returns samples as metrics, each with its own time and ascending within a
// series, and the number of values.
func (h *historyPush) metrics(samples []netatmo.Sample) (metrics []metricdata.Metrics, values int) {
	if !h.shown {
		return nil, 0
	}
	var byField [netatmo.FieldEnd][]metricdata.DataPoint[float64]
	rows := &h.p.names.readings
	for _, s := range samples {
		for _, v := range s.Values {
			if row := rows[v.Field]; row != nil {
				byField[row.Field] = append(byField[row.Field], metricdata.DataPoint[float64]{
					Attributes: h.sets[v.Field], Time: s.Time, Value: number(row, v),
				})
			}
		}
	}
	for field, points := range byField {
		if len(points) > 0 {
			row := rows[field]
			metrics = append(metrics, metricdata.Metrics{
				Name: row.Name, Unit: row.Unit, Description: row.Description,
				Data: metricdata.Gauge[float64]{DataPoints: points},
			})
			values += len(points)
		}
	}
	return metrics, values
}
