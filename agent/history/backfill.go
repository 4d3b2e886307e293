package history

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"time"

	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/outage"
	"netatmo-agent/agent/record"
	"netatmo-agent/store"
)

const (
	// recent is the period whose measurements may not have been uploaded yet; it is
	// never recorded as done.
	recent = time.Hour
	// saveEvery is how much progress within a page a crash may lose.
	saveEvery = 5 * time.Second

	// mostRefusals is how many refusals of a module's history in a row may be
	// temporary.
	mostRefusals = 5
)

// BackfillConfig says which history to push.
type BackfillConfig struct {
	Families  []netatmo.Family
	Favorites bool
	Allows    func(stationID, homeID string) bool // nil: every station and home
	// History returns the columns of Netatmo's history to request for a module
	// type.
	History func(moduleType string) []netatmo.Column
	Meters  bool // also push the amounts that meters count

	Since, Until time.Time    // both inclusive; a zero Until is now
	File         string       // path of the progress file; empty: none
	Logger       *slog.Logger // required
}

// API is what a backfill needs of *netatmo.Client.
type API interface {
	netatmo.API
	Source
}

// Backfill pushes the history of all modules, however long, oldest first. Its
// requests have priority Live, because it runs in a separate process, whose
// Gate leaves enough of the hour to the agent. It keeps its progress in a file,
// so that it can be interrupted at any time and continue later. It never
// delivers history twice, whatever the next Since and Until are, except for the
// last hour, for which more may be uploaded.
type Backfill struct {
	cfg     BackfillConfig
	source  API
	file    *store.File[backfillState]
	state   backfillState
	saved   time.Time
	plan    []ModulePlan
	windows []*owed // left to push

	odd      odd
	progress Progress
	pushing  *outage.Log
	report   func(Progress)
	loop     *loop
}

// backfillState is the JSON document with the progress.
type backfillState struct {
	Done map[string]spans `json:"done"` // by module id
}

// tidy returns s with valid spans, whatever the file contained.
func (s backfillState) tidy() backfillState {
	done := map[string]spans{}
	for module, read := range s.Done {
		for _, x := range read {
			done[module] = done[module].add(x)
		}
	}
	return backfillState{done}
}

// owed is a part of a module's history that is left to push.
type owed struct {
	module     string
	name       string // for people
	identities []netatmo.Reading
	meter      netatmo.Meter

	done, to time.Time
	noted    time.Time // time after it is not recorded as delivered yet
	last     time.Time // the last sample that Netatmo gave
	due      time.Time
	failures int // in a row
	refusals int
}

func (w *owed) cadence() time.Duration {
	if w.meter != netatmo.NoMeter {
		return netatmo.Bucket
	}
	return record.NominalCadence
}

// OpenBackfill asks Netatmo for the modules of the account, reads the progress
// and works out what is left to do. It skips, with a log line, a family that the
// account does not have or may not read.
func OpenBackfill(ctx context.Context, cfg BackfillConfig, source API) (*Backfill, error) {
	if cfg.Until.IsZero() || cfg.Until.After(time.Now()) {
		cfg.Until = time.Now()
	}
	if cfg.Allows == nil {
		cfg.Allows = func(string, string) bool { return true }
	}
	b := &Backfill{cfg: cfg, source: source}
	var err error
	if cfg.File != "" {
		b.file = store.New[backfillState](cfg.File)
		b.state, err = b.file.Load()
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the progress of earlier backfills: %w; move the file away to start over", err)
	}
	b.state = b.state.tidy()
	readings, err := b.ask(ctx)
	if err != nil {
		return nil, err
	}
	planned, apart := map[string]bool{}, netatmo.Apart(readings)
	for _, r := range readings {
		same := record.Identities(readings, r.ModuleID, cfg.History)
		if len(same) == 0 || planned[r.ModuleID] || r.Meter != netatmo.NoMeter && !cfg.Meters {
			continue
		}
		planned[r.ModuleID] = true
		asked := span{cfg.Since.Truncate(time.Second).Add(-time.Second), cfg.Until.Truncate(time.Second)}
		if settled := record.Settled(time.Now()); r.Meter != netatmo.NoMeter && asked.To.After(settled) {
			asked.To = later(asked.From, settled)
		}
		m := ModulePlan{Reading: same[0], Name: same[0].ModuleName + apart[same[0].Key()]}
		for _, x := range b.state.Done[r.ModuleID].missing(asked) {
			m.Missing += x.To.Sub(x.From)
			b.windows = append(b.windows, &owed{module: r.ModuleID, name: m.Name, identities: same, meter: r.Meter, done: x.From, noted: x.From, to: x.To})
		}
		b.plan = append(b.plan, m)
		b.progress.Total += m.Missing
	}
	if len(b.plan) == 0 {
		return nil, errors.New("no module has a history: the account has no devices of these families or may not read them, or NETATMO_STATIONS excludes them all; netatmo-agent check lists the devices")
	}
	return b, nil
}

// ask asks for all devices of the account that the filter allows.
func (b *Backfill) ask(ctx context.Context) ([]netatmo.Reading, error) {
	var all []netatmo.Reading
	for _, family := range b.cfg.Families {
		answer, err := netatmo.Ask(ctx, b.source, netatmo.Question{Family: family, Favorites: b.cfg.Favorites, Allows: b.cfg.Allows})
		if refuses(err) {
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

// Run delivers the history to sink and calls report, if it is not nil, before
// the first request and after each page. It waits while either side has a
// temporary fault. The error is ctx's, or says that Netatmo refuses the login or
// the app, or that the progress cannot be saved.
func (b *Backfill) Run(ctx context.Context, sink Sink, report func(Progress)) error {
	b.pushing = outage.New(b.cfg.Logger, "pushing the history")
	if b.report = report; report == nil {
		b.report = func(Progress) {}
	}
	b.loop = &loop{
		source: b.source, sink: sink, columns: b.cfg.History, priority: netatmo.Live, ledger: b,
		reading: outage.New(b.cfg.Logger, "reading the history"), log: b.cfg.Logger, final: final,
	}
	b.report(b.now())
	err := b.loop.run(ctx, nil)
	b.odd.report(b.cfg.Logger)
	return cmp.Or(err, b.save())
}

// final reports whether err needs a human.
func final(err error) bool {
	var login interface{ NeedsLogin() bool }
	switch netatmo.ClassOf(err) {
	case netatmo.ClassLogin:
		return errors.As(err, &login) && login.NeedsLogin()
	case netatmo.ClassAuth, netatmo.ClassApp:
		return true
	}
	return false
}

// Owed implements ledger.
func (b *Backfill) Owed() (due []record.Window, wait time.Duration, gaps bool) {
	now := time.Now()
	slices.SortStableFunc(b.windows, func(x, y *owed) int {
		return cmp.Or(cmp.Compare(x.failures, y.failures), x.done.Compare(y.done))
	})
	for _, w := range b.windows {
		switch d := w.due.Sub(now); {
		case d <= 0:
			due = append(due, record.Window{ID: w, Module: w.module, From: w.done, To: w.to, Cadence: w.cadence(), Meter: w.meter})
		case wait == 0 || d < wait:
			wait = d
		}
	}
	return due, wait, true
}

// Identities implements ledger.
func (b *Backfill) Identities(moduleID string) []netatmo.Reading {
	i := slices.IndexFunc(b.windows, func(w *owed) bool { return w.module == moduleID })
	return b.windows[i].identities
}

// Paid records progress. It does not record refused points as done, so that a
// later run retries them; nor the time after a module's last sample, for which
// more may be uploaded.
func (b *Backfill) Paid(x record.Window, d delivery) error {
	if d.err == nil {
		b.pushing.OK()
	}
	w := x.ID.(*owed) //nolint:errcheck // Owed made it
	w.done, w.failures, w.refusals = later(w.done, d.until), 0, 0
	if !d.last.IsZero() {
		w.last = d.last
	}
	done := w.done
	if latest := time.Now().Add(-recent); done.After(latest) {
		done = latest
	}
	if done.After(w.last) && w.to.Sub(w.last) > 2*w.cadence() {
		done = w.last
	}
	switch {
	case d.refused > 0:
		w.noted = w.done
	case done.After(w.noted):
		b.state.Done[w.module] = b.state.Done[w.module].add(span{w.noted.UTC(), done.UTC()})
	}
	b.progress.Points += d.values
	b.progress.Requests = b.loop.requests
	if !w.done.Before(w.to) {
		b.drop(w)
	}
	if d.whole {
		b.odd.note(w.module, w.name, d)
		b.report(b.now())
	}
	if time.Since(b.saved) < saveEvery {
		return nil
	}
	return b.save()
}

func (b *Backfill) save() error {
	b.saved = time.Now()
	if b.file == nil {
		return nil
	}
	if err := b.file.Save(b.state); err != nil {
		return fmt.Errorf("save the progress of the backfill: %w", err)
	}
	return nil
}

// NotPushed logs that the backend accepts nothing now.
func (b *Backfill) NotPushed(err error) { b.pushing.Failed("push", err) }

// Failed lets other modules go first.
func (b *Backfill) Failed(x record.Window) { x.ID.(*owed).failures++ } //nolint:errcheck // Owed made it

// Refused lets the loop ask a few times more, and then drops the module.
func (b *Backfill) Refused(x record.Window, err error) {
	w := x.ID.(*owed) //nolint:errcheck // Owed made it
	if w.refusals++; w.refusals <= mostRefusals {
		w.due = time.Now().Add(outage.Backoff(w.refusals, firstRetry, mostRetry))
		return
	}
	b.cfg.Logger.Warn("a module is left out: Netatmo refuses its history", "module", w.name, "error", err)
	b.windows = slices.DeleteFunc(b.windows, func(x *owed) bool { return x.module == w.module })
}

// Gone implements ledger. It is never called: the modules are those of the start.
func (b *Backfill) Gone(x record.Window) { b.drop(x.ID.(*owed)) } //nolint:errcheck // Owed made it

func (b *Backfill) drop(w *owed) {
	b.windows = slices.DeleteFunc(b.windows, func(x *owed) bool { return x == w })
}
