package poll

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"time"

	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/outage"
	"netatmo-agent/store"
)

// BackfillConfig says whose history to push, and from when.
type BackfillConfig struct {
	Families  []netatmo.Family
	Favorites bool
	Allows    func(stationID, homeID string) bool // nil: every station and home
	// History is as in Config.
	History func(moduleType string) []netatmo.Column

	Since, Until time.Time    // both inclusive; a zero Until is now
	File         string       // path of the progress; empty: it is not kept
	Logger       *slog.Logger // required
}

// Backfill pushes the history of all modules, however long, from the oldest
// sample on. Its requests are of priority Live: it is for a process of its own,
// whose Gate leaves enough of the hour to the agent. It keeps its progress in a
// file, so that it can be ended at any time and goes on where it was; what was
// delivered once is not delivered again, whatever the next Since and Until are,
// but for the last hour, of which more may be uploaded.
type Backfill struct {
	cfg     BackfillConfig
	history *history
	file    *store.File[backfillState]
	state   backfillState
	modules []ModulePlan
	windows []*window

	progress Progress
}

// backfillState is the JSON document with the progress.
type backfillState struct {
	Done map[string]spans `json:"done"` // by module id
}

// tidy is s with spans as they ought to be, whoever wrote them.
func (s backfillState) tidy() backfillState {
	done := map[string]spans{}
	for module, read := range s.Done {
		for _, x := range read {
			done[module] = done[module].add(x)
		}
	}
	return backfillState{done}
}

// measureStep is how often a module measures, for estimates.
const measureStep = 5 * time.Minute

// recent is the time within which measurements may not have been uploaded yet;
// it is never noted as done.
const recent = time.Hour

// Plan is what a backfill has to do. Requests and points are estimates:
// Netatmo does not say how much it keeps.
type Plan struct {
	Modules  []ModulePlan
	Requests int
	Points   int // values of sensors
}

// Duration is the time that the requests take if perHour are made in an hour.
func (p Plan) Duration(perHour int) time.Duration {
	return time.Duration(p.Requests) * time.Hour / time.Duration(perHour)
}

// ModulePlan is a module with history.
type ModulePlan struct {
	netatmo.Reading
	Missing time.Duration // of the time asked for, what is not delivered yet
}

// Progress is how far a backfill is.
type Progress struct {
	Done, Total time.Duration // of history, over all modules
	At          time.Time     // all before this is delivered
	Requests    int
	Points      int // values of sensors that were delivered
}

// OpenBackfill asks Netatmo for the modules of the account, reads the progress
// and works out what is left to do. A family that the account has not or may
// not read is left out, with a line in the log.
func OpenBackfill(ctx context.Context, cfg BackfillConfig, src Source) (*Backfill, error) {
	if cfg.Until.IsZero() || cfg.Until.After(time.Now()) {
		cfg.Until = time.Now()
	}
	if cfg.Allows == nil {
		cfg.Allows = func(string, string) bool { return true }
	}
	b := &Backfill{cfg: cfg, history: &history{src: src, columns: cfg.History}}
	var err error
	if cfg.File != "" {
		b.file = store.New[backfillState](cfg.File)
		b.state, err = b.file.Load()
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the progress of earlier backfills: %w; move the file away to begin anew", err)
	}
	b.state = b.state.tidy()
	readings, err := b.readings(ctx, src)
	if err != nil {
		return nil, err
	}
	asked := span{cfg.Since.Truncate(time.Second).Add(-time.Second), cfg.Until.Truncate(time.Second)}
	modules := b.history.byModule(readings)
	if len(modules) == 0 {
		return nil, errors.New("no module with a history: the account has none of the device families, may not read them, or NETATMO_STATIONS leaves none; netatmo-agent check shows what there is")
	}
	for _, r := range readings {
		same := modules[r.ModuleID]
		if same == nil {
			continue
		}
		delete(modules, r.ModuleID)
		m := ModulePlan{Reading: same[0]}
		for _, x := range b.state.Done[m.ModuleID].missing(asked) {
			m.Missing += x.To.Sub(x.From)
			b.windows = append(b.windows, &window{module: m.ModuleID, readings: same, from: x.From, done: x.From, noted: x.From, to: x.To, end: x.To, cadence: NominalCadence})
		}
		b.modules = append(b.modules, m)
		b.progress.Total += m.Missing
	}
	return b, nil
}

// readings asks for everything that the account has and the filter allows.
func (b *Backfill) readings(ctx context.Context, src Source) ([]netatmo.Reading, error) {
	var all []netatmo.Reading
	for _, family := range b.cfg.Families {
		answer, err := Ask(ctx, src, family, b.cfg.Favorites, b.cfg.Allows)
		if historyRefused(err) {
			b.cfg.Logger.Warn("a device family is left out", "family", family, "error", err)
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, answer.Readings...)
	}
	return slices.DeleteFunc(all, func(r netatmo.Reading) bool { return !b.cfg.Allows(r.StationID, r.HomeID) }), nil
}

// Plan returns what is left to do.
func (b *Backfill) Plan() Plan {
	p := Plan{Modules: slices.Clone(b.modules)}
	for _, w := range b.windows {
		samples := int(w.to.Sub(w.done)/measureStep) + 1
		p.Points += samples * len(b.history.columns(w.readings[0].ModuleType)) * len(w.readings)
		p.Requests += (samples + netatmo.PageRows - 1) / netatmo.PageRows
	}
	return p
}

// Run delivers the history to sink and calls report, if it is not nil, before
// the first request and after each delivery. It waits out what passes, on
// either side. The error is ctx's, or says that the login or the app is
// refused, or that the progress cannot be saved.
func (b *Backfill) Run(ctx context.Context, sink HistorySink, report func(Progress)) error {
	reading := outage.New(b.cfg.Logger, "reading the history")
	pushing := outage.New(b.cfg.Logger, "pushing the history")
	if report == nil {
		report = func(Progress) {}
	}
	report(b.now())
	for failures := 0; ; {
		round := nextPage(b.windows)
		if len(round) == 0 {
			return nil
		}
		batch, err := b.history.read(ctx, round, netatmo.Live)
		b.progress.Requests += min(len(batch.read)+1, len(round))
		if pushErr := b.deliver(ctx, sink, batch, pushing); pushErr != nil {
			return pushErr
		}
		report(b.now())
		switch {
		case err == nil:
			reading.OK()
			failures = 0
			continue
		case historyRefused(err):
			b.leaveOut(round[len(batch.read)], err)
			continue
		case ctx.Err() != nil:
			return ctx.Err()
		case final(err):
			return err
		}
		failures++
		reading.Failed(string(classOf(err)), err)
		if err := sleep(ctx, backoff(failures, firstRetry, mostRetry)); err != nil {
			return err
		}
	}
}

// final reports whether err needs a human. Of the errors of a token source, it
// is those that say so.
func final(err error) bool {
	var login interface{ NeedsLogin() bool }
	switch classOf(err) {
	case netatmo.ClassLogin:
		return errors.As(err, &login) && login.NeedsLogin()
	case netatmo.ClassAuth, netatmo.ClassApp:
		return true
	}
	return false
}

// deliver pushes a batch until the sink has taken all of it, and notes the
// progress.
func (b *Backfill) deliver(ctx context.Context, sink HistorySink, batch *batch, log *outage.Log) error {
	for failures := 1; ; failures++ {
		rest := batch.points[batch.delivered:]
		done, refused, err := len(rest), 0, error(nil)
		if len(rest) > 0 {
			done, refused, err = sink.PushHistory(ctx, rest)
		}
		if err == nil {
			done = len(rest)
		}
		for _, pt := range rest[min(refused, done):done] { // the oldest are refused
			b.progress.Points += len(pt.Values)
		}
		batch.delivered += done
		batch.settle()
		if saveErr := b.note(batch.read, refused > 0); saveErr != nil {
			return saveErr
		}
		if err == nil {
			log.OK()
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		log.Failed("push", err)
		if err := sleep(ctx, backoff(failures, firstRetry, mostRetry)); err != nil {
			return err
		}
	}
}

// note saves what is done. What the backend refused is not noted, nor what came
// with it, so that it is tried again once the backend takes it; nor is the time
// after the last row of a module, which may be uploaded later.
func (b *Backfill) note(windows []*window, refused bool) error {
	latest := time.Now().Add(-recent)
	for _, w := range windows {
		done := w.done
		if done.After(latest) {
			done = latest
		}
		if refused {
			w.noted = w.done
			continue
		}
		if done.After(w.came) && w.to.Sub(w.came) > 2*w.cadence {
			done = w.came
		}
		if done.After(w.noted) {
			b.state.Done[w.module] = b.state.Done[w.module].add(span{w.noted.UTC(), done.UTC()})
		}
	}
	if b.file == nil {
		return nil
	}
	if err := b.file.Save(b.state); err != nil {
		return fmt.Errorf("save the progress of the backfill: %w", err)
	}
	return nil
}

// now is the progress so far.
func (b *Backfill) now() Progress {
	p := b.progress
	p.At, p.Done = b.cfg.Until, p.Total
	for _, w := range b.windows {
		if w.open() {
			p.Done -= w.to.Sub(w.done)
			if w.done.Before(p.At) {
				p.At = w.done
			}
		}
	}
	return p
}

// leaveOut drops a module whose history is refused.
func (b *Backfill) leaveOut(w *window, err error) {
	b.cfg.Logger.Warn("a module is left out: no history to be had", "module", w.readings[0].ModuleName, "error", err)
	b.windows = slices.DeleteFunc(b.windows, func(x *window) bool { return x.module == w.module })
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
