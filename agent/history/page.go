package history

import (
	"cmp"
	"context"
	"time"

	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/record"
)

const (
	pageCadences = 500 // about as much time as a page holds, at two measurements a cadence

	// Pages wait in memory until they are pushed, one for each window. With many
	// windows, pages are shorter, and windows beyond the second number wait.
	fullPages = 16
	mostPages = 256
)

// page is a part of a window as Netatmo answered it.
type page struct {
	asked   time.Time
	samples []netatmo.Sample // that are not delivered under every identity
	targets []target
	end     time.Time // the page covers the window up to here
	last    time.Time // of Netatmo's samples, zero if there are none
	odd     int       // malformed rows
	meter   bool      // it is of a meter
}

// target is an identity of a page's module, and what became of the page's samples
// under it.
type target struct {
	netatmo.Reading
	record.Delivery
}

// read requests a window's next page. windows is how many share the memory.
func (l *loop) read(ctx context.Context, w record.Window, windows int) (*page, error) {
	p := &page{asked: time.Now(), end: w.To, meter: w.Meter != netatmo.NoMeter}
	identities := l.ledger.Identities(w.Module)
	if len(identities) == 0 {
		return nil, errGone
	}
	for _, r := range identities {
		if identities[0].Measured.Sub(r.Measured) <= alive {
			p.targets = append(p.targets, target{Reading: r})
		}
	}
	span := pageCadences * w.Cadence
	if windows > fullPages {
		span = max(span*fullPages/time.Duration(windows), 100*w.Cadence)
	}
	if limit := w.From.Add(span); limit.Before(p.end) && w.Meter == netatmo.NoMeter {
		p.end = limit
	}
	got, err := l.measure(ctx, identities, w, p.end)
	if err != nil {
		return nil, err
	}
	p.odd = got.Odd
	if n := len(got.Samples); w.Meter != netatmo.NoMeter && n > 0 {
		got.Samples = got.Samples[:n-1] // it may still grow: its gateway may be offline
	}
	if n := len(got.Samples); n > 0 {
		p.last = got.Samples[n-1].Time
		// Netatmo does not say whether there is more after the last sample.
		more := n >= netatmo.PageRows-1 || p.end.Sub(p.last) > w.Cadence && w.Meter == netatmo.NoMeter
		if p.last.After(w.From) && p.last.Before(p.end) && more {
			p.end = p.last
		}
	}
	if w.Measured && !p.end.Before(w.To) {
		p.end = later(w.From, p.last) // what is after it may not be visible yet
	}
	for _, s := range got.Samples {
		if s.Time.After(w.From) && !s.Time.After(p.end) && len(s.Values) > 0 && !w.Delivered(s.Time) {
			p.samples = append(p.samples, s)
		}
	}
	return p, nil
}

// measure requests a window's samples up to end. Several stations can list a
// module. If the answer for one of them is empty or a refusal, measure asks for the
// others too.
func (l *loop) measure(ctx context.Context, identities []netatmo.Reading, w record.Window, end time.Time) (netatmo.Page, error) {
	var empty netatmo.Page
	var refusal error
	refused := 0
	for _, r := range identities {
		got, err := l.ask(ctx, l.query(r, w, end))
		switch {
		case refuses(err):
			refusal = err
			refused++
		case err != nil, len(got.Samples) > 0:
			return got, err
		default:
			empty.Odd = max(empty.Odd, got.Odd)
		}
	}
	if refused == len(identities) {
		return empty, refusal
	}
	return empty, nil
}

func (l *loop) query(r netatmo.Reading, w record.Window, end time.Time) netatmo.MeasureQuery {
	q := netatmo.MeasureQuery{Begin: w.From.Truncate(time.Second).Add(time.Second), End: end}
	if w.Meter != netatmo.NoMeter {
		q.End = end.Add(record.Settle)
		q.Meter, q.DeviceID, q.ModuleID = w.Meter, cmp.Or(r.Bridge, r.ModuleID), r.ModuleID
		return q
	}
	q.Columns = l.columns(r.ModuleType)
	switch {
	case r.ModuleType == netatmo.TypeRoom:
		q.HomeID, q.RoomID, q.Coarse = r.HomeID, r.ModuleID, l.coarse
	case r.ModuleID == r.StationID:
		q.DeviceID = r.StationID
	default:
		q.DeviceID, q.ModuleID = r.StationID, r.ModuleID
	}
	return q
}

// ask makes a request. Netatmo documents the history of rooms in steps of half an
// hour and longer, but may also have every sample. Where it refuses those, ask
// requests half hours, from then on for all rooms.
func (l *loop) ask(ctx context.Context, q netatmo.MeasureQuery) (netatmo.Page, error) {
	l.requests++
	got, err := l.source.Measure(ctx, q, l.priority)
	if q.RoomID == "" || l.coarse || l.fine {
		return got, err
	}
	if l.fine = err == nil; !refuses(err) {
		return got, err
	}
	q.Coarse = true
	l.requests++
	coarse, failure := l.source.Measure(ctx, q, l.priority)
	if failure != nil {
		return got, err // also then the room is refused, or asked for again
	}
	l.coarse = true
	l.log.Info("Netatmo has the history of rooms only in steps of half an hour; filling their gaps with these", "refusal", err)
	return coarse, nil
}

// refuses reports whether err means that Netatmo refuses a module's history.
func refuses(err error) bool {
	meaning := netatmo.MeaningOf(err)
	return meaning == netatmo.Refused || meaning == netatmo.NoScope
}

// alive is how far a station's newest measurement of a module may lag behind
// another station's for the station to count as alive.
const alive = time.Hour

// push pushes the samples up to limit, under each identity those that are not
// done. It returns how many values the backend accepted.
func (p *page) push(ctx context.Context, sink Sink, limit time.Time) (values int, err error) {
	n := 0
	for n < len(p.samples) && !p.samples[n].Time.After(limit) {
		n++
	}
	for i := range p.targets {
		t := &p.targets[i]
		if t.Done() >= n {
			continue
		}
		samples := p.samples[t.Done():n]
		d, err := sink.PushHistory(ctx, t.Reading, samples)
		t.Refused += d.Refused
		t.Accepted += d.Accepted
		for _, s := range samples[d.Refused:d.Done()] {
			values += len(s.Values)
		}
		if err != nil {
			return values, err
		}
	}
	return values, nil
}

// take removes the samples that are done under every identity. It returns their
// times, and how many of them the backend refused.
func (p *page) take() (times []time.Time, refused int) {
	done := len(p.samples)
	for _, t := range p.targets {
		done = min(done, t.Done())
	}
	for i := range p.targets {
		t := &p.targets[i]
		of := min(t.Refused, done)
		refused = max(refused, of)
		t.Refused -= of
		t.Accepted -= done - of
	}
	for _, s := range p.samples[:done] {
		times = append(times, s.Time)
	}
	p.samples = p.samples[done:]
	return times, refused
}
