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
	"netatmo-agent/agent/otlp"
	"netatmo-agent/agent/simcloud"
	"netatmo-agent/agent/terminal"
)

// The demo's station measures and uploads like a real one, but faster, so that
// values change visibly.
const (
	demoMeasure  = 5 * time.Second
	demoUpload   = 10 * time.Second
	demoInterval = 5 * time.Second // between pushes

	// At this cadence the agent sends more requests than Netatmo would allow.
	demoRequestsPerHour = 3600
)

func demoCommand() *cobra.Command {
	var length time.Duration
	c := &cobra.Command{
		Use:   "demo",
		Short: "Run the agent against a simulated Netatmo cloud",
		Long: `Runs the agent against a simulated Netatmo cloud in this process. The agent
logs in with OAuth, keeps a token file, polls, and pushes over OTLP/gRPC to a
small receiver, also in this process, which shows the readings. It needs no
account, configuration or network.

If OTEL_EXPORTER_OTLP_ENDPOINT is set, the agent pushes there instead.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if length < 0 {
				return usage(errors.New("--for must be a positive duration, such as 30s"))
			}
			return runDemo(c, length)
		},
	}
	c.Flags().DurationVar(&length, "for", 0, "stop after this time, such as 30s")
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

// demo is the agent with a simulated environment.
type demo struct {
	out    io.Writer
	agent  *agent
	view   *demoView         // nil if the readings are pushed elsewhere
	cloud  string            // URL of the simulated cloud
	dir    string            // of the token file
	env    map[string]string // settings that the user has not set
	length time.Duration     // 0 means until a signal
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
		ClientID: demoClient, ClientSecret: demoSecret, Scenario: simcloud.Household(),
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
		receiver, err := otlp.Listen("127.0.0.1:0", d.view.add)
		if err != nil {
			return nil, fmt.Errorf("the demo's receiver needs a loopback port: %w", err)
		}
		closers = append(closers, receiver.Close)
		d.env["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://" + receiver.Addr()
		d.env["NETATMO_LOG_LEVEL"] = "error" // the table shows the rest
	}

	cfg, err := d.config()
	if err != nil {
		return nil, usage(err)
	}
	d.agent, err = newAgent(ctx, cfg, netatmo.NewGate(demoRequestsPerHour), c.OutOrStdout(), config.NewLogger(c.ErrOrStderr(), cfg.LogLevel, cfg.LogFormat))
	return d, err
}

// Credentials of the app, which exists only in the simulated cloud.
const (
	demoClient = "demo"
	demoSecret = "demo"
)

// config returns the settings that a user would choose, with the simulated cloud
// instead of Netatmo. It ignores the user's own Netatmo settings, except those of
// the log, and the push settings if the demo's receiver takes the push.
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
		"devices":    "all",
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

// login does what a user does in the browser: it opens the link, presses the
// button, accepts at Netatmo and returns.
func (d *demo) login(ctx context.Context) error {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	browser := &http.Client{Jar: jar, Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: dialAsBrowsers, DisableKeepAlives: true}}
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

// show prints the readings until ctx ends: on a terminal every second, elsewhere
// when they are complete and at the end.
func (d *demo) show(ctx context.Context) {
	if d.view == nil {
		fmt.Fprint(d.out, d.header()+d.end())
		<-ctx.Done()
		return
	}
	onTerminal := terminal.Escapes(d.out)
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
	to := "to " + config.ShownURL(d.agent.cfg.Push.URL) + "; the log shows the result"
	if d.view != nil {
		points, _ := d.view.arrived()
		to = fmt.Sprintf("to this process and back: %d points so far", points)
	}
	return fmt.Sprintf(`netatmo-agent demo: the real agent, a simulated Netatmo home

  simulated  the Netatmo cloud at %s: measures every %v, uploads every %v
  login      OAuth through the agent's login page; token file %s
  pushing    OTLP/%s %s
`, d.cloud, demoMeasure, demoUpload, d.agent.cfg.TokenFile, d.agent.cfg.Push.Protocol, to)
}

func (d *demo) footer() string {
	return `Next: your own station, in four steps; see README.md, "A real account".
      With a Collector: OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4317 ` + startedAs() + ` demo
`
}

// startedAs is what a user types to start this program. go run builds it in a
// folder of its own.
func startedAs() string {
	if strings.Contains(os.Args[0], "go-build") {
		return "go run ./agent"
	}
	return os.Args[0]
}

// end returns the line that explains how to end the demo.
func (d *demo) end() string {
	if d.length > 0 {
		return fmt.Sprintf("      The demo stops after %v, or press Ctrl-C.\n", d.length)
	}
	return "      Press Ctrl-C to stop.\n"
}

// dialAsBrowsers connects to localhost without asking a name server, as RFC 6761
// demands and browsers do: a container may have neither a name server nor a hosts file.
func dialAsBrowsers(ctx context.Context, network, addr string) (net.Conn, error) {
	if port, local := strings.CutPrefix(addr, "localhost:"); local {
		addr = net.JoinHostPort("127.0.0.1", port)
	}
	return new(net.Dialer).DialContext(ctx, network, addr)
}
