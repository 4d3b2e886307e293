package e2e

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// standIns are the programs that pages call but that are not simply run, by
// name. Each gets the arguments.
var standIns = map[string]func(w *world, args []string) error{
	"world":            enterWorld,
	"go":               goTool,
	"run":              ciRun,
	"netatmo-agent":    agentServes,
	"otelcol":          collectorServes,
	"prometheus":       prometheusServes,
	"victoria-metrics": victoriaServes,
	"promtool":         func(w *world, args []string) error { return command(os.Environ(), w.Tools["promtool"], args...) },
	"docker":           docker,
	"kubectl":          kubectl,
	"helm":             helm,
	"systemctl":        systemctl,
	"systemd-run":      systemdRun,
	"journalctl":       journalctl,

	// Called by TestReadmeLeadsToAFilledDashboard, not by pages.
	"dashboard-is-filled": dashboardIsFilled,
}

// goTool is go, except that it only compiles tests, because this is one of
// them. What it builds is built once for all pages, and placed beside a
// stand-in for the agent.
func goTool(w *world, args []string) error {
	switch {
	case len(args) == 4 && args[0] == "build" && args[1] == "-o":
		if _, err := w.build(args[3]); err != nil {
			return err
		}
		self, err := os.Executable()
		if err != nil {
			return err
		}
		_ = os.Remove(args[2])
		return os.Symlink(self, args[2])
	case len(args) >= 2 && args[0] == "run":
		binary, err := w.build(args[1])
		if err != nil {
			return err
		}
		return w.agent(binary, args[2:])
	case len(args) >= 2 && args[0] == "test":
		return command(w.goEnv(), w.Go, append([]string{"vet"}, args[1:]...)...)
	}
	return fmt.Errorf("go %v is not among the commands that this stand-in knows", args)
}

func (w *world) goEnv() []string {
	return append(append(os.Environ(), "GOFLAGS=-trimpath -buildvcs=false", "GOPROXY=off", "GOTOOLCHAIN=local"), w.GoEnv...)
}

// build builds the package of the project in the current folder.
func (w *world) build(pkg string) (binary string, err error) {
	binary = filepath.Join(w.Shared, fmt.Sprintf("%x", sha256.Sum256([]byte(pkg))))
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	}
	temp, err := os.MkdirTemp(w.Shared, "build-") // another page may be building it
	if err != nil {
		return "", err
	}
	fresh := filepath.Join(temp, "binary")
	if err := command(w.goEnv(), w.Go, "build", "-o", fresh, pkg); err != nil {
		return "", err
	}
	return binary, os.Rename(fresh, binary)
}

// ciRun is .ci/run, which would run these tests: it only checks the names of
// steps.
func ciRun(w *world, args []string) error {
	script, err := os.ReadFile(filepath.Join(w.Source, ".ci", "run"))
	if err != nil {
		return err
	}
	for _, step := range args {
		if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(step) + `\(\) [{(]`).Match(script) {
			return fmt.Errorf(".ci/run has no step %s", step)
		}
	}
	return nil
}

// agentServes is the agent that a page has built and added to the PATH.
func agentServes(w *world, args []string) error {
	binary, err := w.build("./agent")
	if err != nil {
		return err
	}
	return w.agent(binary, args)
}

// agent runs a command of the agent. A command that runs until it is stopped is
// stopped as soon as it serves.
func (w *world) agent(binary string, args []string) error {
	name := "run"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		name = args[0]
	}
	switch ends := slices.Contains(args, "--help") || slices.Contains(args, "--for"); {
	case name == "run" && !ends:
		return w.runAgent(os.Environ(), binary, args)
	case name == "demo" && !ends:
		return w.serve(os.Environ(), func(output string) bool { return strings.Contains(output, "Garden") }, binary, args...)
	case name == "check":
		return checks(os.Environ(), binary, args)
	}
	return command(os.Environ(), binary, args...)
}

var finding = regexp.MustCompile(`(?m)^(?:warn|fail) +(\w+)`)

// checks runs the agent's check. It may only report problems with what every
// world lacks: Netatmo, a login, and the areas in missing.
func checks(env []string, binary string, args []string, missing ...string) error {
	cmd := exec.Command(binary, args...)
	cmd.Env = env
	out, err := cmd.CombinedOutput()
	if _, err := os.Stdout.Write(out); err != nil {
		return err
	}
	for _, m := range finding.FindAllStringSubmatch(string(out), -1) {
		if !slices.Contains(append(missing, "netatmo", "login"), m[1]) {
			return fmt.Errorf("netatmo-agent %v reports a problem with %s", args, m[1])
		}
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 3 { // a login is needed
		return nil
	}
	return err
}

// runAgent is ready when it has logged the link to open, and the pages behind
// the link answer.
func (w *world) runAgent(env []string, binary string, args []string) error {
	pages := listening("127.0.0.1:9210")
	return w.serve(env, func(output string) bool {
		return loginLink.MatchString(output) && pages(output)
	}, binary, args...)
}

func collectorServes(w *world, args []string) error {
	if len(args) > 0 && args[0] == "validate" {
		return command(os.Environ(), w.Tools["otelcol"], args...)
	}
	return w.leave(listening("127.0.0.1:4317", "127.0.0.1:4318"), w.Tools["otelcol"], args)
}

func prometheusServes(w *world, args []string) error {
	return w.leave(answers("http://localhost:9090/-/ready"), w.Tools["prometheus"], args)
}

func victoriaServes(w *world, args []string) error {
	return w.leave(answers("http://localhost:8428/health"), w.Tools["victoria-metrics"], args)
}

func answers(url string) func(string) bool {
	return func(string) bool {
		resp, err := http.Get(url)
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}
}

// arguments are the parsed arguments of docker, kubectl and the like.
type arguments struct {
	flags map[string][]string
	words []string
}

// parseArguments parses arguments. flags maps the known flags to whether a
// value follows. After the given number of words, or a --, all others are
// words.
func parseArguments(args []string, flags map[string]bool, words int) (arguments, error) {
	a := arguments{flags: map[string][]string{}}
	for i := 0; i < len(args); i++ {
		name, value, joined := strings.Cut(args[i], "=")
		takesValue, known := flags[name]
		switch {
		case args[i] == "--" || len(a.words) == words:
			a.words = append(a.words, slices.DeleteFunc(args[i:], func(s string) bool { return s == "--" })...)
			return a, nil
		case !strings.HasPrefix(args[i], "-"):
			a.words = append(a.words, args[i])
			continue
		case !known:
			return a, fmt.Errorf("%s is not among the flags that this stand-in knows: %v", name, slices.Sorted(maps.Keys(flags)))
		case takesValue && !joined && i+1 < len(args):
			i++
			value = args[i]
		case takesValue && !joined:
			return a, fmt.Errorf("%s needs a value", name)
		}
		a.flags[name] = append(a.flags[name], value)
	}
	return a, nil
}

// flag returns the last value of a flag by its long or its short name.
func (a arguments) flag(names ...string) string {
	value := ""
	for _, name := range names {
		for _, v := range a.flags[name] {
			value = cmp.Or(v, value)
		}
	}
	return value
}

func (a arguments) word(i int) string {
	if i < len(a.words) {
		return a.words[i]
	}
	return ""
}
