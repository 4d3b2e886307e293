package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"netatmo-agent/agent/config"
	"netatmo-agent/agent/heartbeat"
	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/telemetry"
)

func runCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "run",
		Short: "Run the agent: poll, record, push, until a signal (the default)",
		Long: `Runs the agent until SIGINT or SIGTERM: it polls Netatmo, records what the
modules say and pushes it over OTLP. Without a login it logs the link to open
and waits.

The standard variables of OpenTelemetry say where to push
(OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS, …).`,
		Args: noArgs,
		RunE: runAgent,
	}
	addSettings(c)
	return c
}

func runAgent(c *cobra.Command, _ []string) error {
	cfg, err := loadConfig(c, config.Need{Login: true, Push: true})
	if err != nil {
		return err
	}
	log := config.NewLogger(c.ErrOrStderr(), cfg.LogLevel, cfg.LogFormat)
	announceStart(cfg, log)
	a, err := newAgent(c.Context(), cfg, netatmo.NewGate(requestsPerHour), c.OutOrStdout(), log)
	if err != nil {
		return err
	}
	var announcing sync.WaitGroup
	announcing.Go(func() { a.announceLogin(c.Context()) })
	a.run(c.Context())
	announcing.Wait()
	return nil
}

// drain is how long a browser may take for the page it is reading when the
// agent ends.
const drain = 2 * time.Second

// pushHangs is after how long the last push hangs in a way that no deadline
// ends, such as an output that nobody reads.
const pushHangs = telemetry.LastPush + 500*time.Millisecond

// run works until ctx ends. Then no new poll and no new refresh begins; a
// refresh under way is waited for, because Netatmo may have changed the tokens
// already; what is known is pushed a last time.
func (a *agent) run(ctx context.Context) {
	defer a.close()
	pushing, stopPushing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopPushing()

	var work, push sync.WaitGroup
	work.Go(func() { a.source.Run(ctx) })
	work.Go(func() { a.poller.Run(ctx) })
	work.Go(func() { a.servePages(ctx) })
	push.Go(func() { a.pusher.Run(pushing) })
	push.Go(func() { a.loops().Beat(pushing, heartbeat.Path(a.cfg.TokenFile), a.log) })

	<-ctx.Done()
	a.log.Info("stopping")
	work.Wait()
	stopPushing()
	pushed := make(chan struct{})
	go func() { push.Wait(); close(pushed) }()
	select {
	case <-pushed:
	case <-time.After(pushHangs):
		a.log.Error("the last push hangs, the agent ends without it")
	}
	if err := a.state.Save(); err != nil {
		a.log.Error("what the backend has acknowledged is not saved, the next start fills the gap again", "error", err)
	}
	a.log.Info("stopped")
}

// loops are what the heartbeat is about.
func (a *agent) loops() heartbeat.Loops {
	return heartbeat.Loops{
		Poller: a.poller, Families: families(a.cfg), Gate: a.gate,
		Pusher: a.pusher, ExportTimeout: a.cfg.Push.ExportTimeout,
	}
}

func announceStart(cfg *config.Config, log *slog.Logger) {
	b := readBuild()
	log.Info("netatmo-agent starts", "version", b.version, "commit", b.commit, "token_file", cfg.TokenFile)
	for _, w := range cfg.Warnings {
		log.Warn(w.String())
	}
	log.Info(telemetry.DescribePush(cfg.Push))
}

// announceLogin logs the link to open, once for every login that is needed.
func (a *agent) announceLogin(ctx context.Context) {
	said := ""
	for {
		changed := a.source.Changed()
		status, link := a.source.Status(), a.pages.LoginURL()
		way := "open"
		if a.listener == nil && link != "" {
			way, link = "run", "netatmo-agent login"
		}
		if link != "" && link != said {
			attrs := []any{way, link}
			if status.Problem != "" {
				attrs = append(attrs, "reason", status.Problem)
			}
			if len(status.MissingScopes) > 0 {
				attrs = append(attrs, "missing_scopes", status.MissingScopes)
			}
			// Whatever the level: without this line nobody gets to the pages.
			a.log.Log(ctx, max(slog.LevelWarn, a.cfg.LogLevel), "a login is needed", attrs...)
		}
		said = link
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

// servePages serves the login pages until ctx ends.
func (a *agent) servePages(ctx context.Context) {
	if a.listener == nil {
		return
	}
	server := pageServer(a.pages, a.log)
	served := make(chan error, 1)
	go func() { served <- server.Serve(a.listener) }()
	select {
	case err := <-served:
		if !errors.Is(err, http.ErrServerClosed) {
			a.log.Error("the login pages are gone; log in by \"netatmo-agent login\" or restart the agent", "error", err)
		}
		return
	case <-ctx.Done():
	}
	draining, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	if server.Shutdown(draining) != nil {
		_ = server.Close()
	}
}
