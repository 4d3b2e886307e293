package record

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/outage"
)

// Config configures a Record.
type Config struct {
	Allows   func(stationID, homeID string) bool // stations and homes to keep; nil: all
	Interval time.Duration                       // between polls; 0 if they follow the stations
	Stale    time.Duration                       // values older than this are not pushed
	MaxGap   time.Duration                       // gaps are filled only for this most recent period; 0: not at all

	// Measured delivers each measurement once, at its own time: what has a history
	// is owed from there and is not among Readings. Budget is how many requests
	// Netatmo gets in an hour, of which those for measurements are four fifths at most;
	// 0: any number.
	Measured bool
	Budget   int

	// History returns the columns of Netatmo's history to request for a module
	// type.
	History func(moduleType string) []netatmo.Column
	Meters  bool // also deliver the amounts that meters count

	Logger *slog.Logger // required
}

// Record is the agent's knowledge. Its methods are safe for concurrent use.
type Record struct {
	cfg     Config
	state   *StateFile
	changed chan struct{} // capacity 1
	owing   chan struct{} // capacity 1
	unsaved chan struct{} // capacity 1

	mu       sync.Mutex
	clock    clock
	snapshot snapshot
	said     said
	modules  map[string]*module // by module id
	meters   map[string]*meter  // by module id
	windows  []*window
	taken    time.Time // when the backend last accepted live values

	// With Config.Measured: when a save was last asked for, and how much longer than
	// its cadence a module waits for its turn, at least 1.
	saved   time.Time
	stretch float64
}

// New returns a Record that continues from the state of an earlier process.
func New(cfg Config, state *StateFile) *Record {
	if cfg.Allows == nil {
		cfg.Allows = func(string, string) bool { return true }
	}
	return &Record{
		cfg: cfg, state: state,
		changed:  make(chan struct{}, 1),
		owing:    make(chan struct{}, 1),
		unsaved:  make(chan struct{}, 1),
		clock:    clock{log: cfg.Logger},
		snapshot: snapshot{places: map[Place][]netatmo.Reading{}, measured: map[netatmo.Key]netatmo.Reading{}},
		said:     said{log: cfg.Logger, rejected: map[Place]map[netatmo.ItemError]bool{}, pulses: map[Place]map[netatmo.Key]pulse{}},
		modules:  map[string]*module{},
		meters:   map[string]*meter{},
	}
}

// Place is what one answer is about: a family, or a home of the energy family.
type Place struct {
	Family netatmo.Family
	Home   string
}

// Merge records an answer about a place, and returns its readings. Modules that
// the answer does not mention are gone.
func (r *Record) Merge(place Place, answer netatmo.Answer) []netatmo.Reading {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !answer.Server.IsZero() {
		r.clock.observe(Netatmo, answer.Offset)
	}
	r.said.leftOut(place, answer.Rejected)
	allowed := slices.DeleteFunc(slices.Clone(answer.Readings), func(x netatmo.Reading) bool {
		return !r.cfg.Allows(x.StationID, x.HomeID)
	})
	before, known := r.snapshot.places[place]
	certain := agree(answer.Offset)
	readings, news := r.snapshot.merge(place, allowed, answer.Rejected, certain)
	r.said.changes(place, before, readings, r.snapshot.all, !known)
	r.said.tooMany(r.snapshot.full)
	if certain {
		r.said.silence(place, readings, r.snapshot.all, r.cfg.Stale)
	}
	owing := false
	find := r.findGap
	if r.cfg.Measured {
		r.pace()
		find = r.owe
	}
	for _, x := range readings {
		owing = find(x, certain) || owing
		owing = r.findMeter(x) || owing
	}
	if owing {
		signal(r.owing)
	}
	if news {
		signal(r.changed)
	}
	return readings
}

// Drop forgets a place that is gone.
func (r *Record) Drop(place Place) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.said.rejected, place)
	delete(r.said.pulses, place)
	r.snapshot.drop(place)
}

// Readings returns the newest reading of every module, without values that wait
// for the history before them, or that are delivered from it (Config.Measured). The
// result must not be changed.
func (r *Record) Readings() []netatmo.Reading {
	r.mu.Lock()
	defer r.mu.Unlock()
	readings, now, copied := r.snapshot.all, time.Now(), false
	for i, x := range readings {
		m := r.modules[x.ModuleID]
		if withheld := m.held(now) || r.cfg.Measured && !m.refused(); !withheld {
			continue
		}
		if !copied {
			readings, copied = slices.Clone(readings), true
		}
		columns := r.cfg.History(x.ModuleType)
		readings[i].Values = slices.DeleteFunc(slices.Clone(x.Values), func(v netatmo.Value) bool { return keeps(columns, v.Field) })
	}
	return readings
}

// Identities returns a module's readings under the stations or homes that list it,
// if it has a history: the newest measurement first, and the user's own stations
// before those of others.
func (r *Record) Identities(moduleID string) []netatmo.Reading {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.identities(moduleID)
}

func (r *Record) identities(moduleID string) []netatmo.Reading {
	return Identities(r.snapshot.all, moduleID, r.cfg.History)
}

// Identities returns the module's readings that have a history, in the order of
// [Record.Identities].
func Identities(readings []netatmo.Reading, moduleID string, history func(moduleType string) []netatmo.Column) []netatmo.Reading {
	var same []netatmo.Reading
	for _, x := range readings {
		if x.ModuleID == moduleID && (len(history(x.ModuleType)) > 0 || x.Meter != netatmo.NoMeter) {
			same = append(same, x)
		}
	}
	foreign := map[bool]int{true: 1}
	slices.SortStableFunc(same, func(a, b netatmo.Reading) int {
		return cmp.Or(b.Measured.Compare(a.Measured), cmp.Compare(foreign[a.Foreign], foreign[b.Foreign]))
	})
	return same
}

// Name returns a module's name for people, with what distinguishes it from others
// of that name, or its id if it is gone.
func (r *Record) Name(moduleID string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.name(moduleID)
}

func (r *Record) name(moduleID string) string {
	same := r.identities(moduleID)
	if len(same) == 0 {
		return moduleID
	}
	return same[0].ModuleName + apart(same[0].Family, r.snapshot.all)[same[0].Key()]
}

// Changed returns a channel that receives when Readings has something new.
func (r *Record) Changed() <-chan struct{} { return r.changed }

// Owing returns a channel that receives when Owed has something new.
func (r *Record) Owing() <-chan struct{} { return r.owing }

// ClockOK reports whether the local clock is right as far as is known: within
// ClockTolerance of Netatmo's.
func (r *Record) ClockOK() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.clock.ok()
}

// Clock returns why the local clock cannot be trusted, so that nothing may be
// pushed, or nil. If unsure, no answer of Netatmo to a request for readings has
// given the time yet, and another server's answer may help.
func (r *Record) Clock() (unsure bool, fault error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.clock.witness < Netatmo, r.clock.fault()
}

// HearTime notes the time in an answer that has none of Netatmo's readings, and the
// local time at that moment.
func (r *Record) HearTime(witness Witness, server, local time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clock.observe(witness, local.Sub(server))
}

// ClockMoved reports whether the local clock was set right or wrong since the
// last answer, so that a new answer is worth asking for.
func (r *Record) ClockMoved() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.clock.ok() == r.clock.bad
}

// Cadence returns the usual time between two uploads of a station, zero while
// it is not known.
func (r *Record) Cadence(stationID string) time.Duration { return r.state.cadence(stationID) }

// LearnCadence notes the time between two uploads of a station.
func (r *Record) LearnCadence(stationID string, c time.Duration) { r.state.setCadence(stationID, c) }

// KeepSaved saves the state whenever it changes, until ctx ends. Later changes
// need a State.Save.
func (r *Record) KeepSaved(ctx context.Context) {
	log := outage.New(r.cfg.Logger, "saving the state file")
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.unsaved:
		}
		r.forgetGone()
		if err := r.state.Save(); err != nil {
			log.Failed("save", err)
			continue
		}
		log.OK()
	}
}

// forgetGone forgets the modules that are not in Netatmo's answers and were not
// delivered for long.
func (r *Record) forgetGone() {
	r.mu.Lock()
	defer r.mu.Unlock()
	present := map[string]bool{}
	for _, x := range r.snapshot.all {
		present[x.ModuleID], present[x.StationID] = true, true
	}
	for _, w := range r.windows {
		present[w.module] = true
	}
	r.state.forget(r.clock.now().Add(-remembered), present)
	maps.DeleteFunc(r.modules, func(id string, _ *module) bool {
		_, marked := r.state.mark(id)
		return !marked && !present[id]
	})
}

// signal sends on a channel of capacity 1 unless it is full.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
