package poll_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"netatmo-agent/agent/catalogue"
	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/poll"
	"netatmo-agent/agent/simcloud"
	"netatmo-agent/auth/authtest"
)

// rig is an agent without its outer parts: the real client asks the simulated
// cloud through a real HTTP server, and a backend takes what is pushed.
type rig struct {
	t       *testing.T
	cloud   *simcloud.Cloud
	source  poll.Source
	cfg     poll.Config
	state   string // path of the state file
	backend *backend
	log     *bytes.Buffer
	step    time.Duration // between two uploads

	saved  *poll.State
	poller *poll.Poller
	stop   func()
}

// newRig sets up everything but the agent, inside a synctest bubble.
func newRig(t *testing.T, o simcloud.Options, families ...netatmo.Family) *rig {
	t.Helper()
	o.TokenLife = 10 * 365 * 24 * time.Hour
	r := &rig{
		t: t, cloud: simcloud.New(o),
		state:   stateFile(t),
		backend: newBackend(),
		log:     &bytes.Buffer{},
	}
	r.source = netatmo.NewClient(netatmo.Options{
		BaseURL: "http://cloud",
		HTTP:    &http.Client{Transport: serveInMemory(t, r.cloud)},
		Gate:    netatmo.NewGate(400),
		Tokens:  staticToken(r.cloud.Auth().Grant("read_station", "read_homecoach", "read_thermostat").Access),
	})
	r.cfg = poll.Config{
		Families: families, MaxGap: 24 * time.Hour,
		History: catalogue.History,
		Logger:  slog.New(slog.NewTextHandler(r.log, nil)),
	}
	return r
}

// stateFile is a path for a state file, where the machine allows in memory:
// weeks of virtual time write it thousands of times.
func stateFile(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "netatmo-agent-test-") //nolint:usetesting // its directory is on the disk
	if err != nil {
		dir = t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "state.json")
}

// start runs the agent. It ends with the test, or by kill or terminate.
func (r *rig) start() {
	r.t.Helper()
	var err error
	if r.saved, err = poll.OpenState(r.state, r.cfg.Logger); err != nil {
		r.t.Fatal(err)
	}
	r.cfg.Stale = r.backend.stale
	r.poller = poll.New(r.cfg, r.source, r.backend, r.saved)
	ctx, cancel := context.WithCancel(r.t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { r.poller.Run(ctx) })
	wg.Go(func() { r.backend.pushes(ctx, r.poller) })
	r.stop = func() { cancel(); wg.Wait() }
}

// kill ends the agent as SIGKILL does.
func (r *rig) kill() { r.stop() }

// terminate ends the agent as SIGTERM does.
func (r *rig) terminate() {
	r.t.Helper()
	r.stop()
	r.backend.push(r.poller)
	if err := r.saved.Save(); err != nil {
		r.t.Fatal(err)
	}
}

type staticToken string

func (s staticToken) Token(context.Context) (string, error) { return string(s), nil }
func (s staticToken) Reject(string)                         {}

// serveInMemory serves the handler and returns a transport to it.
func serveInMemory(t *testing.T, h http.Handler) *http.Transport {
	t.Helper()
	l := authtest.NewListener()
	srv := &http.Server{Handler: h}
	var wg sync.WaitGroup
	wg.Go(func() { _ = srv.Serve(l) })
	transport := &http.Transport{DialContext: l.Dial}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		srv.Close()
		wg.Wait()
	})
	return transport
}

// series is one line of a backend.
type series struct {
	station, module string
	field           netatmo.Field
}

func (s series) String() string { return fmt.Sprintf("%s %s %d", s.station, s.module, s.field) }

// backend stands for the pusher and the backend behind it: it pushes what the
// poller has at every interval and when woken, and keeps all points.
type backend struct {
	interval time.Duration
	stale    time.Duration
	ordered  bool // refuses points that are not newer than what the series has
	wake     chan struct{}
	onLive   func(now time.Time, r netatmo.Reading) // sees each reading that is pushed
	world    *sync.Mutex                            // held during onLive; may be nil

	mu       sync.Mutex
	down     bool
	refuses  bool                         // takes no history, for good
	points   map[series]map[int64]float64 // by Unix milliseconds
	newest   map[series]int64
	measured map[series]map[int64]time.Time // of the live points
	history  map[series]map[int64]bool      // came as history
	twice    int                            // points of history that came again
}

func newBackend() *backend {
	return &backend{
		interval: time.Minute, stale: 20 * time.Minute, wake: make(chan struct{}, 1),
		points: map[series]map[int64]float64{}, newest: map[series]int64{}, history: map[series]map[int64]bool{},
		measured: map[series]map[int64]time.Time{},
	}
}

func (b *backend) setDown(down bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.down = down
}

func (b *backend) Wake() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

func (b *backend) pushes(ctx context.Context, p *poll.Poller) {
	tick := time.NewTicker(b.interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-b.wake:
		}
		b.push(p)
	}
}

func (b *backend) push(p *poll.Poller) {
	if !p.ClockOK() {
		return
	}
	readings := p.Readings()
	b.mu.Lock()
	if b.down {
		b.mu.Unlock()
		return
	}
	now := time.Now()
	for _, r := range readings {
		if now.Sub(r.Measured) > b.stale {
			continue
		}
		b.see(now, r)
		for _, v := range r.Values {
			s := series{r.StationID, r.ModuleID, v.Field}
			b.add(s, now, v.Number)
			if b.measured[s] == nil {
				b.measured[s] = map[int64]time.Time{}
			}
			b.measured[s][now.UnixMilli()] = r.Measured
		}
	}
	b.mu.Unlock()
	p.Delivered(now, readings)
}

func (b *backend) see(now time.Time, r netatmo.Reading) {
	if b.onLive == nil {
		return
	}
	if b.world != nil {
		b.world.Lock()
		defer b.world.Unlock()
	}
	b.onLive(now, r)
}

// watch sets onLive while the agent runs.
func (b *backend) watch(onLive func(now time.Time, r netatmo.Reading)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.onLive = onLive
}

func (b *backend) PushHistory(_ context.Context, points []netatmo.Measurement) (done, refused int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down {
		return 0, 0, errors.New("connection refused")
	}
	if b.refuses {
		return len(points), len(points), nil
	}
	for i, pt := range points {
		if i > 0 && pt.Time.Before(points[i-1].Time) {
			return i, 0, errors.New("out of order")
		}
		for _, v := range pt.Values {
			s := series{pt.Reading.StationID, pt.Reading.ModuleID, v.Field}
			if b.history[s] == nil {
				b.history[s] = map[int64]bool{}
			}
			if b.history[s][pt.Time.UnixMilli()] {
				b.twice++
			}
			b.history[s][pt.Time.UnixMilli()] = true
			b.add(s, pt.Time, v.Number)
		}
	}
	return len(points), 0, nil
}

func (b *backend) add(s series, at time.Time, v float64) {
	ms := at.UnixMilli()
	if b.ordered && ms <= b.newest[s] {
		return
	}
	if b.points[s] == nil {
		b.points[s] = map[int64]float64{}
	}
	b.points[s][ms] = v
	b.newest[s] = max(b.newest[s], ms)
}

// has reports whether the series has the value at the time.
func (b *backend) has(s series, at time.Time, v float64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	got, ok := b.points[s][at.UnixMilli()]
	return ok && got == v
}

// ends are the newest points of all series.
func (b *backend) ends() map[series]time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	ends := map[series]time.Time{}
	for s, ms := range b.newest {
		ends[s] = time.UnixMilli(ms)
	}
	return ends
}

// missing lists the samples that the cloud holds and the backend lacks: of all
// sensors with a history, after what the backend had then, and up to the time
// until that is given for the module.
func (r *rig) missing(had map[series]time.Time, until func(module string) time.Time) (missing []string, expected int) {
	for _, m := range r.cloud.Modules() {
		for _, c := range moduleHistory(m) {
			s := series{stationOf(m), m.ID, c.Field}
			if had[s].IsZero() {
				continue // not polled
			}
			for _, x := range r.cloud.Held(m.ID, c.Type, had[s].Add(time.Millisecond), until(m.ID)) {
				expected++
				if !r.backend.has(s, x.Time, x.Value) {
					missing = append(missing, fmt.Sprintf("%s %s at %s", m.Name, c.Type, x.Time.UTC().Format(time.DateTime)))
				}
			}
		}
	}
	return missing, expected
}

func stationOf(m simcloud.Module) string {
	if m.Type == simcloud.TypeRoom {
		return ""
	}
	return m.StationID
}

func moduleHistory(m simcloud.Module) []netatmo.Column {
	kind := map[string]string{
		simcloud.TypeStation: netatmo.TypeStation, simcloud.TypeOutdoor: netatmo.TypeOutdoor,
		simcloud.TypeIndoor: netatmo.TypeIndoor, simcloud.TypeWind: netatmo.TypeWind,
		simcloud.TypeRain: netatmo.TypeRain, simcloud.TypeHomeCoach: netatmo.TypeHomeCoach,
		simcloud.TypeRoom: netatmo.TypeRoom,
	}[m.Type]
	return catalogue.History(kind)
}
