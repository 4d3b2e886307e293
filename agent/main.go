// Command netatmo-agent reads Netatmo weather stations, home coaches and
// thermostats and pushes what they say as OpenTelemetry metrics over OTLP.
//
// The package holds the commands and the wiring: each command builds what it
// needs in order and passes concrete values down. Everything that can be
// tested by itself lives in a package of its own beside it.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"netatmo-agent/agent/catalogue"
	"netatmo-agent/agent/config"
	"netatmo-agent/agent/words"
)

// Exit codes, see the README.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
	exitLogin  = 3
)

func main() {
	// One home is a megabyte of live memory. Go would let it grow to four
	// before it collects, for years, beside other things on a Raspberry Pi.
	if _, chosen := os.LookupEnv("GOGC"); !chosen {
		debug.SetGCPercent(50)
	}
	os.Exit(process())
}

// process is main without its settings of the runtime, and returns the exit
// code.
func process() int {
	ctx, stop := notifyContext()
	defer stop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	signal.Ignore(syscall.SIGPIPE)
	return execute(ctx, os.Args[1:], os.Stdin, pipe{os.Stdout, cancel}, pipe{os.Stderr, cancel})
}

// pipe is an output that is read by another program, as in "demo | head" or
// "run 2>&1 | tee". When that program has gone, the command is told to end: a
// process is killed otherwise, also in the middle of a refresh.
type pipe struct {
	file *os.File
	gone func()
}

func (r pipe) Write(b []byte) (int, error) {
	n, err := r.file.Write(b)
	if errors.Is(err, syscall.EPIPE) {
		r.gone()
		return len(b), nil
	}
	return n, err
}

// Fd lets a terminal be known.
func (r pipe) Fd() uintptr { return r.file.Fd() }

// terminal returns the file descriptor of an input or output that is a terminal.
func terminal(stream any) (fd int, ok bool) {
	f, ok := stream.(interface{ Fd() uintptr })
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	return int(f.Fd()), true
}

// sameSignal is how long after a signal another one counts as the same:
// supervisors send it to the process and to its group.
const sameSignal = time.Second

// notifyContext returns a context that a signal to stop ends. After that,
// another signal ends the process at once, and with it a refresh under way. A
// closed terminal is such a signal, other than under nohup.
func notifyContext() (context.Context, context.CancelFunc) {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	context.AfterFunc(ctx, func() { time.AfterFunc(sameSignal, stop) })
	return ctx, stop
}

// exitError is an error that decides the exit code. A nil err has been
// reported already.
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
	err := root.ExecuteContext(ctx)
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
	if problems, ok := errors.AsType[config.Problems](err); ok {
		showProblems(stderr, problems)
	} else {
		fmt.Fprintf(stderr, "netatmo-agent: %v\n", err)
	}
	return code
}

// showProblems writes a header with the count and a block for each problem, in
// lines that every terminal and log viewer shows whole.
func showProblems(w io.Writer, problems config.Problems) {
	fmt.Fprintf(w, "netatmo-agent: %s with the settings:\n", words.Several(len(problems), "problem"))
	for _, p := range problems {
		fmt.Fprint(w, "\n  ")
		words.Advise(w, 2, 80, p.Setting+" "+p.What, p.Remedy)
	}
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "netatmo-agent",
		Short: "Netatmo readings as OpenTelemetry metrics",
		Long: `netatmo-agent reads Netatmo weather stations, home coaches and thermostats and
pushes what they say as OpenTelemetry metrics over OTLP.

Without a command it runs the agent (see "netatmo-agent run --help" for the
settings). To see it work with nothing configured: netatmo-agent demo`,
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		Version:           readBuild().String(),
		Args:              noArgs,
		RunE:              runAgent,
	}
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usage(fmt.Errorf("%w\nSee: %s --help", err, c.CommandPath()))
	})
	addSettings(root)
	root.AddCommand(runCommand(), demoCommand(), loginCommand(), checkCommand(), backfillCommand(), metricsCommand(), versionCommand())
	return root
}

func noArgs(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usage(fmt.Errorf("unknown command or argument %q\nSee: %s --help", args[0], c.CommandPath()))
}

// addSettings gives c a flag for every setting that is not a secret.
func addSettings(c *cobra.Command) {
	c.Flags().SortFlags = false
	for _, f := range config.Flags() {
		fallback := "default " + strings.ReplaceAll(cmp.Or(f.DefaultText, f.Default), "`", "") // in which pflag looks for the name of a value
		if f.Required {
			fallback = "required"
		}
		c.Flags().String(f.Name, "", fmt.Sprintf("%s (%s, %s)", f.Usage, f.Variable, fallback))
		if f.Switch {
			c.Flags().Lookup(f.Name).NoOptDefVal = "true"
		}
	}
}

// loadConfig reads the settings of c from the environment and its flags.
func loadConfig(c *cobra.Command, need config.Need) (*config.Config, error) {
	set := map[string]string{}
	for _, f := range config.Flags() {
		if flag := c.Flags().Lookup(f.Name); flag != nil && flag.Changed {
			set[f.Name] = flag.Value.String()
		}
	}
	cfg, err := config.Load(set, need)
	return cfg, usage(err)
}

func metricsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "metrics",
		Short: "Print the table of metrics (markdown)",
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
