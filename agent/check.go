package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"netatmo-agent/agent/config"
	"netatmo-agent/auth"
)

type checkOptions struct{ offline, json, live, refresh bool }

func checkCommand() *cobra.Command {
	var o checkOptions
	c := &cobra.Command{
		Use:   "check",
		Short: "Examine the set-up and say what to do",
		Long: `Examines the settings, the token file and its directory, the clock, the login,
each device family, every module and the OTLP endpoint, and says what to do
about what it finds. It pushes a single point, netatmo.agent.info.

It never renews the access token by itself: every renewal makes the token
before it useless. It works beside a running agent.

Exit codes: 0 nothing failed, 1 something did, 2 settings are wrong, 3 a login
is needed.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runCheck(c, o) },
	}
	c.Flags().BoolVar(&o.offline, "offline", false, "make no request: settings, files and the state of the login only")
	c.Flags().BoolVar(&o.json, "json", false, "print the findings as a JSON array")
	c.Flags().BoolVar(&o.refresh, "refresh", false, "renew the access token where that is due, as the agent would")
	c.Flags().BoolVar(&o.live, "live", false, "only say whether the running agent is alive, by its heartbeat: for container health probes")
	addSettings(c)
	return c
}

func runCheck(c *cobra.Command, o checkOptions) error {
	cfg, err := loadConfig(c, config.Need{Login: true, Push: true})
	if o.live {
		return checkLive(c, cfg)
	}
	if o.offline && o.refresh {
		return usage(errors.New("--offline makes no request, so it cannot go with --refresh"))
	}
	d := &doctor{report: newReport(c.OutOrStdout(), o.json), cfg: cfg, errOut: c.ErrOrStderr()}
	if problems, ok := errors.AsType[config.Problems](err); ok {
		d.problems = problems
	}
	d.examine(c.Context(), o)
	if c.Context().Err() != nil {
		return errors.New("interrupted")
	}
	return d.end()
}

// checkLive does not care for settings that are wrong: they do not change
// whether an agent that runs is alive.
func checkLive(c *cobra.Command, cfg *config.Config) error {
	h, err := readHeartbeat(cfg)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.OutOrStdout(), "the agent (process %d) is alive\n", h.PID)
	return nil
}

// doctor examines one thing after another and goes on where it can.
type doctor struct {
	*report
	cfg      *config.Config
	problems config.Problems
	errOut   io.Writer

	running  bool   // an agent, in this directory
	instance string // service.instance.id of that agent
	source   *auth.Source
	offset   time.Duration // of the local clock, ahead of Netatmo's
}

func (d *doctor) examine(ctx context.Context, o checkOptions) {
	d.settings()
	files := d.tokenFile(ctx)
	if files {
		d.stateFile()
		d.agent()
	}
	online := !o.offline && d.netatmo(ctx)
	asks := files && d.login(ctx, o.refresh && online)
	d.port(ctx)
	if asks && online {
		d.families(ctx, o.refresh)
	}
	if !o.offline {
		d.push(ctx)
	}
}

// settled reports whether no problem is about the settings that are meant:
// variables, by their beginnings, and their flags.
func (d *doctor) settled(names ...string) bool {
	return !slices.ContainsFunc(d.problems, func(p config.Problem) bool {
		return slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(p.Setting, name) })
	})
}

// silent is the log of what the doctor uses: what matters is a finding.
var silent = slog.New(slog.DiscardHandler)
