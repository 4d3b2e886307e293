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

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"netatmo-agent/agent/config"
	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/poll"
	"netatmo-agent/agent/telemetry"
	"netatmo-agent/agent/words"
	"netatmo-agent/store"
)

// backfillPerHour is what of Netatmo's 500 requests an hour a history may take;
// the rest is for the polls of an agent that runs beside it, see
// requestsPerHour.
const backfillPerHour = 300

func backfillCommand() *cobra.Command {
	var o backfillOptions
	c := &cobra.Command{
		Use:   "backfill --since 30d",
		Short: "Push history with its own timestamps",
		Long: `Pushes what Netatmo has kept of every sensor, from --since on, with the time of
its measurement. It can be interrupted and goes on where it was; what was
delivered once is not delivered again, but for the last hour, of which more may
have come. It works beside a running agent.

--since and --until take a day (2026-01-31), a time (2026-01-31T12:00:00Z), or
how long ago (36h, 30d).

The backend must take old points: Prometheus needs
storage.tsdb.out_of_order_time_window and a retention at least as long as the
history, Mimir and Grafana Cloud out_of_order_time_window, VictoriaMetrics
-retentionPeriod. What it refuses is counted and left out, and tried again when
the command is run again.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runBackfill(c, o) },
	}
	c.Flags().StringVar(&o.since, "since", "", "where to begin: a day, a time, or how long ago (required)")
	c.Flags().StringVar(&o.until, "until", "", "where to end (default now)")
	c.Flags().BoolVar(&o.dryRun, "dry-run", false, "only say what there is to do")
	addSettings(c)
	return c
}

type backfillOptions struct {
	since, until string
	dryRun       bool
}

const interrupted = "Interrupted. The same command goes on where this one was."

func runBackfill(c *cobra.Command, o backfillOptions) error {
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
		return usage(fmt.Errorf("only one backfill at a time, and %s is at it", held.Holder()))
	}
	if err != nil {
		return noDirectory(err)
	}
	defer func() { _ = lock.Unlock() }()

	source, err := newSource(c.Context(), cfg, log)
	if err != nil {
		return err
	}
	if login := source.Status(); !login.Authorized {
		return fmt.Errorf("a login is needed: %s. Run: netatmo-agent login", login.Problem)
	}
	ctx, stop := context.WithCancel(c.Context())
	var login sync.WaitGroup
	login.Go(func() { source.Run(ctx) })
	defer login.Wait()
	defer stop()

	path := filepath.Join(cfg.StateDir, "backfill.json")
	if cfg.Push.Exporter == config.Console { // nothing is delivered to anywhere
		path = ""
	}
	b, err := poll.OpenBackfill(ctx, poll.BackfillConfig{
		Families: families(cfg), Favorites: cfg.Favorites, Allows: cfg.Stations.Allows,
		History: history(cfg), Since: since, Until: until,
		File: path, Logger: log,
	}, newClient(cfg, source, netatmo.NewGate(backfillPerHour), nil, log))
	if c.Context().Err() != nil {
		fmt.Fprintln(c.OutOrStdout(), interrupted)
		return nil
	}
	if err != nil {
		return err
	}
	describe(c.OutOrStdout(), b.Plan(), since, until, path)
	if o.dryRun || b.Plan().Requests == 0 {
		return nil
	}
	return pushBackfill(ctx, c, cfg, b, log)
}

// window reads the two ends.
func (o backfillOptions) window(now time.Time) (since, until time.Time, err error) {
	if o.since == "" {
		return since, until, errors.New("--since says how far back to go, for example --since 30d or --since 2025-01-01")
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
		return since, until, fmt.Errorf("there is nothing between --since %s and --until %s", since.Format(time.RFC3339), until.Format(time.RFC3339))
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

// describe says in words what there is to do and what the backend needs.
func describe(w io.Writer, p poll.Plan, since, until time.Time, progress string) {
	fmt.Fprintf(w, "History from %s to %s\n\n", since.Format(time.RFC3339), until.Format(time.RFC3339))
	rows := [][]string{{"MODULE", "TYPE", "MISSING"}}
	for _, m := range p.Modules {
		rows = append(rows, []string{m.ModuleName, m.ModuleType, words.Span(m.Missing)})
	}
	words.WriteTable(w, rows)
	if p.Requests == 0 {
		fmt.Fprintf(w, "\nNothing to do: all of it was delivered before. To deliver it again, for example to another backend, move %s away.\n", progress)
		return
	}
	fmt.Fprintf(w, `
About %d requests to Netatmo, %d points; %s at %d requests an hour, which is
what Netatmo allows and the running agent leaves.

The backend must take points that are %s old. Prometheus: out_of_order_time_window
and retention; Mimir, Grafana Cloud: out_of_order_time_window; VictoriaMetrics:
-retentionPeriod. What it refuses is counted and left out.

`, p.Requests, p.Points, words.Span(p.Duration(backfillPerHour)), backfillPerHour, words.Span(time.Since(since)))
}

func pushBackfill(ctx context.Context, c *cobra.Command, cfg *config.Config, b *poll.Backfill, log *slog.Logger) error {
	// The series are the agent's, so they need its instance id. The file is its
	// too, and is written only if there is no id yet.
	state, err := poll.OpenState(filepath.Join(cfg.StateDir, poll.StateFile), log)
	if err != nil {
		return usage(err)
	}
	exporter, err := telemetry.NewExporter(ctx, cfg.Push, telemetry.ExporterOptions{UserAgent: userAgent(), Out: c.OutOrStdout(), Logger: log})
	if err != nil {
		return usage(err)
	}
	defer func() { _ = exporter.Shutdown(context.WithoutCancel(ctx)) }()
	pusher, err := telemetry.NewPusher(telemetry.Options{
		Exporter: exporter, Push: cfg.Push, InstanceID: state.InstanceID(), Version: readBuild().version,
		ExporterNames: cfg.NetatmoExporterNames, Stale: cfg.AgeStale, Logger: log,
	})
	if err != nil {
		return err
	}
	report, done := progressTo(c.ErrOrStderr(), b.Plan().Requests)
	err = b.Run(ctx, pusher, report)
	done()
	stats := pusher.Stats()
	fmt.Fprintf(c.OutOrStdout(), "%d points delivered, %d refused by the backend.\n", stats.BackfillPoints, stats.BackfillRefused)
	if stats.BackfillRefused > 0 {
		fmt.Fprintln(c.OutOrStdout(), "Once the backend takes points of that age, run the command again: what was refused is tried again.")
	}
	if ctx.Err() != nil {
		fmt.Fprintln(c.OutOrStdout(), interrupted)
		return nil
	}
	return err
}

// progressTo shows the progress of about so many requests: a bar on a terminal,
// a line now and then elsewhere.
func progressTo(w io.Writer, requests int) (report func(poll.Progress), done func()) {
	start, last := time.Now(), time.Time{}
	left := func(p poll.Progress) string {
		rest := poll.Plan{Requests: max(requests-p.Requests, 0)}
		if p.Done >= p.Total || rest.Requests == 0 {
			return ""
		}
		return ", " + words.Span(rest.Duration(backfillPerHour)) + " to go"
	}
	rate := func(p poll.Progress) float64 { return float64(p.Points) / max(time.Since(start).Seconds(), 0.001) }
	if _, ok := terminal(w); ok {
		bar := progressbar.NewOptions64(1,
			progressbar.OptionSetWriter(w), progressbar.OptionSetWidth(30), progressbar.OptionFullWidth(),
			progressbar.OptionSetPredictTime(false), progressbar.OptionThrottle(200*time.Millisecond))
		return func(p poll.Progress) {
			bar.ChangeMax64(int64(p.Total.Seconds()))
			bar.Describe(fmt.Sprintf("%s  %d points, %.0f a second%s", p.At.Format(time.DateOnly), p.Points, rate(p), left(p)))
			_ = bar.Set64(int64(p.Done.Seconds()))
		}, func() { _ = bar.Exit(); fmt.Fprintln(w) }
	}
	return func(p poll.Progress) {
		if time.Since(last) < 10*time.Second && p.Done < p.Total {
			return
		}
		last = time.Now()
		fmt.Fprintf(w, "%3.0f %%  up to %s, %d points, %.0f a second%s\n",
			100*p.Done.Seconds()/p.Total.Seconds(), p.At.Format(time.RFC3339), p.Points, rate(p), left(p))
	}, func() {}
}
