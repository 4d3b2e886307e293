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
	"netatmo-agent/agent/otlp"
	"netatmo-agent/agent/simcloud"
	"netatmo-agent/auth"
	"netatmo-agent/auth/authtest"
)

// soak is an agent and its whole environment, in one bubble of fake time: the
// agent as main builds it, a cloud behind real HTTP and a backend behind real
// gRPC. Only the network is fake.
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

	mu     sync.Mutex // for random, which concurrent faults use
	faults int
	wiped  int      // logins that Netatmo withdrew, or whose answer was lost
	first  holdings // at a quiet moment near the start
}

// newSoak builds everything. It does not start the agent.
func newSoak(t *testing.T, seed uint64, timestamps string) *soak {
	t.Helper()
	s := &soak{
		t: t, random: rand.New(rand.NewPCG(seed, 1)), log: &soakLog{}, clock: &cloudClock{},
		netatmo: newWire(), push: newWire(),
	}
	s.cloud = simcloud.New(simcloud.Options{
		ClientID: checkID, ClientSecret: checkSecret, Scenario: soakHome(), Now: s.clock.now,
	})
	s.backend = newSoakBackend(s.log, s.cloud)
	receiver := otlp.Receive(s.push, s.backend.take)
	server := &http.Server{Handler: s.cloud}
	var served sync.WaitGroup
	served.Go(func() { _ = server.Serve(s.netatmo) })
	outer := http.DefaultTransport
	transport := &http.Transport{DialContext: s.netatmo.Dial, IdleConnTimeout: 90 * time.Second}
	http.DefaultTransport = transport // main and auth use it
	t.Cleanup(func() {
		http.DefaultTransport = outer
		transport.CloseIdleConnections()
		server.Close()
		receiver.Close()
		served.Wait()
	})
	s.configure(timestamps)
	s.backend.measured = s.cfg.Measured
	s.logIn()
	return s
}

// soakHome is a station with normal and odd modules, and a home coach.
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

// Devices that are subject to faults.
const (
	soakStation = "70:ee:50:00:10:01"
	soakCoach   = "70:ee:50:00:20:01"
	soakOutdoor = "02:00:00:00:10:02"
	soakWind    = "06:00:00:00:10:04"
	soakRemoved = "03:00:00:00:10:03" // leaves the account in the middle
)

// configure loads the settings as the command does.
func (s *soak) configure(timestamps string) {
	s.t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "netatmo-agent-soak-") // not on the disk, which a year would wear out
	if err != nil {
		dir = s.t.TempDir()
	}
	s.t.Cleanup(func() { _ = os.RemoveAll(dir) })
	for name, value := range map[string]string{
		"NETATMO_CLIENT_ID": checkID, "NETATMO_CLIENT_SECRET": checkSecret, "NETATMO_API_URL": "http://netatmo.test",
		"NETATMO_TOKEN_FILE": filepath.Join(dir, "token.json"), "NETATMO_LISTEN_ADDR": "off",
		"OTEL_METRICS_EXPORTER": "console", // see connect
		"NETATMO_TIMESTAMPS":    timestamps,
		"RUNTIME_DIRECTORY":     dir,
	} {
		s.t.Setenv(name, value)
	}
	if s.cfg, err = config.Load(nil, config.Need{Login: true, Push: true}); err != nil {
		s.t.Fatal(err)
	}
	s.cfg.Push.Interval = soakPush
}

// soakPush is the time between two pushes at rest. There are more, since new
// readings are pushed at once. With the default of one push a minute, a year
// takes several times as long.
const soakPush = 10 * time.Minute

// logIn does what "netatmo-agent login" does, with or without a running agent.
func (s *soak) logIn() {
	s.t.Helper()
	source, err := auth.New(context.Background(), authConfig(s.cfg, nil, s.log.logger()))
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
	a, err := newAgent(s.t.Context(), s.cfg, netatmo.NewGate(s.cfg.RequestsPerHour), io.Discard, s.log.logger())
	if err != nil {
		s.t.Fatal(err)
	}
	push := s.cfg.Push
	push.Exporter, push.Protocol, push.URL = config.OTLP, config.GRPC, &url.URL{Scheme: "http", Host: "127.0.0.1:4317"}
	dial := func(ctx context.Context, addr string) (net.Conn, error) { return s.push.Dial(ctx, "tcp", addr) }
	exporter, err := otlp.New(s.t.Context(), push, otlp.Options{Logger: s.log.logger(), Dial: dial})
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

// cut ends the agent like a power cut: nothing more is pushed, and what it
// saves while stopping is not on the disk. A token that it has just renewed is.
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

// cloudClock is Netatmo's clock. The agent's is the bubble's.
type cloudClock struct {
	mu     sync.Mutex
	ahead  time.Duration
	frozen time.Time // zero: it runs
}

func (c *cloudClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.frozen.IsZero() {
		return c.frozen
	}
	return time.Now().Add(c.ahead)
}

// jump moves Netatmo's clock forward, which looks like the agent's moving back.
func (c *cloudClock) jump(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

// wait lets the agent's clock gain d: Netatmo's, and the world with it, stops
// meanwhile. NTP does the same, only slower.
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

// wire is the network to a server: a listener, and a dialer to it.
type wire struct {
	*authtest.Listener

	mu    sync.Mutex
	state wireState
	ends  map[*wireEnd]bool
}

type wireState int

const (
	working  wireState = iota
	refusing           // as if nothing listens
	mute               // as if the machine is gone: nothing arrives, and there is no error
)

func newWire() *wire {
	return &wire{Listener: authtest.NewListener(), ends: map[*wireEnd]bool{}}
}

// set changes the state. Existing connections end, or swallow what is sent
// while the wire is mute.
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
