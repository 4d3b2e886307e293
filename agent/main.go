// Command netatmo-agent reads Netatmo weather stations, home coaches and home
// devices and exports their readings as OpenTelemetry metrics over OTLP.
//
// The package contains the commands and the wiring: each command builds what it
// needs and passes concrete values down. Everything that can be tested
// separately is in its own package.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"netatmo-agent/agent/catalogue"
	"netatmo-agent/agent/config"
	"netatmo-agent/agent/humanize"
	"netatmo-agent/agent/logwriter"
	"netatmo-agent/agent/terminal"
)

// Exit codes, see the README.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
	exitLogin  = 3
)

func main() {
	configureRuntime()
	os.Exit(process())
}

// configureRuntime makes a panic end with SIGABRT, because Go's exit code for a
// panic is that of wrong settings, and keeps the heap small.
func configureRuntime() {
	debug.SetTraceback("crash")
	// A home needs a megabyte of live memory. Go would let the heap grow to four
	// before it collects, which matters on a Raspberry Pi.
	if _, chosen := os.LookupEnv("GOGC"); !chosen {
		debug.SetGCPercent(50)
	}
	// The largest account that the agent reads fits, together with the program's
	// code, into the 96 MiB that the deployments in this repository grant.
	if _, chosen := os.LookupEnv("GOMEMLIMIT"); !chosen {
		debug.SetMemoryLimit(72 << 20)
	}
}

// process is main without the runtime's settings. It returns the exit code.
func process() int {
	ctx, stop := notifyContext()
	defer stop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	signal.Ignore(syscall.SIGPIPE)
	stderr := logPipe{logwriter.New(pipe{os.Stderr, cancel}), os.Stderr}
	defer stderr.Close()
	return execute(ctx, os.Args[1:], os.Stdin, pipe{os.Stdout, cancel}, stderr)
}

// logPipe is standard error: a log that may be a terminal.
type logPipe struct {
	*logwriter.Writer
	file *os.File
}

// Fd makes it possible to recognise a terminal.
func (p logPipe) Fd() uintptr { return p.file.Fd() }

// pipe is an output that another program may read, as in "demo | head" or
// "run 2>&1 | tee". When that program exits, the command stops in order, instead
// of being killed by SIGPIPE in the middle of a refresh.
type pipe struct {
	file *os.File
	gone func()
}

func (p pipe) Write(b []byte) (int, error) {
	n, err := p.file.Write(b)
	if errors.Is(err, syscall.EPIPE) {
		p.gone()
		return len(b), nil
	}
	return n, err
}

// Fd makes it possible to recognise a terminal.
func (p pipe) Fd() uintptr { return p.file.Fd() }

// sameSignal is how long after a signal another one counts as the same, because
// supervisors send it to the process and to its group.
const sameSignal = time.Second

// notifyContext returns a context that ends with the first SIGINT or SIGTERM, or
// SIGHUP unless nohup ignores it. A second signal kills the process, even during
// a refresh.
func notifyContext() (context.Context, context.CancelFunc) {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	context.AfterFunc(ctx, func() { time.AfterFunc(sameSignal, stop) })
	return ctx, stop
}

// exitError is an error with an exit code. If err is nil, it has already been
// reported.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// usage marks err as bad usage or configuration.
func usage(err error) error {
	if err == nil {
		return nil
	}
	return &exitError{exitUsage, err}
}

func execute(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := rootCommand()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	c, err := root.ExecuteContextC(ctx)
	if err == nil || ctx.Err() != nil && errors.Is(err, context.Canceled) { // a signal before the work began
		return exitDone
	}
	code := exitFailed
	if e, ok := errors.AsType[*exitError](err); ok {
		code = e.code
		if e.err == nil {
			return code
		}
	}
	report(stderr, c, err)
	return code
}

// report writes the error that ends c: to the log if that is JSON, which
// programs read line by line, else as text.
func report(w io.Writer, c *cobra.Command, err error) {
	problems, ofSettings := errors.AsType[config.Problems](err)
	if cfg, _ := loadConfig(c, config.Need{}); cfg.LogFormat == "json" {
		log := config.NewLogger(w, slog.LevelError, "json")
		for _, p := range problems {
			log.Error(p.Setting+" "+p.What, "remedy", p.Remedy)
		}
		if !ofSettings {
			log.Error(err.Error())
		}
		return
	}
	if ofSettings {
		showProblems(w, problems)
	} else {
		fmt.Fprintf(w, "netatmo-agent: %v\n", err)
	}
}

// showProblems writes a header with the count and a block for each problem,
// wrapped at 80 characters for terminals and log viewers.
func showProblems(w io.Writer, problems config.Problems) {
	fmt.Fprintf(w, "netatmo-agent: %s with the settings:\n", humanize.Count(len(problems), "problem"))
	for _, p := range problems {
		fmt.Fprint(w, "\n  ")
		terminal.Advise(w, 2, 80, p.Setting+" "+p.What, p.Remedy)
	}
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "netatmo-agent",
		Short: "Netatmo readings as OpenTelemetry metrics",
		Long: `netatmo-agent reads Netatmo weather stations, home coaches and home devices
and exports their readings as OpenTelemetry metrics over OTLP.

Without a command it runs the agent. To try it without any configuration, run:
netatmo-agent demo`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       readBuild().String(),
		Args:          noArgs,
		RunE:          runAgent,
	}
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usage(fmt.Errorf("%w\nSee: %s --help", err, c.CommandPath()))
	})
	root.SetHelpFunc(showHelp)
	root.SetUsageFunc(showUsage)
	addSettings(root)
	showOnly(root)
	root.AddCommand(runCommand(), demoCommand(), loginCommand(), checkCommand(), backfillCommand(), metricsCommand(), versionCommand(),
		settingsTopic("settings", "Every setting of the agent, with its variable, flag and default", false),
		settingsTopic("otlp", "Every variable that configures the push, with its default", true))
	return root
}

func noArgs(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usage(fmt.Errorf("unknown command or argument %q\nSee: %s --help", args[0], c.CommandPath()))
}

// addSettings adds a flag for every setting that has one, so that a command line
// that works for one command works for all.
func addSettings(c *cobra.Command) {
	c.Flags().SortFlags = false
	for _, s := range config.Flags() {
		c.Flags().String(s.Flag, "", s.Usage())
		if s.Switch() {
			c.Flags().Lookup(s.Flag).NoOptDefVal = "true"
		}
		if s.Values != nil {
			_ = c.RegisterFlagCompletionFunc(s.Flag, cobra.FixedCompletions(s.Values, cobra.ShellCompDirectiveNoFileComp)) // fails only for unknown flags
		}
	}
}

// showOnly limits the settings in a command's help to those that matter to it.
func showOnly(c *cobra.Command, matter ...string) {
	for _, s := range config.Flags() {
		c.Flags().Lookup(s.Flag).Hidden = !slices.Contains(matter, s.Flag)
	}
}

// loadConfig reads the settings from the environment and from the flags of c.
func loadConfig(c *cobra.Command, need config.Need) (*config.Config, error) {
	set := map[string]string{}
	for _, s := range config.Flags() {
		if flag := c.Flags().Lookup(s.Flag); flag != nil && flag.Changed {
			set[s.Flag] = flag.Value.String()
		}
	}
	cfg, err := config.Load(set, need)
	return cfg, usage(err)
}

func metricsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "metrics",
		Short: "Print the table of metrics in Markdown",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return catalogue.Markdown(c.OutOrStdout())
		},
	}
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version, the commit and the Go version",
		Args:  noArgs,
		Run: func(c *cobra.Command, _ []string) {
			fmt.Fprintf(c.OutOrStdout(), "netatmo-agent %s\n", readBuild())
		},
	}
}
