package poll

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"

	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/outage"
)

// Source answers for the account; *netatmo.Client is one.
type Source interface {
	Weather(ctx context.Context, favorites bool) (netatmo.Answer, error)
	HomeCoaches(ctx context.Context) (netatmo.Answer, error)
	Homes(ctx context.Context) ([]netatmo.Home, error)
	HomeStatus(ctx context.Context, h netatmo.Home) (netatmo.Answer, error)
	Measure(ctx context.Context, q netatmo.MeasureQuery, p netatmo.Priority) ([]netatmo.Sample, error)
}

// Sink takes readings to the backend.
type Sink interface {
	// Wake says that Readings has something new. It does not block.
	Wake()
	HistorySink
}

// HistorySink takes history to the backend; *telemetry.Pusher is one.
type HistorySink interface {
	// PushHistory delivers points, which ascend in time, and returns once the
	// backend has answered. Points that the backend refuses for good count as
	// dealt with; refused is how many of those done they are. An error says that
	// the rest may be tried again later; done is how many points, from the first
	// on, are dealt with all the same.
	PushHistory(ctx context.Context, points []netatmo.Measurement) (done, refused int, err error)
}

// Config says what to poll and how.
type Config struct {
	Families  []netatmo.Family
	Favorites bool                                // also the user's favourite stations
	Allows    func(stationID, homeID string) bool // nil: every station and home
	Interval  time.Duration                       // between polls; 0 follows the stations
	Stale     time.Duration                       // values older than this are not pushed
	MaxGap    time.Duration                       // of a longer gap only the newest part is filled; 0: none

	// History is what Netatmo keeps of a module of the type: what getmeasure, or
	// for a room getroommeasure, is asked for.
	History func(moduleType string) []netatmo.Column

	// Authorized reports whether there is a login, and Changed returns a channel
	// that is closed when that or the login's scopes may have changed. Both nil:
	// there always is one.
	Authorized func() bool
	Changed    func() <-chan struct{}
	// OnScope is told when Netatmo refuses a family because the login lacks its
	// scope, and when it answers about such a family again. It may be nil.
	OnScope func(f netatmo.Family, granted bool)

	Logger *slog.Logger // required
}

// Poller keeps the newest readings and fills gaps. Its methods are safe for
// concurrent use.
type Poller struct {
	cfg   Config
	src   Source
	sink  Sink
	state *State
	clock clock
	stats stats

	history  *history
	families []*family
	save     chan struct{} // capacity 1: the state is worth saving
	fill     chan struct{} // capacity 1: look for gaps to fill now

	mu       sync.Mutex
	snapshot snapshot
	rejected map[group]map[netatmo.ItemError]bool // as the log knows
	modules  map[string]*module
	alive    time.Time // of the last delivery
	windows  []*window // of history, to be filled
}

// New returns a Poller. It makes no request.
func New(cfg Config, src Source, sink Sink, state *State) *Poller {
	if cfg.Allows == nil {
		cfg.Allows = func(string, string) bool { return true }
	}
	p := &Poller{
		cfg: cfg, src: src, sink: sink, state: state,
		clock:    clock{log: cfg.Logger},
		save:     make(chan struct{}, 1),
		fill:     make(chan struct{}, 1),
		snapshot: snapshot{groups: map[group][]netatmo.Reading{}, measured: map[key]netatmo.Reading{}},
		history:  &history{src: src, columns: cfg.History},
		rejected: map[group]map[netatmo.ItemError]bool{},
		modules:  map[string]*module{},
	}
	for _, name := range cfg.Families {
		p.families = append(p.families, newFamily(p, name))
	}
	return p
}

// Run polls and fills gaps until ctx ends. What is acknowledged later still
// moves the marks; see State.Save.
func (p *Poller) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, f := range p.families {
		wg.Go(func() { f.run(ctx) })
	}
	wg.Go(func() { p.fillGaps(ctx) })
	wg.Go(func() { p.saveState(ctx) })
	wg.Wait()
}

// saveState saves what there is to remember until ctx ends.
func (p *Poller) saveState(ctx context.Context) {
	log := outage.New(p.cfg.Logger, "saving the state file")
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.save:
		}
		p.forgetGone()
		if err := p.state.Save(); err != nil {
			log.Failed("save", err)
			continue
		}
		log.OK()
	}
}

// forgetGone forgets what is known of modules that are neither in Netatmo's
// answers nor were delivered for long.
func (p *Poller) forgetGone() {
	p.mu.Lock()
	defer p.mu.Unlock()
	there := map[string]bool{}
	for _, r := range p.snapshot.all {
		there[r.ModuleID], there[r.StationID] = true, true
	}
	for _, w := range p.windows {
		there[w.module] = true
	}
	p.state.forget(p.clock.now().Add(-remembered), there)
	maps.DeleteFunc(p.modules, func(id string, _ *module) bool {
		_, marked := p.state.mark(id)
		return !marked && !there[id]
	})
}

// Readings returns the newest reading of every module, without those values
// that have to wait for the history before them. The result is not to be
// changed.
func (p *Poller) Readings() []netatmo.Reading {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.withoutHeld(p.snapshot.all)
}

// ClockOK reports whether the local clock is right, as far as is known: within
// ClockTolerance of Netatmo's. If it was moved since the last answer, Netatmo is
// asked at once.
func (p *Poller) ClockOK() bool {
	ok, news := p.clock.ok()
	if news {
		for _, f := range p.families {
			signal(f.kick)
		}
	}
	return ok
}

// merge takes an answer into the snapshot, looks for gaps, and wakes the sink
// if something is new. It returns the readings of the group that are allowed.
func (p *Poller) merge(g group, answer netatmo.Answer) []netatmo.Reading {
	if !answer.Server.IsZero() {
		p.clock.observe(answer.Offset)
	}
	allowed := make([]netatmo.Reading, 0, len(answer.Readings))
	for _, r := range answer.Readings {
		if p.cfg.Allows(r.StationID, r.HomeID) {
			allowed = append(allowed, r)
		}
	}

	p.mu.Lock()
	p.say(g, answer.Rejected)
	before, known := p.snapshot.groups[g]
	certain := agree(answer.Offset)
	readings, news := p.snapshot.merge(g, allowed, answer.Rejected, certain)
	p.announce(g, before, readings, !known)
	gaps := false
	for _, r := range readings {
		gaps = p.checkGap(r, certain) || gaps
	}
	p.mu.Unlock()

	if gaps {
		signal(p.fill)
	}
	if news {
		p.sink.Wake()
	}
	return readings
}

// drop takes a group out of the snapshot.
func (p *Poller) drop(g group) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.rejected, g)
	p.snapshot.drop(g)
}

// say tells the log about devices in an answer that are not understood or not
// within Netatmo's reach, once for as long as they stay so.
func (p *Poller) say(g group, rejected []netatmo.ItemError) {
	log := p.cfg.Logger.With("family", g.family)
	if g.home != "" {
		log = log.With("home", g.home)
	}
	const most = 10
	said, news := p.rejected[g], 0
	p.rejected[g] = map[netatmo.ItemError]bool{}
	for _, e := range rejected {
		what := e
		what.Place = "" // Netatmo's lists have no order
		p.rejected[g][what] = true
		if said[what] {
			continue
		}
		if news++; news <= most {
			log.Warn("a device in Netatmo's answer is left out", "error", e)
		}
	}
	if news > most {
		log.Warn("more devices in Netatmo's answer are left out", "number", news-most)
	}
}

// signal sends on a channel of capacity 1 unless a signal is there already.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
