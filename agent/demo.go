package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"netatmo-agent/agent/config"
	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/simcloud"
	"netatmo-agent/agent/telemetry"
)

// The demo's station measures and uploads as a real one does, only faster, so
// that a newcomer sees values change.
const (
	demoMeasure  = 5 * time.Second
	demoUpload   = 10 * time.Second
	demoInterval = 5 * time.Second // between pushes

	// At this cadence the agent asks more often than Netatmo would allow.
	demoRequestsPerHour = 3600
)

func demoCommand() *cobra.Command {
	var length time.Duration
	c := &cobra.Command{
		Use:   "demo",
		Short: "See the agent at work against a simulated Netatmo cloud",
		Long: `Runs the agent against a simulated Netatmo cloud inside this process. It logs
in by OAuth, keeps a token file, polls, and pushes over OTLP/gRPC to a small
receiver, also inside this process, that shows what arrived. Needs no account,
no configuration and no network.

With OTEL_EXPORTER_OTLP_ENDPOINT set the readings are pushed there instead.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if length < 0 {
				return usage(errors.New("--for takes how long from now, such as 30s"))
			}
			return runDemo(c, length)
		},
	}
	c.Flags().DurationVar(&length, "for", 0, "end by itself after this long, for example 30s")
	return c
}

func runDemo(c *cobra.Command, length time.Duration) error {
	ctx := c.Context()
	if length > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, length)
		defer cancel()
	}
	d, err := newDemo(ctx, c)
	if err != nil {
		return err
	}
	defer d.close()
	d.length = length
	return d.run(ctx)
}

// demo is the agent with everything that the outside world usually provides.
type demo struct {
	out    io.Writer
	agent  *agent
	view   *demoView         // nil when the readings go elsewhere
	cloud  string            // URL of the simulated cloud
	dir    string            // of the token file
	env    map[string]string // settings, where the user has none
	length time.Duration     // 0: until a signal
	close  func()
}

func newDemo(ctx context.Context, c *cobra.Command) (_ *demo, err error) {
	d := &demo{out: c.OutOrStdout(), env: map[string]string{
		"NETATMO_CLIENT_SECRET":       demoSecret,
		"OTEL_METRIC_EXPORT_INTERVAL": fmt.Sprint(demoInterval.Milliseconds()),
	}}
	var closers []func()
	d.close = func() {
		for _, c := range slices.Backward(closers) {
			c()
		}
	}
	defer func() {
		if err != nil {
			d.close()
		}
	}()

	if d.dir, err = os.MkdirTemp("", "netatmo-agent-demo-"); err != nil {
		return nil, fmt.Errorf("the demo needs a temporary directory for its token file: %w", err)
	}
	closers = append(closers, func() { _ = os.RemoveAll(d.dir) })

	cloud := simcloud.New(simcloud.Options{
		ClientID: demoClient, ClientSecret: demoSecret,
		Measure: demoMeasure, Upload: demoUpload, AutoConsent: true, QuotaPer10s: -1, QuotaPerHour: -1,
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("the demo's cloud needs a loopback port: %w", err)
	}
	server := &http.Server{Handler: cloud, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(listener) }()
	closers = append(closers, func() { _ = server.Close() })
	d.cloud = "http://" + listener.Addr().String()

	if os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && os.Getenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT") == "" {
		d.view = newDemoView()
		receiver, err := telemetry.NewReceiver("127.0.0.1:0", d.view.add)
		if err != nil {
			return nil, fmt.Errorf("the demo's receiver needs a loopback port: %w", err)
		}
		closers = append(closers, receiver.Close)
		d.env["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://" + receiver.Addr()
		d.env["NETATMO_LOG_LEVEL"] = "error" // the tables tell the rest
	}

	cfg, err := d.config()
	if err != nil {
		return nil, usage(err)
	}
	d.agent, err = newAgent(ctx, cfg, netatmo.NewGate(demoRequestsPerHour), c.OutOrStdout(), config.NewLogger(c.ErrOrStderr(), cfg.LogLevel, cfg.LogFormat))
	return d, err
}

// Credentials of the app that exists in the simulated cloud only.
const (
	demoClient = "demo"
	demoSecret = "demo"
)

// config is what a user would set, with the simulated cloud in the place of
// Netatmo. The user's own Netatmo settings are left out of the demo, other than
// those of the log, and those of the push where the demo's receiver takes it.
func (d *demo) config() (*config.Config, error) {
	for _, e := range os.Environ() {
		name, _, _ := strings.Cut(e, "=")
		ofNetatmo := strings.HasPrefix(name, "NETATMO_") && !strings.HasPrefix(name, "NETATMO_LOG_")
		ofPush := strings.HasPrefix(name, "OTEL_EXPORTER_OTLP_") || strings.HasPrefix(name, "OTEL_METRIC")
		if ofNetatmo || ofPush && d.view != nil {
			if err := os.Unsetenv(name); err != nil {
				return nil, err
			}
		}
	}
	for name, value := range d.env {
		if os.Getenv(name) != "" {
			continue
		}
		if err := os.Setenv(name, value); err != nil {
			return nil, err
		}
	}
	return config.Load(map[string]string{
		"client-id":  demoClient,
		"api-url":    d.cloud,
		"token-file": filepath.Join(d.dir, "token.json"),
		"addr":       "127.0.0.1:0",
		"devices":    "weather,homecoach,energy",
	}, config.Need{Login: true, Push: true})
}

func (d *demo) run(ctx context.Context) error {
	agentCtx, stop := context.WithCancel(ctx)
	defer stop()
	var ended sync.WaitGroup
	ended.Go(func() { d.agent.run(agentCtx) })
	defer ended.Wait()

	if err := d.login(ctx); err != nil {
		stop()
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("the demo's login failed: %w", err)
	}
	d.show(ctx)
	return nil
}

// login does what a person does in the browser: open the link, press the
// button, accept at Netatmo, come back.
func (d *demo) login(ctx context.Context) error {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	browser := &http.Client{Jar: jar, Timeout: 10 * time.Second}
	link, err := url.Parse(d.agent.pages.LoginURL())
	if err != nil {
		return err
	}
	action := link.JoinPath("auth/authorize")
	action.RawQuery = ""
	form := url.Values{"key": {link.Query().Get("key")}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, action.String(), strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := browser.Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the login page answered %s", resp.Status)
	}
	if !d.agent.source.Status().Authorized {
		return errors.New("the login page reported no login")
	}
	return nil
}

// show prints what arrived, again and again on a terminal, once it is
// complete and at the end elsewhere, until ctx ends.
func (d *demo) show(ctx context.Context) {
	if d.view == nil {
		fmt.Fprint(d.out, d.header()+d.end())
		<-ctx.Done()
		return
	}
	_, onTerminal := terminal(d.out)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	shown := false
	for {
		points, last := d.view.arrived()
		switch {
		case onTerminal:
			fmt.Fprint(d.out, "\x1b[H\x1b[2J")
			d.print()
			fmt.Fprint(d.out, d.end())
		case !shown && points > 0 && time.Since(last) > time.Second:
			d.print()
			fmt.Fprint(d.out, d.end())
			shown = true
		}
		select {
		case <-ctx.Done():
			if !onTerminal {
				d.print()
			}
			return
		case <-tick.C:
		}
	}
}

func (d *demo) print() {
	fmt.Fprintln(d.out, d.header())
	d.view.render(d.out)
	fmt.Fprint(d.out, d.footer())
}

func (d *demo) header() string {
	to := "to " + d.agent.cfg.Push.URL.String() + "; the log says how that goes"
	if d.view != nil {
		points, _ := d.view.arrived()
		to = fmt.Sprintf("to this process and back: %d points so far", points)
	}
	return fmt.Sprintf(`netatmo-agent demo: the real agent, a simulated Netatmo home

  simulated  the Netatmo cloud at %s: measures every %v, uploads every %v
  login      OAuth through the agent's own page; token file %s
  pushing    OTLP/%s %s
`, d.cloud, demoMeasure, demoUpload, d.agent.cfg.TokenFile, d.agent.cfg.Push.Protocol, to)
}

func (d *demo) footer() string {
	return `Next: your own station in four steps, see README.md, "A real account".
      With a Collector: OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4317 go run ./agent demo
`
}

// end says what a demo that runs is waiting for.
func (d *demo) end() string {
	if d.length > 0 {
		return fmt.Sprintf("      This ends by itself after %v, and by Ctrl-C.\n", d.length)
	}
	return "      Ctrl-C ends this.\n"
}
