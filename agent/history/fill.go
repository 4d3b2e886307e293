package history

import (
	"context"
	"log/slog"
	"time"

	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/outage"
	"netatmo-agent/agent/record"
)

// Fill delivers the history that r owes the backend, until ctx ends. columns
// returns the columns to request for a module type.
func Fill(ctx context.Context, source Source, sink Sink, columns func(moduleType string) []netatmo.Column, r *record.Record, log *slog.Logger) {
	l := loop{
		source: source, sink: sink, columns: columns, priority: netatmo.History,
		ledger:  &filler{Record: r, log: log},
		reading: outage.New(log, "reading the history"), log: log,
	}
	_ = l.run(ctx, r.Owing()) // it has no other error than ctx's
}

// filler is the ledger of a Record. It logs what happened to gaps once all are
// filled.
type filler struct {
	*record.Record
	log *slog.Logger

	taken int // samples for gaps, not written to the log yet
	from  time.Time
	to    time.Time
	odd   odd
}

// Owed implements ledger.
func (f *filler) Owed() (due []record.Window, wait time.Duration, gaps bool) {
	due, wait, gaps = f.Record.Owed()
	if !gaps && f.taken > 0 {
		f.log.Info("gap filled from Netatmo's history", "from", f.from, "to", f.to, "samples", f.taken)
		f.taken = 0
	}
	if !gaps {
		f.odd.report(f.log)
	}
	return due, wait, gaps
}

// Paid moves the mark.
func (f *filler) Paid(w record.Window, d delivery) error {
	if w.Meter != netatmo.NoMeter {
		f.PaidMeter(w, d.samples, d.whole)
		return nil
	}
	if taken := d.samples[d.refused:]; w.Look == 0 && !w.Upload && len(taken) > 0 {
		if f.taken == 0 {
			f.from, f.to = taken[0], taken[0]
		}
		if taken[0].Before(f.from) {
			f.from = taken[0]
		}
		f.taken, f.to = f.taken+len(taken), later(f.to, taken[len(taken)-1])
	}
	if w.Look == 0 && d.whole {
		f.odd.note(w.Module, f.Name(w.Module), d)
	}
	f.Record.Paid(w, d.until, d.samples)
	if w.Measured && d.whole {
		f.Shown(w)
	}
	return nil
}

// NotPushed makes live values wait again. The sink logs its own failures.
func (f *filler) NotPushed(error) { f.Record.NotPushed() }
