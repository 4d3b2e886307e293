package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"netatmo-agent/agent/catalogue"
	"netatmo-agent/agent/config"
	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/otlp"
	"netatmo-agent/agent/poll"
	"netatmo-agent/agent/record"
	"netatmo-agent/agent/telemetry"
	"netatmo-agent/auth"
	"netatmo-agent/auth/pages"
	"netatmo-agent/store"
)

// agent is the program, built and wired but not yet started.
type agent struct {
	cfg  *config.Config
	log  *slog.Logger
	lock *store.Lock

	source   *auth.Source
	pages    *pages.Handler
	listener net.Listener // nil: no login pages

	requests *requestCounts
	gate     *netatmo.Gate
	state    *record.StateFile
	record   *record.Record
	client   *netatmo.Client
	poller   *poll.Poller
	pusher   *telemetry.Pusher
}

// newAgent builds the agent. It makes no request, and its errors are about the
// configuration. out receives the metrics of OTEL_METRICS_EXPORTER=console.
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
	if a.source, err = newSource(ctx, cfg, a.hear(record.Gateway), log); err != nil {
		return nil, err
	}
	if portTaken != nil {
		if a.source.Status().LoggedOut() {
			return nil, usage(portTaken)
		}
		log.Warn("login pages unavailable; the existing login still works", "error", portTaken)
	}
	a.pages = pages.New(a.source, authConfig(cfg, nil, log))

	if a.state, err = record.OpenState(filepath.Join(cfg.StateDir, record.StateName), log); err != nil {
		log.Error("cannot use the state file; retrying. Until it works, a restart loses track of what was delivered", "error", err)
	}
	exporter, err := otlp.New(ctx, cfg.Push, otlp.Options{UserAgent: userAgent(), Out: out, Logger: log, OnDate: a.hear(record.Backend)})
	if err != nil {
		return nil, usage(err)
	}
	return a, a.connect(exporter)
}

// connect builds the path from Netatmo to the backend.
func (a *agent) connect(exporter otlp.Exporter) (err error) {
	a.client = newClient(a.cfg, a.source, a.gate, a.requests.add, a.hear(record.Gateway), a.log)
	a.record = record.New(record.Config{
		Allows: a.cfg.Stations.Allows, Interval: a.cfg.RefreshInterval, Stale: a.cfg.AgeStale, MaxGap: a.cfg.Backfill,
		Measured: a.cfg.Measured, Budget: a.cfg.RequestsPerHour * 3 / 4,
		History: columns(a.cfg), Meters: !a.cfg.NetatmoExporterNames, Logger: a.log,
	}, a.state)
	a.poller = poll.New(a.pollConfig(), watchStations(a.client, a.cfg, a.log), a.record)
	a.pusher, err = telemetry.NewPusher(telemetry.Options{
		Exporter: exporter, Push: a.cfg.Push,
		InstanceID: a.state.InstanceID(), Version: readBuild().version,
		ExporterNames: a.cfg.NetatmoExporterNames, Stale: a.cfg.AgeStale,
		Readings: a.record.Readings, Changed: a.record.Changed(), Clock: a.record.Clock, Delivered: a.record.Delivered,
		Agent: a.values, Logger: a.log,
	})
	return err
}

// lockFile is next to the token file. A running agent holds it.
const lockFile = "agent.lock"

// directoryPatience is how long to wait for the lock, because "check" takes it
// briefly to find out whether an agent is running.
const directoryPatience = time.Second

// takeDirectory makes this the only agent in its directory, before it touches
// the token file.
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
		return usage(fmt.Errorf("another netatmo-agent (%s) is already running in %s: stop it, or set NETATMO_TOKEN_FILE to a file in another directory", held.Holder(), a.cfg.StateDir))
	}
	a.lock = lock
	return noDirectory(err)
}

// noPlace adds the remedy to an error about the token file or its directory.
func noPlace(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, store.ErrNotRegular) {
		return usage(fmt.Errorf("%w; set NETATMO_TOKEN_FILE to the path of a file", err))
	}
	return usage(fmt.Errorf("%w; %s", err, config.OtherTokenFile))
}

func noDirectory(err error) error {
	if err == nil {
		return nil
	}
	return noPlace(fmt.Errorf("the token file's directory cannot be used: %w", err))
}

// close releases what newAgent acquired.
func (a *agent) close() {
	if a.listener != nil {
		_ = a.listener.Close()
	}
	if a.lock != nil {
		_ = a.lock.Unlock()
	}
}

// listen opens the port of the login pages. If the system chose the port, listen
// puts it into the external URL, unless the user set that.
func (a *agent) listen(ctx context.Context) error {
	if a.cfg.ListenAddr == "" {
		return nil
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", a.cfg.ListenAddr)
	if err != nil {
		return fmt.Errorf("the login pages cannot listen on %s: %w: set NETATMO_LISTEN_ADDR to a free port, or to off and log in with \"netatmo-agent login\"", a.cfg.ListenAddr, err)
	}
	a.listener = l
	if external := *a.cfg.External; external.Port() == "0" {
		_, port, _ := net.SplitHostPort(l.Addr().String())
		external.Host = net.JoinHostPort(external.Hostname(), port)
		a.cfg.External = &external
	}
	return nil
}

func newSource(ctx context.Context, cfg *config.Config, onDate func(server, local time.Time), log *slog.Logger) (*auth.Source, error) {
	source, err := auth.New(ctx, authConfig(cfg, onDate, log))
	if _, held := errors.AsType[*store.HeldError](err); held || ctx.Err() != nil {
		return source, err
	}
	return source, noPlace(err)
}

func authConfig(cfg *config.Config, onDate func(server, local time.Time), log *slog.Logger) auth.Config {
	c := auth.Config{
		ClientID: cfg.ClientID, ClientSecret: cfg.ClientSecret.Reveal(),
		APIURL: cfg.APIURL, External: cfg.External,
		TokenFile: cfg.TokenFile, IgnoreExpired: cfg.IgnoreExpired,
		Logger: log, UserAgent: userAgent(), OnDate: onDate,
		Explain: func(req *http.Request, resp *http.Response, err error) (what, remedy string) {
			return netatmo.Explain(cfg.APIURL, req, resp, err)
		},
	}
	if cfg.Scopes != nil {
		c.Scopes = cfg.Scopes
		return c
	}
	for _, f := range families(cfg) {
		c.Scopes = append(c.Scopes, f.Scopes()...)
	}
	return c
}

func newClient(cfg *config.Config, tokens netatmo.TokenSource, gate *netatmo.Gate, count func(endpoint, outcome string), onDate func(server, local time.Time), log *slog.Logger) *netatmo.Client {
	return netatmo.NewClient(netatmo.Options{
		BaseURL: cfg.APIURL, HTTP: &http.Client{Transport: oneByOne()}, Tokens: tokens, Gate: gate,
		Logger: log, UserAgent: userAgent(), OnRequest: count, OnDate: onDate, Families: families(cfg),
	})
}

// maxHead is how much is read of an answer's status line and headers.
const maxHead = 64 << 10

// oneByOne returns a transport that sends each request once. When a server ends
// the connection or refuses the request, HTTP/2 would send it again, past the
// gate. It would also keep using a connection that died silently.
func oneByOne() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone() //nolint:errcheck // it is one
	t.MaxResponseHeaderBytes = maxHead
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(true)
	if t.TLSClientConfig != nil {
		t.TLSClientConfig.NextProtos = nil // those of the original, which offer HTTP/2
	}
	return t
}

func userAgent() string { return "netatmo-agent/" + readBuild().version }

func (a *agent) pollConfig() poll.Config {
	return poll.Config{
		Families: netatmo.Asked(families(a.cfg)), Favorites: a.cfg.Favorites, Allows: a.cfg.Stations.Allows,
		Interval: a.cfg.RefreshInterval, PerHour: a.cfg.RequestsPerHour,
		Login:   a.login,
		Changed: a.source.Changed,
		OnScope: func(f netatmo.Family, granted bool) {
			scopes := strings.Join(scopesOf(a.cfg, f), ", ")
			if granted {
				a.source.ScopeGranted(scopes)
			} else {
				a.source.RefuseScope(scopes)
			}
		},
		Logger: a.log,
	}
}

var seed = maphash.MakeSeed()

// login returns a number for the access token, zero without a login.
func (a *agent) login() uint64 {
	if a.source.Status().LoggedOut() {
		return 0
	}
	access, _ := a.source.Present()
	return max(1, maphash.String(seed, access))
}

// columns returns the columns to request from Netatmo's history: those with a metric.
func columns(cfg *config.Config) func(moduleType string) []netatmo.Column {
	if cfg.NetatmoExporterNames {
		return catalogue.ExporterHistory
	}
	return catalogue.History
}

// scopesOf returns the scopes that the requests for a family need. One request
// serves all families in homes.
func scopesOf(cfg *config.Config, asked netatmo.Family) []string {
	var all []string
	for _, f := range families(cfg) {
		if f == asked || f.InHomes() && asked.InHomes() {
			all = append(all, f.Scopes()...)
		}
	}
	return all
}

func families(cfg *config.Config) []netatmo.Family {
	var all []netatmo.Family
	for _, f := range cfg.Families {
		all = append(all, netatmo.Family(f))
	}
	return all
}

// values returns what the agent reports about itself.
func (a *agent) values() telemetry.AgentValues {
	login, polls := a.source.Status(), a.poller.Stats()
	v := telemetry.AgentValues{
		Authorized: login.Authorized, TokenExpiry: login.Expiry, Refreshes: map[string]int64{},
		PollTime: polls.Time, PollSuccess: polls.Success, PollDuration: polls.Duration,
		RefreshInterval: cmp.Or(a.cfg.RefreshInterval, record.NominalCadence),
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
	c.n[telemetry.APIRequest{Endpoint: endpoint, Outcome: string(netatmo.ClassQuota)}] += 0 // an alert notices the first increase only if the series existed before
}

func (c *requestCounts) snapshot() map[telemetry.APIRequest]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.n)
}
