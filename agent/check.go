package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"netatmo-agent/agent/check"
	"netatmo-agent/agent/config"
	"netatmo-agent/agent/heartbeat"
	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/terminal"
)

type checkOptions struct{ offline, json, live, refresh bool }

func checkCommand() *cobra.Command {
	var o checkOptions
	c := &cobra.Command{
		Use:   "check",
		Short: "Examine the setup and say what to do",
		Long: `Examines the settings, the token file and its directory, the clock, the login,
each device family, every module and the OTLP endpoint, and says how to fix
what is wrong. It pushes a single point, netatmo.agent.info.

It renews an expired access token unless an agent is running, which does so
itself; with --refresh it does so in any case. It can run while the agent runs.

Exit codes: 0 nothing failed, 1 something failed, 2 settings are wrong, 3 a
login is needed.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runCheck(c, o) },
	}
	c.Flags().BoolVar(&o.offline, "offline", false, "make no requests; examine only the settings, the files and the login's state")
	c.Flags().BoolVar(&o.json, "json", false, "print the findings as a JSON array")
	c.Flags().BoolVar(&o.refresh, "refresh", false, "renew the access token if it is due, as the agent would")
	c.Flags().BoolVar(&o.live, "live", false, "only report whether the running agent is alive, from its heartbeat; for container health probes")
	addSettings(c)
	return c
}

func runCheck(c *cobra.Command, o checkOptions) error {
	cfg, err := loadConfig(c, config.Need{Login: true, Push: true})
	if o.live {
		return checkLive(c, cfg)
	}
	if o.offline && o.refresh {
		return usage(errors.New("--offline makes no requests, so it cannot be combined with --refresh"))
	}
	problems, _ := errors.AsType[config.Problems](err)
	gate := netatmo.NewGate(cfg.RequestsPerHour)
	out := check.Output{Out: c.OutOrStdout(), Err: c.ErrOrStderr(), JSON: o.json}
	out.Width, out.Colour = terminal.Screen(out.Out)
	verdict, err := check.Run(c.Context(), check.Setup{
		Config: cfg, Problems: problems, Auth: authConfig(cfg, nil, nil),
		Lock: filepath.Join(cfg.StateDir, lockFile), Version: readBuild().version,
		Gate:    gate,
		Client:  func(tokens netatmo.TokenSource) *netatmo.Client { return newClient(cfg, tokens, gate, nil, nil, nil) },
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

// checkLive ignores wrong settings, which do not affect whether a running agent
// is alive.
func checkLive(c *cobra.Command, cfg *config.Config) error {
	h, err := heartbeat.Read(cfg.TokenFile)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.OutOrStdout(), "the agent (process %d) is alive\n", h.PID)
	return nil
}
