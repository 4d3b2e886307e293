package history

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/outage"
	"netatmo-agent/agent/record"
)

const (
	firstRetry = 5 * time.Second // after a failure of Netatmo or the sink
	mostRetry  = 5 * time.Minute

	// keepPage is how long to keep a page that the sink does not accept. After that
	// it is requested again, because more may have been uploaded.
	keepPage = time.Hour

	// ahead is how far one module's points may run ahead of another's. Prometheus
	// rejects points that are an hour older than the newest point of any series.
	ahead = 30 * time.Minute
)

// Source is Netatmo's history, a *netatmo.Client.
type Source interface {
	Measure(ctx context.Context, q netatmo.MeasureQuery, p netatmo.Priority) (netatmo.Page, error)
}

// Sink delivers history to the backend; a *telemetry.Pusher.
type Sink interface {
	// PushHistory delivers samples of a module, ascending in time, and returns once
	// the backend has answered. Without an error, all of them are done.
	PushHistory(ctx context.Context, module netatmo.Reading, samples []netatmo.Sample) (record.Delivery, error)
}

// ledger lists the history that is owed, and records what was delivered. The
// agent's is a filler, the command's a [Backfill].
type ledger interface {
	// Owed returns the windows to work on now, the one furthest behind first. If
	// there are none, it returns how long to wait, or zero if the work is done.
	Owed() (due []record.Window, wait time.Duration, gaps bool)
	// Identities returns the stations or homes that list the module.
	Identities(moduleID string) []netatmo.Reading
	// Paid is called after each push of points of w.
	Paid(w record.Window, d delivery) error
	// NotPushed is called when the sink accepts nothing now.
	NotPushed(err error)
	// Failed, Refused and Gone are called instead of Paid if there is no page,
	// because of a temporary fault, because Netatmo refuses it under every identity,
	// or because the module is gone.
	Failed(w record.Window)
	Refused(w record.Window, err error)
	Gone(w record.Window)
}

// delivery is the result of pushing a part of a page.
type delivery struct {
	until   time.Time   // the window is dealt with up to here
	samples []time.Time // that were dealt with
	refused int         // of these, under one identity or more; the oldest
	values  int         // accepted, under all identities
	last    time.Time   // the last sample of the page that Netatmo gave, zero if none
	odd     int         // malformed rows of the page; 0 until it is done
	whole   bool        // the page is done
	err     error       // why the sink accepts no more now
}

// loop delivers the history that a ledger owes: window, page, push, mark. It is
// for use by one goroutine.
type loop struct {
	source   Source
	sink     Sink
	columns  func(moduleType string) []netatmo.Column
	priority netatmo.Priority
	ledger   ledger
	reading  *outage.Log
	log      *slog.Logger
	final    func(error) bool // errors of Netatmo that end the work; nil: none

	fine     bool          // rooms have every sample
	coarse   bool          // rooms have only half hours
	pages    map[any]*page // by window
	requests int
	failures int // steps in a row
	retry    time.Time
}

// run works until ctx ends, nothing is left, or an error is final. wake ends a
// wait.
func (l *loop) run(ctx context.Context, wake <-chan struct{}) error {
	l.pages = map[any]*page{}
	for ctx.Err() == nil {
		due, wait, _ := l.ledger.Owed()
		if pause := time.Until(l.retry); pause > 0 {
			due, wait = nil, pause
		}
		if len(due) > 0 {
			if err := l.step(ctx, due); err != nil {
				return err
			}
			continue
		}
		if wait == 0 {
			return nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-wake:
			l.retry = time.Time{}
		case <-timer.C:
		}
		timer.Stop()
	}
	return ctx.Err()
}

var errGone = errors.New("the module is no longer in Netatmo's answers")

// step works on the window that is furthest behind among those whose turn it is:
// it reads a page if it has none, and pushes as much of it as the other windows
// allow.
func (l *loop) step(ctx context.Context, due []record.Window) error {
	due = l.limit(due)
	w := due[0]
	p := l.pages[w.ID]
	if p != nil && l.failures > 0 && time.Since(p.asked) >= keepPage {
		p = nil
	}
	if p == nil {
		var err error
		if p, err = l.read(ctx, w, len(due)); err != nil {
			return l.unread(ctx, w, err)
		}
		l.reading.OK()
		l.pages[w.ID] = p
	}
	limit := p.end
	if len(due) > 1 {
		limit = later(w.From, due[1].From).Add(ahead)
	}
	pushErr, err := l.push(ctx, w, p, limit)
	if err != nil || ctx.Err() != nil {
		return cmp.Or(err, ctx.Err())
	}
	if pushErr != nil {
		l.ledger.NotPushed(pushErr)
		l.postpone()
		return nil
	}
	l.failures = 0
	return nil
}

// push pushes the samples of a page up to limit. err is the ledger's.
func (l *loop) push(ctx context.Context, w record.Window, p *page, limit time.Time) (pushErr, err error) {
	d := delivery{last: p.last}
	d.values, d.err = p.push(ctx, l.sink, limit)
	d.samples, d.refused = p.take()
	if d.whole = len(p.samples) == 0; d.whole {
		d.until, d.odd = p.end, p.odd
		delete(l.pages, w.ID)
	} else {
		d.until = p.samples[0].Time.Add(-time.Second)
	}
	return d.err, l.ledger.Paid(w, d)
}

// unread handles an error of reading a page.
func (l *loop) unread(ctx context.Context, w record.Window, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, errGone):
		l.ledger.Gone(w)
	case refuses(err):
		l.ledger.Refused(w, err)
	case l.final != nil && l.final(err):
		return err
	default:
		l.ledger.Failed(w)
		if class := netatmo.ClassOf(err); class != netatmo.ClassLogin { // which has a log of its own
			l.reading.Failed(string(class), err)
		}
		l.postpone()
	}
	return nil
}

// postpone delays the next step, longer after each failure in a row.
func (l *loop) postpone() {
	l.failures++
	l.retry = time.Now().Add(outage.Backoff(l.failures, firstRetry, mostRetry))
}

// limit returns the windows whose pages may be in memory, and drops the pages of
// the others. Those of meters stay for a while: a gap comes before them, and they may
// be requested once an hour only.
func (l *loop) limit(due []record.Window) []record.Window {
	pages := make(map[any]*page, len(l.pages))
	for id, p := range l.pages {
		if p.meter && time.Since(p.asked) < keepPage {
			pages[id] = p
		}
	}
	for _, w := range due {
		if p := l.pages[w.ID]; p != nil {
			pages[w.ID] = p
		}
	}
	l.pages = pages
	room := mostPages - len(pages)
	return slices.DeleteFunc(due, func(w record.Window) bool {
		if pages[w.ID] == nil {
			room--
		}
		return pages[w.ID] == nil && room < 0
	})
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
