package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"netatmo-agent/agent/config"
	"netatmo-agent/agent/history"
	"netatmo-agent/agent/humanize"
	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/otlp"
	"netatmo-agent/agent/record"
	"netatmo-agent/agent/telemetry"
	"netatmo-agent/agent/terminal"
	"netatmo-agent/auth"
	"netatmo-agent/store"
)

// backfillPerHour returns how many requests an hour a backfill may send: three
// quarters of NETATMO_REQUESTS_PER_HOUR, because an agent that runs at the same
// time needs some for its polls, a few dozen an hour. If that agent fills a gap
// meanwhile, Netatmo may refuse both for an hour; both wait and lose nothing.
func backfillPerHour(cfg *config.Config) int { return cfg.RequestsPerHour * 3 / 4 }

func backfillCommand() *cobra.Command {
	var o backfillOptions
	c := &cobra.Command{
		Use:   "backfill --since 30d",
		Short: "Push history with its own timestamps",
		Long: `Pushes the history that Netatmo keeps for every sensor, from --since on, with the
original timestamps. If it is interrupted, the same command resumes where it
stopped. It does not repeat what it has delivered, except for the last hour, for
which more samples may have arrived. It can run while the agent runs.

--since and --until take a day (2026-01-31), a time (2026-01-31T12:00:00Z), or
how long ago (36h, 30d).

The backend must accept old points: Prometheus needs
storage.tsdb.out_of_order_time_window and a retention at least as long as the
history, Mimir and Grafana Cloud out_of_order_time_window, VictoriaMetrics
-retentionPeriod. Points that the backend refuses are counted and skipped; run
the command again to retry them.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runBackfill(c, o) },
	}
	c.Flags().StringVar(&o.since, "since", "", "where to begin: a day, a time, or how long ago (required)")
	c.Flags().StringVar(&o.until, "until", "", "where to end (default now)")
	c.Flags().BoolVar(&o.dryRun, "dry-run", false, "only print the plan; push nothing")
	addSettings(c)
	showOnly(c, "client-id", "client-secret-file", "token-file", "devices", "stations", "favorites", "requests-per-hour", "metric-names", "log-level", "log-format", "api-url")
	return c
}

type backfillOptions struct {
	since, until string
	dryRun       bool
}

func runBackfill(c *cobra.Command, o backfillOptions) error {
	err := backfill(c, o)
	if err != nil && c.Context().Err() != nil {
		return errors.New("interrupted; run the same command again to resume")
	}
	return err
}

func backfill(c *cobra.Command, o backfillOptions) error {
	since, until, err := o.window(time.Now())
	if err != nil {
		return usage(err)
	}
	cfg, err := loadConfig(c, config.Need{Login: true, Push: true})
	if err != nil {
		return err
	}
	log := config.NewLogger(c.ErrOrStderr(), max(cfg.LogLevel, slog.LevelWarn), cfg.LogFormat)
	lock, err := store.TryLock(filepath.Join(cfg.StateDir, "backfill.lock"))
	if held, ok := errors.AsType[*store.HeldError](err); ok {
		return usage(fmt.Errorf("only one backfill at a time: %s is running one", held.Holder()))
	}
	if err != nil {
		return noDirectory(err)
	}
	defer func() { _ = lock.Unlock() }()

	source, err := newSource(c.Context(), cfg, nil, log)
	if err != nil {
		return err
	}
	if login := source.Status(); login.LoggedOut() {
		return fmt.Errorf("a login is needed: %s. Run: netatmo-agent login", login.Problem)
	}
	ctx, stop := context.WithCancel(c.Context())
	var login sync.WaitGroup
	login.Go(func() { source.Run(ctx) })
	defer login.Wait()
	defer stop()
	waitOutDoubt(ctx, source, c.ErrOrStderr())

	path := filepath.Join(cfg.StateDir, "backfill.json")
	if cfg.Push.Exporter == config.Console { // nothing is delivered
		path = ""
	}
	b, err := history.OpenBackfill(ctx, history.BackfillConfig{
		Families: netatmo.Asked(families(cfg)), Favorites: cfg.Favorites, Allows: cfg.Stations.Allows,
		History: columns(cfg), Meters: !cfg.NetatmoExporterNames, Since: since, Until: until,
		File: path, Logger: log,
	}, newClient(cfg, source, netatmo.NewGate(backfillPerHour(cfg)), nil, nil, log))
	if err != nil {
		return err
	}
	writePlan(c.OutOrStdout(), b.Plan(), backfillPerHour(cfg), since, until, path)
	if o.dryRun || b.Plan().Requests == 0 {
		return nil
	}
	return pushBackfill(ctx, c, cfg, b, log)
}

// waitOutDoubt waits while Netatmo's refusal of the refresh token may be
// temporary. The first request reports any other fault.
func waitOutDoubt(ctx context.Context, source *auth.Source, w io.Writer) {
	said := false
	for {
		_, err := source.Token(ctx)
		if lost, ok := errors.AsType[*auth.LoginError](err); !ok || lost.NeedsLogin() {
			return
		}
		if !said {
			fmt.Fprintf(w, "%v\n", err)
			said = true
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(5 * time.Second):
		}
	}
}

// window parses --since and --until.
func (o backfillOptions) window(now time.Time) (since, until time.Time, err error) {
	if o.since == "" {
		return since, until, errors.New("--since is required: how far back to go, for example --since 30d or --since 2025-01-01")
	}
	if since, err = parseMoment(o.since, now); err != nil {
		return since, until, fmt.Errorf("--since: %w", err)
	}
	until = now
	if o.until != "" {
		if until, err = parseMoment(o.until, now); err != nil {
			return since, until, fmt.Errorf("--until: %w", err)
		}
	}
	if !since.Before(until) || since.After(now) {
		return since, until, fmt.Errorf("the period from --since %s to --until %s is empty", since.Format(time.RFC3339), until.Format(time.RFC3339))
	}
	return since, until, nil
}

func parseMoment(s string, now time.Time) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return t, nil
		}
	}
	d, err := config.ParseDuration(s)
	if err != nil || d < 0 {
		return time.Time{}, fmt.Errorf("%q is neither a day (2026-01-31) nor a time (2026-01-31T12:00:00Z) nor how long ago (36h, 30d)", s)
	}
	return now.Add(-d), nil
}

// writePlan prints the plan and the backend's requirements.
func writePlan(w io.Writer, p history.Plan, perHour int, since, until time.Time, progress string) {
	fmt.Fprintf(w, "History from %s to %s\n\n", since.Format(time.RFC3339), until.Format(time.RFC3339))
	rows := [][]string{{"MODULE", "TYPE", "MISSING"}}
	for _, m := range p.Modules {
		rows = append(rows, []string{m.Name, m.ModuleType, humanize.Duration(m.Missing)})
	}
	terminal.WriteTable(w, rows)
	if p.Requests == 0 {
		fmt.Fprintf(w, "\nNothing to do: everything was delivered before. To deliver it again, for example to another backend, move %s away.\n", progress)
		return
	}
	fmt.Fprintf(w, `
About %d requests to Netatmo, %d points; %s at %d requests an hour, three
quarters of NETATMO_REQUESTS_PER_HOUR.

The backend must accept points that are %s old. Prometheus: out_of_order_time_window
and retention; Mimir, Grafana Cloud: out_of_order_time_window; VictoriaMetrics:
-retentionPeriod. Points that the backend refuses are counted and skipped.

`, p.Requests, p.Points, humanize.Duration(p.Duration(perHour)), perHour, humanize.Duration(time.Since(since)))
}

func pushBackfill(ctx context.Context, c *cobra.Command, cfg *config.Config, b *history.Backfill, log *slog.Logger) error {
	// The points belong to the agent's series, so they need its instance id. The
	// state file is the agent's too; it is written only if it has no id yet.
	state, err := record.OpenState(filepath.Join(cfg.StateDir, record.StateName), log)
	if err != nil {
		return usage(err)
	}
	exporter, err := otlp.New(ctx, cfg.Push, otlp.Options{UserAgent: userAgent(), Out: c.OutOrStdout(), Logger: log})
	if err != nil {
		return usage(err)
	}
	defer func() { _ = exporter.Shutdown(context.WithoutCancel(ctx)) }()
	pusher, err := telemetry.NewPusher(telemetry.Options{
		Exporter: exporter, Push: cfg.Push, InstanceID: state.InstanceID(), Version: readBuild().version,
		ExporterNames: cfg.NetatmoExporterNames, Stale: cfg.AgeStale, Readings: b.Readings, Logger: log,
	})
	if err != nil {
		return err
	}
	report, done := progressTo(c.ErrOrStderr(), b.Plan().Requests, backfillPerHour(cfg))
	err = b.Run(ctx, pusher, report)
	done()
	stats := pusher.Stats()
	fmt.Fprintf(c.OutOrStdout(), "%d points delivered, %d refused by the backend.\n", stats.BackfillPoints, stats.BackfillRefused)
	if stats.BackfillRefused > 0 {
		fmt.Fprintln(c.OutOrStdout(), "When the backend accepts points of that age, run the command again to retry the refused points.")
	}
	return err
}

// progressTo shows the progress of about this many requests: a bar on a terminal,
// elsewhere a line every 10 s.
func progressTo(w io.Writer, requests, perHour int) (report func(history.Progress), done func()) {
	start, last := time.Now(), time.Time{}
	left := func(p history.Progress) string {
		rest := history.Plan{Requests: max(requests-p.Requests, 0)}
		if p.Done >= p.Total || rest.Requests == 0 {
			return ""
		}
		return ", " + humanize.Duration(rest.Duration(perHour)) + " to go"
	}
	rate := func(p history.Progress) float64 { return float64(p.Points) / max(time.Since(start).Seconds(), 0.001) }
	if fd, ok := terminal.FD(w); ok {
		return func(p history.Progress) {
			if time.Since(last) < 200*time.Millisecond && p.Done < p.Total {
				return
			}
			last = time.Now()
			text := fmt.Sprintf("%s  %d points, %.0f a second%s", p.At.Format(time.DateOnly), p.Points, rate(p), left(p))
			terminal.Bar(w, terminal.Width(fd), p.Done.Seconds()/p.Total.Seconds(), text)
		}, func() { fmt.Fprintln(w) }
	}
	return func(p history.Progress) {
		if time.Since(last) < 10*time.Second && p.Done < p.Total {
			return
		}
		last = time.Now()
		fmt.Fprintf(w, "%3.0f %%  up to %s, %d points, %.0f a second%s\n",
			100*p.Done.Seconds()/p.Total.Seconds(), p.At.Format(time.RFC3339), p.Points, rate(p), left(p))
	}, func() {}
}
