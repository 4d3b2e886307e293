package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"netatmo-agent/agent/catalogue"
	"netatmo-agent/agent/config"
	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/poll"
	"netatmo-agent/agent/telemetry"
	"netatmo-agent/auth"
	"netatmo-agent/store"
)

// agent is the program, built and wired but not yet started.
type agent struct {
	cfg  *config.Config
	log  *slog.Logger
	lock *store.Lock

	source   *auth.Source
	pages    *auth.Handler
	listener net.Listener // nil: no login pages

	requests *requestCounts
	gate     *netatmo.Gate
	state    *poll.State
	poller   *poll.Poller
	pusher   *telemetry.Pusher
}

// newAgent builds the agent, which prints to out what it pushes to the console.
// It makes no request; its errors are about the configuration.
func newAgent(ctx context.Context, cfg *config.Config, gate *netatmo.Gate, out io.Writer, log *slog.Logger) (_ *agent, err error) {
	a := &agent{cfg: cfg, log: log, requests: newRequestCounts(), gate: gate}
	if err := a.takeDirectory(ctx); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			a.close()
		}
	}()
	portTaken := a.listen(ctx)
	if a.source, err = newSource(ctx, cfg, log); err != nil {
		return nil, err
	}
	if portTaken != nil {
		if !a.source.Status().Authorized {
			return nil, usage(portTaken)
		}
		log.Warn("no login pages, the login that is there works without", "error", portTaken)
	}
	a.pages = auth.NewHandler(a.source)

	if a.state, err = poll.OpenState(filepath.Join(cfg.StateDir, poll.StateFile), log); err != nil {
		log.Error("the state file cannot be used; that is tried again, and until then a restart does not know what was delivered", "error", err)
	}
	exporter, err := telemetry.NewExporter(ctx, cfg.Push, telemetry.ExporterOptions{UserAgent: userAgent(), Out: out, Logger: log})
	if err != nil {
		return nil, usage(err)
	}
	return a, a.connect(exporter)
}

// connect makes the way from Netatmo to the backend.
func (a *agent) connect(exporter telemetry.Exporter) (err error) {
	a.poller = poll.New(a.pollConfig(), newClient(a.cfg, a.source, a.gate, a.requests.add, a.log), sink{a}, a.state)
	a.pusher, err = telemetry.NewPusher(telemetry.Options{
		Exporter: exporter, Push: a.cfg.Push,
		InstanceID: a.state.InstanceID(), Version: readBuild().version,
		ExporterNames: a.cfg.NetatmoExporterNames, Stale: a.cfg.AgeStale,
		Readings: a.poller.Readings, ClockOK: a.poller.ClockOK, Delivered: a.poller.Delivered,
		Agent: a.values, Logger: a.log,
	})
	return err
}

// lockFile beside the token file is held by a running agent.
const lockFile = "agent.lock"

// directoryPatience is for "check", which holds the lock for a moment to see whether
// an agent runs.
const directoryPatience = time.Second

// takeDirectory makes this the only agent in its directory, before it touches
// the token file there.
func (a *agent) takeDirectory(ctx context.Context) error {
	if err := store.CheckRegular(a.cfg.TokenFile); err != nil {
		return noPlace(fmt.Errorf("the token file cannot be used: %w", err))
	}
	wait, cancel := context.WithTimeout(ctx, directoryPatience)
	defer cancel()
	lock, err := store.LockWait(wait, filepath.Join(a.cfg.StateDir, lockFile))
	if held, ok := errors.AsType[*store.HeldError](err); ok {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return usage(fmt.Errorf("another netatmo-agent (%s) already runs in %s: stop it, or give this one a directory of its own by NETATMO_TOKEN_FILE", held.Holder(), a.cfg.StateDir))
	}
	a.lock = lock
	return noDirectory(err)
}

// noPlace adds to an error about the token file or its directory what cures it.
func noPlace(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, store.ErrNotRegular) {
		return usage(fmt.Errorf("%w; give the path of a file by NETATMO_TOKEN_FILE", err))
	}
	return usage(fmt.Errorf("%w; %s", err, config.OtherTokenFile))
}

func noDirectory(err error) error {
	if err == nil {
		return nil
	}
	return noPlace(fmt.Errorf("the directory of the token file cannot be used: %w", err))
}

// close gives back what newAgent took.
func (a *agent) close() {
	if a.listener != nil {
		_ = a.listener.Close()
	}
	if a.lock != nil {
		_ = a.lock.Unlock()
	}
}

// listen opens the port of the login pages. A port that the system chose is
// put into the external URL, unless that was set.
func (a *agent) listen(ctx context.Context) error {
	if a.cfg.ListenAddr == "" {
		return nil
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", a.cfg.ListenAddr)
	if err != nil {
		return fmt.Errorf("the login pages cannot listen on %s: %w: set NETATMO_LISTEN_ADDR to a free port, or to off and log in by \"netatmo-agent login\"", a.cfg.ListenAddr, err)
	}
	a.listener = l
	if external := *a.cfg.External; external.Port() == "0" {
		_, port, _ := net.SplitHostPort(l.Addr().String())
		external.Host = net.JoinHostPort(external.Hostname(), port)
		a.cfg.External = &external
	}
	return nil
}

// requestsPerHour is what this process may ask of Netatmo, which allows a user
// 500 an hour. A "backfill" beside it, a process of its own, asks for
// backfillPerHour, and both have room while the agent polls, some dozens an
// hour. An agent that fills a gap meanwhile may ask for 300 more: then Netatmo
// refuses both for an hour, and both wait and go on without a loss.
const requestsPerHour = 400

func newSource(ctx context.Context, cfg *config.Config, log *slog.Logger) (*auth.Source, error) {
	source, err := auth.New(ctx, authConfig(cfg, log))
	if _, held := errors.AsType[*store.HeldError](err); held || ctx.Err() != nil {
		return source, err
	}
	return source, noPlace(err)
}

func authConfig(cfg *config.Config, log *slog.Logger) auth.Config {
	c := auth.Config{
		ClientID: cfg.ClientID, ClientSecret: cfg.ClientSecret.Reveal(),
		APIURL: cfg.APIURL, External: cfg.External,
		TokenFile: cfg.TokenFile, IgnoreExpired: cfg.IgnoreExpired,
		Logger: log, UserAgent: userAgent(),
	}
	for _, f := range families(cfg) {
		c.Scopes = append(c.Scopes, f.Scope())
	}
	return c
}

func newClient(cfg *config.Config, tokens netatmo.TokenSource, gate *netatmo.Gate, count func(endpoint, outcome string), log *slog.Logger) *netatmo.Client {
	return netatmo.NewClient(netatmo.Options{
		BaseURL: cfg.APIURL, HTTP: &http.Client{Transport: pinging()}, Tokens: tokens, Gate: gate,
		Logger: log, UserAgent: userAgent(), OnRequest: count,
	})
}

// pinging asks connections that are mute whether they live: otherwise HTTP/2
// uses one that died in silence, as when a router restarts, after each timeout
// again.
func pinging() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone() //nolint:errcheck // it is one
	t.HTTP2 = &http.HTTP2Config{SendPingTimeout: 10 * time.Second, PingTimeout: 10 * time.Second}
	return t
}

func userAgent() string { return "netatmo-agent/" + readBuild().version }

func (a *agent) pollConfig() poll.Config {
	return poll.Config{
		Families: families(a.cfg), Favorites: a.cfg.Favorites, Allows: a.cfg.Stations.Allows,
		Interval: a.cfg.RefreshInterval, Stale: a.cfg.AgeStale, MaxGap: a.cfg.Backfill,
		History:    history(a.cfg),
		Authorized: func() bool { return a.source.Status().Authorized },
		Changed:    a.source.Changed,
		OnScope: func(f netatmo.Family, granted bool) {
			if granted {
				a.source.ScopeGranted(f.Scope())
			} else {
				a.source.RefuseScope(f.Scope())
			}
		},
		Logger: a.log,
	}
}

// history is what to ask of Netatmo's history: what has a metric.
func history(cfg *config.Config) func(moduleType string) []netatmo.Column {
	if cfg.NetatmoExporterNames {
		return catalogue.ExporterHistory
	}
	return catalogue.History
}

func families(cfg *config.Config) []netatmo.Family {
	var all []netatmo.Family
	for _, f := range cfg.Families {
		all = append(all, netatmo.Family(f))
	}
	return all
}

// sink hands to telemetry what poll has to deliver.
type sink struct{ *agent }

func (s sink) Wake() { s.pusher.Wake() }

func (s sink) PushHistory(ctx context.Context, points []netatmo.Measurement) (done, refused int, err error) {
	return s.pusher.PushHistory(ctx, points)
}

// values are what the agent reports about itself.
func (a *agent) values() telemetry.AgentValues {
	login, polls := a.source.Status(), a.poller.Stats()
	v := telemetry.AgentValues{
		Authorized: login.Authorized, TokenExpiry: login.Expiry, Refreshes: map[string]int64{},
		PollTime: polls.Time, PollSuccess: polls.Success, PollDuration: polls.Duration,
		RefreshInterval: cmp.Or(a.cfg.RefreshInterval, poll.NominalCadence),
		Requests:        a.requests.snapshot(), Budget: a.gate.Remaining(),
	}
	for outcome, n := range login.Refreshes {
		v.Refreshes[string(outcome)] = n
	}
	for _, f := range polls.Families {
		if f.LastSuccess.After(v.LastSuccess) {
			v.LastSuccess = f.LastSuccess
		}
	}
	return v
}

// requestCounts counts the requests to Netatmo. It is safe for concurrent use.
type requestCounts struct {
	mu sync.Mutex
	n  map[telemetry.APIRequest]int64
}

func newRequestCounts() *requestCounts {
	return &requestCounts{n: map[telemetry.APIRequest]int64{}}
}

func (c *requestCounts) add(endpoint, outcome string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n[telemetry.APIRequest{Endpoint: endpoint, Outcome: outcome}]++
	c.n[telemetry.APIRequest{Endpoint: endpoint, Outcome: string(netatmo.ClassQuota)}] += 0 // an alert sees its first increase only if it was there
}

func (c *requestCounts) snapshot() map[telemetry.APIRequest]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.n)
}

// pageServer serves the login pages, within limits.
func pageServer(pages http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           pages,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      auth.LoginTimeout + 10*time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}
