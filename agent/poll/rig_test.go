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
	"strings"
	"sync"
	"testing"
	"time"

	"netatmo-agent/agent/catalogue"
	"netatmo-agent/agent/history"
	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/poll"
	"netatmo-agent/agent/record"
	"netatmo-agent/agent/simcloud"
	"netatmo-agent/auth/authtest"
)

// rig is the inner part of an agent: the real client makes requests to the
// simulated cloud through a real HTTP server, and a backend receives what is
// pushed.
type rig struct {
	t       *testing.T
	cloud   *simcloud.Cloud
	source  source
	cfg     poll.Config
	known   record.Config
	state   string // path of the state file
	backend *backend
	log     *bytes.Buffer
	step    time.Duration // between two uploads

	saved  *record.StateFile
	record *record.Record
	poller *poll.Poller
	stop   func()
}

// source is everything that the agent requests from Netatmo.
type source interface {
	netatmo.API
	history.Source
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
	r.source = r.clientOf(r.cloud.Auth().Grant("read_station", "read_homecoach", "read_thermostat").Access)
	log := slog.New(slog.NewTextHandler(r.log, nil))
	r.cfg = poll.Config{Families: families, Logger: log}
	r.known = record.Config{MaxGap: 24 * time.Hour, History: catalogue.History, Logger: log}
	return r
}

func (r *rig) clientOf(token string) *netatmo.Client {
	return netatmo.NewClient(netatmo.Options{
		BaseURL: "http://cloud",
		HTTP:    &http.Client{Transport: serveInMemory(r.t, r.cloud)},
		Gate:    netatmo.NewGate(400),
		Tokens:  staticToken(token),
	})
}

// stateFile returns a path for a state file, in memory if possible, because
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

// start runs the agent. It stops with the test, or through kill or terminate.
func (r *rig) start() {
	r.t.Helper()
	var err error
	if r.saved, err = record.OpenState(r.state, r.cfg.Logger); err != nil {
		r.t.Fatal(err)
	}
	r.known.Stale, r.known.Interval, r.known.Allows = r.backend.stale, r.cfg.Interval, r.cfg.Allows
	r.record = record.New(r.known, r.saved)
	r.poller = poll.New(r.cfg, r.source, r.record)
	ctx, cancel := context.WithCancel(r.t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { r.poller.Run(ctx) })
	wg.Go(func() { history.Fill(ctx, r.source, r.backend, r.known.History, r.record, r.cfg.Logger) })
	wg.Go(func() { r.record.KeepSaved(ctx) })
	wg.Go(func() { r.backend.pushes(ctx, r.record) })
	r.stop = func() { cancel(); wg.Wait() }
}

// kill stops the agent like SIGKILL.
func (r *rig) kill() { r.stop() }

// terminate stops the agent like SIGTERM.
func (r *rig) terminate() {
	r.t.Helper()
	r.stop()
	r.backend.push(r.record)
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

// series is one series of a backend.
type series struct {
	station, module string
	field           netatmo.Field
}

func (s series) String() string { return fmt.Sprintf("%s %s %d", s.station, s.module, s.field) }

// backend replaces the pusher and the backend behind it: it pushes what the
// record has at every interval and when woken, and keeps all points.
type backend struct {
	interval time.Duration
	stale    time.Duration
	ordered  bool                                   // refuses points that are not newer than the series
	onLive   func(now time.Time, r netatmo.Reading) // receives each reading that is pushed
	world    *sync.Mutex                            // held during onLive; may be nil

	onHistory func(at time.Time) // receives the time of each measurement that is pushed; may be nil

	mu       sync.Mutex
	down     bool
	refuses  bool                         // permanently refuses history
	points   map[series]map[int64]float64 // by Unix milliseconds
	newest   map[series]int64
	measured map[series]map[int64]time.Time // of the live points
	history  map[series]map[int64]bool      // arrived as history
	twice    int                            // points of history that arrived again
}

func newBackend() *backend {
	return &backend{
		interval: time.Minute, stale: 20 * time.Minute,
		points: map[series]map[int64]float64{}, newest: map[series]int64{}, history: map[series]map[int64]bool{},
		measured: map[series]map[int64]time.Time{},
	}
}

func (b *backend) setDown(down bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.down = down
}

func (b *backend) pushes(ctx context.Context, p *record.Record) {
	tick := time.NewTicker(b.interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-p.Changed():
		}
		b.push(p)
	}
}

func (b *backend) push(p *record.Record) {
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

func (b *backend) PushHistory(_ context.Context, module netatmo.Reading, samples []netatmo.Sample) (record.Delivery, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down {
		return record.Delivery{}, errors.New("connection refused")
	}
	if b.refuses {
		return record.Delivery{Refused: len(samples)}, nil
	}
	for i, x := range samples {
		if i > 0 && x.Time.Before(samples[i-1].Time) {
			return record.Delivery{Accepted: i}, errors.New("out of order")
		}
		if b.onHistory != nil {
			b.onHistory(x.Time)
		}
		for _, v := range x.Values {
			s := series{module.StationID, module.ModuleID, v.Field}
			if b.history[s] == nil {
				b.history[s] = map[int64]bool{}
			}
			if b.history[s][x.Time.UnixMilli()] {
				b.twice++
			}
			b.history[s][x.Time.UnixMilli()] = true
			b.add(s, x.Time, v.Number)
		}
	}
	return record.Delivery{Accepted: len(samples)}, nil
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

// logged counts the lines of the log with the text.
func (r *rig) logged(text string) int {
	n := 0
	for line := range strings.Lines(r.log.String()) {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// ends returns the newest points of all series.
func (b *backend) ends() map[series]time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	ends := map[series]time.Time{}
	for s, ms := range b.newest {
		ends[s] = time.UnixMilli(ms)
	}
	return ends
}

// missing lists the cloud's samples that the backend lacks: for all sensors
// with a history, after the time in had, and up to the module's time until.
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
