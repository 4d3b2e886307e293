package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"netatmo-agent/agent/check"
	"netatmo-agent/agent/config"
	"netatmo-agent/agent/heartbeat"
	"netatmo-agent/agent/netatmo"
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
	problems, _ := errors.AsType[config.Problems](err)
	gate := netatmo.NewGate(requestsPerHour)
	out := check.Output{Out: c.OutOrStdout(), Err: c.ErrOrStderr(), JSON: o.json}
	out.Width, out.Colour = screen(out.Out)
	verdict, err := check.Run(c.Context(), check.Setup{
		Config: cfg, Problems: problems, Auth: authConfig(cfg, nil),
		Lock: filepath.Join(cfg.StateDir, lockFile), Version: readBuild().version,
		Gate:    gate,
		Client:  func(tokens netatmo.TokenSource) *netatmo.Client { return newClient(cfg, tokens, gate, nil, nil) },
		Offline: o.offline, Refresh: o.refresh,
	}, out)
	switch {
	case err != nil:
		return err
	case verdict == check.Misset:
		return &exitError{code: exitUsage}
	case verdict == check.LoginNeeded:
		return &exitError{code: exitLogin}
	case verdict == check.Failed:
		return &exitError{code: exitFailed}
	}
	return nil
}

// screen returns the width of a terminal and whether to use colours; zero for
// other outputs.
func screen(out io.Writer) (width int, colour bool) {
	fd, ok := terminal(out)
	if !ok {
		return 0, false
	}
	width, _, _ = term.GetSize(fd)
	return width, os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// checkLive does not care for settings that are wrong: they do not change
// whether an agent that runs is alive.
func checkLive(c *cobra.Command, cfg *config.Config) error {
	h, err := heartbeat.Read(heartbeat.Path(cfg.TokenFile))
	if err != nil {
		return err
	}
	fmt.Fprintf(c.OutOrStdout(), "the agent (process %d) is alive\n", h.PID)
	return nil
}
