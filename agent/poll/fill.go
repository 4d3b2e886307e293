package poll

import (
	"context"
	"slices"
	"time"

	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/outage"
)

const (
	firstRetry = 5 * time.Second // after a failure of the cloud or the sink
	mostRetry  = 5 * time.Minute

	// keepBatch is for how long a batch that the sink does not take is kept;
	// then it is read again, with what was uploaded meanwhile.
	keepBatch = time.Hour
)

// filler delivers the history of windows, one round after another.
type filler struct {
	p        *Poller
	outage   *outage.Log
	batch    *batch    // that the sink did not take yet
	failures int       // rounds that failed in a row
	retry    time.Time // not before

	samples int       // dealt with since the log last said so
	refused int       // of these by the backend, which has said so itself
	from    time.Time // of the oldest of them
	to      time.Time // of the newest
	late    int       // delivered by second looks
	clipped bool      // the log has been told that some are left out
}

// fillGaps delivers what is missing until ctx ends.
func (p *Poller) fillGaps(ctx context.Context) {
	f := filler{p: p, outage: outage.New(p.cfg.Logger, "reading the history")}
	for ctx.Err() == nil {
		round, wait := f.next(time.Now())
		if wait == 0 {
			f.fill(ctx, round)
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-p.fill:
			f.retry = time.Time{}
		case <-timer.C:
		}
		timer.Stop()
	}
}

// next returns the windows of the next round, none if there is a batch to
// deliver first, or how long there is nothing to do.
func (f *filler) next(now time.Time) (round []*window, wait time.Duration) {
	p := f.p
	if ok, _ := p.clock.ok(); !ok {
		return nil, time.Minute
	}
	if now.Before(f.retry) {
		return nil, f.retry.Sub(now)
	}
	if f.batch != nil && now.Sub(f.batch.began) < keepBatch {
		return nil, 0
	}
	f.batch = nil
	p.mu.Lock()
	defer p.mu.Unlock()
	wait = time.Hour
	oldest := p.clock.now().Add(-p.cfg.MaxGap)
	var due []*window
	var readings map[string][]netatmo.Reading
	for _, w := range slices.Clone(p.windows) {
		if now.Before(w.notBefore) {
			wait = min(wait, w.notBefore.Sub(now))
			continue
		}
		if readings == nil {
			readings = p.history.byModule(p.snapshot.all)
		}
		if w.readings = readings[w.module]; len(w.readings) == 0 {
			p.forget(w)
			continue
		}
		if w.done.Before(oldest) {
			f.clip(w, oldest)
		}
		if w.end = w.to; w.open() {
			due = append(due, w)
		} else {
			p.finish(w)
		}
	}
	if len(due) > 0 {
		wait = 0
	}
	return nextPage(foremost(due)), wait
}

// Whose turn it is among windows that are due, first to last.
const (
	ofStation = iota
	ofRoom    // there may be hundreds: the values of a few stations are not to wait for them
	ofLook    // nothing is held for it
	ofFailure // again and again: the others are not to wait for it
)

// stubborn is after how many failures in a row a window has to let all others go first.
const stubborn = 3

func (w *window) turn() int {
	switch {
	case w.failures >= stubborn:
		return ofFailure
	case w.again:
		return ofLook
	case w.readings[0].ModuleType == netatmo.TypeRoom:
		return ofRoom
	}
	return ofStation
}

// foremost returns the windows whose turn comes first. Live values are held for
// a short time only, and Netatmo's limits can let few windows be read in it.
func foremost(due []*window) []*window {
	first := ofFailure
	for _, w := range due {
		first = min(first, w.turn())
	}
	return slices.DeleteFunc(due, func(w *window) bool { return w.turn() > first })
}

// clip leaves out the part of w that is older than what may be filled.
func (f *filler) clip(w *window, oldest time.Time) {
	if !f.clipped && !w.again {
		f.clipped = true
		f.p.cfg.Logger.Warn("a gap is longer than NETATMO_BACKFILL allows to fill: its older part is left out; the backfill command can push it",
			"missing_since", w.done, "filled_since", oldest)
	}
	w.done = oldest
}

// fill does one round: a page of each window, then one delivery of all. What
// the sink does not take is kept for the next round.
func (f *filler) fill(ctx context.Context, round []*window) {
	p := f.p
	b, readErr := f.batch, error(nil)
	if b == nil {
		b, readErr = p.history.read(ctx, round, netatmo.History)
	}
	before := b.delivered
	pushErr := f.push(ctx, b)

	p.mu.Lock()
	b.settle()
	f.count(b, before)
	closed := p.move(b.read)
	if pushErr != nil {
		p.holdAgain()
	}
	if historyRefused(readErr) {
		p.giveUp(round[len(b.read)], readErr)
		readErr, closed = nil, true
	}
	f.report()
	p.mu.Unlock()

	if ctx.Err() != nil {
		return
	}
	f.judge(readErr, pushErr)
	if closed || b.delivered > before {
		signal(p.save)
	}
	if closed {
		p.sink.Wake() // live values that waited
	}
}

// push delivers a batch, and keeps it if that fails.
func (f *filler) push(ctx context.Context, b *batch) error {
	f.batch = nil
	rest := b.points[b.delivered:]
	if len(rest) == 0 {
		return nil
	}
	done, refused, err := f.p.sink.PushHistory(ctx, rest)
	f.refused += refused
	if err == nil {
		done = len(rest)
	} else {
		f.batch = b
	}
	b.delivered += done
	return err
}

// move takes the progress of windows into the marks, and reports whether a gap
// is closed.
func (p *Poller) move(windows []*window) (closed bool) {
	for _, w := range windows {
		if !slices.Contains(p.windows, w) {
			continue // its module went away meanwhile
		}
		if !w.again {
			p.advance(w.module, w.done)
		} else if n := len(w.delivered); n > 0 { // its end is the present, where there may be nothing yet
			p.advance(w.module, time.Unix(w.delivered[n-1], 0))
		}
		if !w.open() {
			closed = closed || !w.again
			p.finish(w)
		}
	}
	return closed
}

// count notes the samples that were delivered, those from before on.
func (f *filler) count(b *batch, before int) {
	for i := before; i < b.delivered; i++ {
		w, t := b.owners[i], b.points[i].Time
		at, had := slices.BinarySearch(w.delivered, t.Unix())
		if had {
			continue // the same under the module's other identity
		}
		w.delivered = slices.Insert(w.delivered, at, t.Unix())
		if w.again {
			f.late++
			continue
		}
		if f.samples == 0 || t.Before(f.from) {
			f.from = t
		}
		f.samples, f.to = f.samples+1, later(f.to, t)
	}
}

// report tells the log once all gaps are filled.
func (f *filler) report() {
	if f.late > 0 {
		f.p.cfg.Logger.Debug("readings that came late are filled in", "samples", f.late)
		f.late = 0
	}
	if slices.ContainsFunc(f.p.windows, func(w *window) bool { return !w.again }) {
		return
	}
	if taken := f.samples - f.refused; taken > 0 {
		f.p.cfg.Logger.Info("gap filled from Netatmo's history", "from", f.from, "to", f.to, "samples", taken)
	}
	f.samples, f.refused, f.to, f.clipped = 0, 0, time.Time{}, false
}

// judge says what went wrong and waits longer the more often it did. What the
// sink cannot deliver, the sink reports.
func (f *filler) judge(readErr, pushErr error) {
	if readErr != nil {
		f.outage.Failed(string(classOf(readErr)), readErr)
	} else {
		f.outage.OK()
	}
	if readErr == nil && pushErr == nil {
		f.failures, f.retry = 0, time.Time{}
		return
	}
	f.failures++
	f.retry = time.Now().Add(backoff(f.failures, firstRetry, mostRetry))
}

// historyRefused reports whether err means that a module's history cannot be had.
func historyRefused(err error) bool {
	switch classOf(err) {
	case netatmo.ClassNotFound, netatmo.ClassInvalid, netatmo.ClassScope:
		return true
	}
	return false
}

// giveUp closes the window of a module whose history is refused.
func (p *Poller) giveUp(w *window, err error) {
	p.module(w.module).refused = time.Now()
	p.cfg.Logger.Warn("no history to be had: the gap stays open in the backend", "module", w.readings[0].ModuleName, "error", err)
	p.forget(w)
}

// finish closes a gap that is filled, and has a second look made later: a
// station that was away may upload what it kept after its first new values,
// and what was measured while the gap was filled may not have been uploaded.
func (p *Poller) finish(w *window) {
	m := p.module(w.module)
	if m.look == w {
		p.forget(w)
		return
	}
	m.gap, m.look = nil, w
	w.again, w.done, w.to = true, w.from, p.clock.now()
	w.notBefore = time.Now().Add(2*w.cadence + w.cadence/10)
}

// forget drops a window. The live values count for the mark again.
func (p *Poller) forget(w *window) {
	p.windows = slices.DeleteFunc(p.windows, func(x *window) bool { return x == w })
	m := p.module(w.module)
	m.gap, m.look = nil, nil
	p.advance(w.module, m.live)
	m.live = time.Time{}
}
