package poll

import (
	"cmp"
	"context"
	"log/slog"
	"math"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/record"
)

// Config says what to poll and how.
type Config struct {
	Families  []netatmo.Family
	Favorites bool                                // also the user's favorite stations
	Allows    func(stationID, homeID string) bool // nil: every station and home
	Interval  time.Duration                       // between polls; 0 follows the stations
	PerHour   int                                 // the budget of all requests, of which homes take half; 0: no limit

	// Login returns a number that is different for each access token, and zero
	// while there is no login. Changed returns a channel that is closed when the
	// number may have changed. Both nil: the login never changes.
	Login   func() uint64
	Changed func() <-chan struct{}
	// OnScope is called when Netatmo refuses a family because the login lacks its
	// scope, and when it answers about such a family again. It may be nil.
	OnScope func(f netatmo.Family, granted bool)

	Logger *slog.Logger // required
}

// Poller polls. Run may be called once; Stats is safe for concurrent use.
type Poller struct {
	cfg    Config
	api    netatmo.API
	record *record.Record
	stats  stats

	families map[netatmo.Family]*family
	tasks    map[record.Place]*task
	login    uint64        // the current one
	homes    *rate.Limiter // of requests for the state of a home
	results  chan result   // of tasks that have been asked
	asking   sync.WaitGroup
}

// New returns a Poller. It makes no request.
func New(cfg Config, api netatmo.API, r *record.Record) *Poller {
	if cfg.Allows == nil {
		cfg.Allows = func(string, string) bool { return true }
	}
	if cfg.PerHour == 0 {
		cfg.PerHour = math.MaxInt32
	}
	if cfg.Login == nil {
		cfg.Login = func() uint64 { return 1 }
	}
	if cfg.Changed == nil {
		cfg.Changed = func() <-chan struct{} { return nil }
	}
	if cfg.OnScope == nil {
		cfg.OnScope = func(netatmo.Family, bool) {}
	}
	p := &Poller{
		cfg: cfg, api: api, record: r,
		families: map[netatmo.Family]*family{},
		tasks:    map[record.Place]*task{},
		homes:    newHomesLimit(cfg.PerHour),
		results:  make(chan result),
	}
	for _, f := range cfg.Families {
		p.families[f] = newFamily(f, cfg.Logger)
		p.add(record.Place{Family: f})
	}
	return p
}

// clockLook is how often the loop looks for a step of the local clock.
const clockLook = time.Minute

// Run polls until ctx ends.
func (p *Poller) Run(ctx context.Context) {
	defer p.asking.Wait()
	for ctx.Err() == nil {
		changed := p.cfg.Changed()
		p.login = p.cfg.Login()
		timer := time.NewTimer(min(p.start(ctx), clockLook))
		select {
		case <-ctx.Done():
		case <-changed:
		case <-timer.C:
		case x := <-p.results:
			p.conclude(x)
		}
		timer.Stop()
	}
}

// start makes all requests that are due, and returns how long it takes until
// another one is.
func (p *Poller) start(ctx context.Context) (wait time.Duration) {
	wait = clockLook
	moved := p.record.ClockMoved()
	var homes []*task // that are due
	for place, t := range p.tasks {
		switch {
		case t.busy:
		case p.login == 0:
			p.stats.wait(place)
		case !p.isDue(t, moved):
			wait = min(wait, time.Until(t.due))
		case t.home != nil:
			homes = append(homes, t)
		default:
			p.begin(ctx, t)
		}
	}
	// The limit is less than what all homes want: those that wait longest come first.
	slices.SortFunc(homes, func(a, b *task) int {
		return cmp.Or(a.due.Compare(b.due), cmp.Compare(a.place.Home, b.place.Home))
	})
	for _, t := range homes {
		turn := p.homes.Reserve()
		if d := turn.Delay(); d > 0 {
			turn.Cancel()
			return min(wait, d)
		}
		p.begin(ctx, t)
	}
	return wait
}

// begin makes a task's request.
func (p *Poller) begin(ctx context.Context, t *task) {
	t.busy, t.login, t.began = true, p.login, time.Now()
	p.stats.begin(t.place)
	x := result{task: t, listing: t.homes(), question: netatmo.Question{Family: t.place.Family, Home: t.home, Favorites: p.cfg.Favorites}}
	p.asking.Go(func() { p.ask(ctx, x) })
}

// isDue reports whether it is time for t. A new login makes a task due that failed
// or was set aside; a step of the local clock, one that waits for its usual time.
func (p *Poller) isDue(t *task, clockMoved bool) bool {
	switch {
	case !t.due.After(time.Now()):
		return true
	case t.why == onTime:
		return clockMoved && !t.homes()
	case t.why == failing, t.why == noScope, t.why == absent && !p.families[t.place.Family].answers:
		return t.login != p.login
	}
	return false
}

// result is a task's request and its result. Only the loop of Run looks into the
// task: its home may change while the request is under way.
type result struct {
	*task
	listing  bool // of the homes; question does not count then
	question netatmo.Question
	answer   netatmo.Answer
	homes    []netatmo.Home
	err      error
	sent     time.Time
}

// ask makes a task's request.
func (p *Poller) ask(ctx context.Context, x result) {
	x.sent = time.Now()
	if x.listing {
		x.homes, x.err = p.api.Homes(ctx)
	} else {
		x.answer, x.err = netatmo.Ask(ctx, p.api, x.question)
	}
	select {
	case p.results <- x:
	case <-ctx.Done():
	}
}

// conclude processes a result and decides when its task is due again.
func (p *Poller) conclude(x result) {
	t := x.task
	t.busy, t.asked = false, time.Now()
	if p.tasks[t.place] != t {
		return // the home has left the account meanwhile
	}
	err := x.err
	switch {
	case netatmo.MeaningOf(err) == netatmo.NoScope && p.cfg.Login() != t.login:
		t.due = t.asked // the refusal was about an access token that has been replaced
		return
	case err != nil:
		p.failed(x)
	case t.homes():
		err = p.listed(x)
	case t.home != nil:
		p.stateOf(x)
	default:
		err = p.followed(x)
	}
	p.stats.end(t.place, err, t.why == noScope || t.why == absent || t.why == doubted, t.due)
	p.settleScope(t.place.Family)
}
