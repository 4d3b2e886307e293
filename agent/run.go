package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"netatmo-agent/agent/config"
	"netatmo-agent/agent/heartbeat"
	"netatmo-agent/agent/history"
	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/otlp"
	"netatmo-agent/agent/telemetry"
)

func runCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "run",
		Short: "Run the agent until a signal (the default)",
		Long: `Runs the agent until SIGINT or SIGTERM. It polls Netatmo and pushes the
readings over OTLP. Without a login it logs the link to open and waits.

OpenTelemetry's standard variables configure where to push
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
	a, err := newAgent(c.Context(), cfg, netatmo.NewGate(cfg.RequestsPerHour), c.OutOrStdout(), log)
	if err != nil {
		return err
	}
	var announcing sync.WaitGroup
	announcing.Go(func() { a.announceLogin(c.Context()) })
	a.run(c.Context())
	announcing.Wait()
	return nil
}

// pushHangs is how long to wait for the last push, which may hang without a
// deadline, for example if nobody reads the output.
const pushHangs = telemetry.LastPush + 500*time.Millisecond

// run works until ctx ends. Then it starts no new poll or refresh, waits for a
// refresh in progress, because Netatmo may already have changed the tokens, and
// pushes a last time.
func (a *agent) run(ctx context.Context) {
	defer a.close()
	pushing, stopPushing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopPushing()

	var work, push sync.WaitGroup
	work.Go(func() { a.source.Run(ctx) })
	work.Go(func() { a.poller.Run(ctx) })
	work.Go(func() { history.Fill(ctx, a.client, a.pusher, columns(a.cfg), a.record, a.log) })
	work.Go(func() { a.record.KeepSaved(ctx) })
	work.Go(func() { a.servePages(ctx) })
	work.Go(func() { a.askTime(ctx) })
	push.Go(func() { a.pusher.Run(pushing) })
	push.Go(func() { a.loops().Beat(pushing, a.cfg.TokenFile, a.log) })

	<-ctx.Done()
	a.log.Info("stopping")
	work.Wait()
	stopPushing()
	pushed := make(chan struct{})
	go func() { push.Wait(); close(pushed) }()
	select {
	case <-pushed:
	case <-time.After(pushHangs):
		a.log.Error("the last push did not finish; stopping without it")
	}
	if err := a.state.Save(); err != nil {
		a.log.Error("cannot save what the backend has acknowledged; the next start will push that data again", "error", err)
	}
	a.log.Info("stopped")
}

// loops returns what the heartbeat watches.
func (a *agent) loops() heartbeat.Loops {
	return heartbeat.Loops{
		Poller: a.poller, Families: families(a.cfg), Gate: a.gate,
		Pusher: a.pusher, ExportTimeout: a.cfg.Push.ExportTimeout,
		Authorized: func() bool { return a.source.Status().Authorized },
	}
}

func announceStart(cfg *config.Config, log *slog.Logger) {
	b := readBuild()
	log.Info("starting netatmo-agent", "version", b.version, "commit", b.commit, "token_file", cfg.TokenFile)
	for _, w := range cfg.Warnings {
		log.Warn(w.String())
	}
	log.Info(otlp.Describe(cfg.Push))
}

// loginReminder is how often the link is logged while a login is needed, because
// logs are rotated.
const loginReminder = 24 * time.Hour

// announceLogin logs the link to open for each login that is needed, and again
// once a day.
func (a *agent) announceLogin(ctx context.Context) {
	said := ""
	remind := time.NewTimer(loginReminder)
	defer remind.Stop()
	for {
		changed := a.source.Changed()
		status, link := a.source.Status(), a.pages.LoginURL()
		way := "open"
		if a.listener == nil && link != "" {
			way, link = "run", "netatmo-agent login"
		}
		if link != "" && link != said {
			attrs := []any{way, link}
			switch {
			case status.Problem != "":
				attrs = append(attrs, "reason", status.Problem)
			case len(status.MissingScopes) > 0:
				attrs = append(attrs, "reason", "the login lacks a scope; log in again to grant it. Everything else keeps working")
			}
			if len(status.MissingScopes) > 0 {
				attrs = append(attrs, "missing_scopes", status.MissingScopes)
			}
			// At any level: without this line nobody finds the pages.
			a.log.Log(ctx, max(slog.LevelWarn, a.cfg.LogLevel), "a login is needed", attrs...)
			remind.Reset(loginReminder)
		}
		said = link
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-remind.C:
			said = ""
			remind.Reset(loginReminder)
		}
	}
}

// servePages serves the login pages until ctx ends.
func (a *agent) servePages(ctx context.Context) {
	if a.listener == nil {
		return
	}
	if err := a.pages.Serve(ctx, a.listener); err != nil {
		a.log.Error("the login pages have stopped; log in with \"netatmo-agent login\" or restart the agent", "error", err)
	}
}
