package main

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"netatmo-agent/agent/config"
	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/simcloud"
	"netatmo-agent/agent/telemetry"
	"netatmo-agent/auth"
	"netatmo-agent/auth/authtest"
)

// soak is an agent and all that is around it, in one bubble of fake time: the
// agent as main wires it, a cloud behind real HTTP and a backend behind real
// gRPC. Only the wires are not real.
type soak struct {
	t      *testing.T
	random *rand.Rand
	log    *soakLog
	clock  *cloudClock

	cloud   *simcloud.Cloud
	netatmo *wire // to the cloud
	push    *wire // to the backend
	backend *soakBackend

	cfg   *config.Config
	agent *agent
	stop  func()

	mu     sync.Mutex // for random, of faults that happen at once
	faults int
	wiped  int      // logins that Netatmo took away, or whose answer was lost
	first  holdings // of a quiet moment at the start
}

// newSoak builds everything. The agent is yet to be started.
func newSoak(t *testing.T, seed uint64) *soak {
	t.Helper()
	s := &soak{
		t: t, random: rand.New(rand.NewPCG(seed, 1)), log: &soakLog{}, clock: &cloudClock{},
		netatmo: newWire(), push: newWire(),
	}
	s.cloud = simcloud.New(simcloud.Options{
		ClientID: checkID, ClientSecret: checkSecret, Scenario: soakHome(), Now: s.clock.now,
	})
	s.backend = newSoakBackend(t, s.cloud)
	receiver := telemetry.ReceiveFrom(s.push, s.backend.take)
	server := &http.Server{Handler: s.cloud}
	var served sync.WaitGroup
	served.Go(func() { _ = server.Serve(s.netatmo) })
	outer := http.DefaultTransport
	transport := &http.Transport{DialContext: s.netatmo.Dial, IdleConnTimeout: 90 * time.Second}
	http.DefaultTransport = transport // main and auth take it
	t.Cleanup(func() {
		http.DefaultTransport = outer
		transport.CloseIdleConnections()
		server.Close()
		receiver.Close()
		served.Wait()
	})
	s.configure()
	s.logIn()
	return s
}

// soakHome is a station with sound and with odd modules, and a home coach.
func soakHome() *simcloud.Scenario {
	s := simcloud.Default()
	h := &s.Homes[0]
	h.Gateways, h.Rooms = nil, nil
	h.Stations[0].Modules = []simcloud.Device{
		{ID: soakOutdoor, Name: "Garden", Type: simcloud.TypeOutdoor},
		{ID: soakWind, Name: "Roof", Type: simcloud.TypeWind},
		{ID: soakRemoved, Type: simcloud.TypeIndoor, Quirks: simcloud.Gaps | simcloud.MixedNumbers},
		{ID: "03:00:00:00:10:06", Name: "Cellar", Type: simcloud.TypeIndoor, Quirks: simcloud.Dead},
	}
	return s
}

// Devices that something happens to.
const (
	soakStation = "70:ee:50:00:10:01"
	soakCoach   = "70:ee:50:00:20:01"
	soakOutdoor = "02:00:00:00:10:02"
	soakWind    = "06:00:00:00:10:04"
	soakRemoved = "03:00:00:00:10:03" // leaves the account in the middle
)

// configure loads the settings as the command does.
func (s *soak) configure() {
	s.t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "netatmo-agent-soak-") // not on the disk, which a year would wear
	if err != nil {
		dir = s.t.TempDir()
	}
	s.t.Cleanup(func() { _ = os.RemoveAll(dir) })
	for name, value := range map[string]string{
		"NETATMO_CLIENT_ID": checkID, "NETATMO_CLIENT_SECRET": checkSecret, "NETATMO_API_URL": "http://netatmo.test",
		"NETATMO_TOKEN_FILE": filepath.Join(dir, "token.json"), "NETATMO_LISTEN_ADDR": "off",
		"OTEL_METRICS_EXPORTER": "console", "OTEL_RESOURCE_ATTRIBUTES": soakLive + "=yes", // see connect
		"RUNTIME_DIRECTORY": dir,
	} {
		s.t.Setenv(name, value)
	}
	if s.cfg, err = config.Load(nil, config.Need{Login: true, Push: true}); err != nil {
		s.t.Fatal(err)
	}
	s.cfg.Push.Interval = soakPush
}

// soakPush is between two pushes at rest; there are more, since new readings are
// pushed at once. With a push a minute, as is the default, a year takes several
// times as long.
const soakPush = 10 * time.Minute

// logIn is what "netatmo-agent login" does, beside an agent or not.
func (s *soak) logIn() {
	s.t.Helper()
	source, err := auth.New(context.Background(), authConfig(s.cfg, s.log.logger()))
	if err != nil {
		s.t.Fatal(err)
	}
	if err := source.AdoptRefreshToken(s.t.Context(), s.cloud.Auth().Grant("read_station", "read_homecoach").Refresh); err != nil {
		s.t.Fatal(err)
	}
}

// start runs the agent.
func (s *soak) start() {
	s.t.Helper()
	a, err := newAgent(s.t.Context(), s.cfg, netatmo.NewGate(requestsPerHour), io.Discard, s.log.logger())
	if err != nil {
		s.t.Fatal(err)
	}
	push := s.cfg.Push
	push.Exporter, push.Protocol, push.URL = config.OTLP, config.GRPC, &url.URL{Scheme: "http", Host: "127.0.0.1:4317"}
	dial := func(ctx context.Context, addr string) (net.Conn, error) { return s.push.Dial(ctx, "tcp", addr) }
	exporter, err := telemetry.NewExporter(s.t.Context(), push, telemetry.ExporterOptions{Logger: s.log.logger(), Dial: dial})
	if err != nil {
		s.t.Fatal(err)
	}
	if err := a.connect(exporter); err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(s.t.Context())
	var run sync.WaitGroup
	run.Go(func() { a.run(ctx) })
	s.agent, s.stop = a, func() { cancel(); run.Wait() }
}

// cut ends the agent as a power cut does: nothing is pushed any more, and what
// it saves at its end is not on the disk. A token that was renewed just then is.
func (s *soak) cut() {
	s.t.Helper()
	path := filepath.Join(s.cfg.StateDir, "state.json")
	content, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	s.push.set(refusing)
	s.stop()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.push.set(working)
	s.backend.powerCut()
}

// cloudClock is Netatmo's clock. The bubble's is the agent's.
type cloudClock struct {
	mu     sync.Mutex
	ahead  time.Duration
	frozen time.Time // zero: it goes
}

func (c *cloudClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.frozen.IsZero() {
		return c.frozen
	}
	return time.Now().Add(c.ahead)
}

// jump moves Netatmo's clock on, that is: the agent's back.
func (c *cloudClock) jump(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

// wait lets the agent's clock gain d: Netatmo's, and the world with it, stands
// still meanwhile. So NTP does it, only slower.
func (c *cloudClock) wait(d time.Duration) {
	now := c.now()
	c.mu.Lock()
	c.frozen = now
	c.mu.Unlock()
	time.Sleep(d)
	c.mu.Lock()
	c.frozen, c.ahead = time.Time{}, c.ahead-d
	c.mu.Unlock()
}

// wire is the way to a server: a listener, and what dials to it.
type wire struct {
	*authtest.Listener

	mu    sync.Mutex
	state wireState
	ends  map[*wireEnd]bool
}

type wireState int

const (
	working  wireState = iota
	refusing           // as where nothing listens
	mute               // as to a machine that is gone: nothing arrives, nobody says so
)

func newWire() *wire {
	return &wire{Listener: authtest.NewListener(), ends: map[*wireEnd]bool{}}
}

// set changes the state. Connections that are there end, or swallow what is
// sent for as long as the wire is mute.
func (w *wire) set(state wireState) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state = state
	if state == mute {
		return
	}
	for end := range w.ends {
		_ = end.Conn.Close()
	}
	clear(w.ends)
}

func (w *wire) is(state wireState) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state == state
}

// Dial connects to the server as the state of the wire allows.
func (w *wire) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	w.mu.Lock()
	state := w.state
	w.mu.Unlock()
	switch state {
	case refusing:
		return nil, errors.New("connection refused")
	case mute:
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(30 * time.Second): // as net/http's dialer
			return nil, errors.New("i/o timeout")
		}
	}
	conn, err := w.Listener.Dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	end := &wireEnd{conn, w}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ends[end] = true
	return end, nil
}

// wireEnd is the caller's end of a connection.
type wireEnd struct {
	net.Conn
	wire *wire
}

func (e *wireEnd) Write(b []byte) (int, error) {
	if e.wire.is(mute) {
		return len(b), nil
	}
	return e.Conn.Write(b)
}

func (e *wireEnd) Close() error {
	e.wire.mu.Lock()
	delete(e.wire.ends, e)
	e.wire.mu.Unlock()
	return e.Conn.Close()
}
