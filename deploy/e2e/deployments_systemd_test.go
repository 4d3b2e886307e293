package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const unitFile = "netatmo-agent@.service"

// exposure is the highest allowed score of systemd-analyze security, times ten.
// Most of what remains is the network, which the agent needs.
const exposure = "13"

// verifyUnit checks a unit as the instance of an account with systemd. Any
// output is an error, because systemd only warns about an unknown setting.
func verifyUnit(path, instance string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	program, _, _ := strings.Cut(unitSetting(string(b), "ExecStart"), " ")
	if program == "" {
		return fmt.Errorf("%s starts nothing", path)
	}
	dir, err := os.MkdirTemp("", "unit-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	// The program need not be installed on the machine that runs the tests.
	name := filepath.Join(dir, strings.Replace(unitFile, "@", "@"+instance, 1))
	if err := os.WriteFile(name, []byte(strings.ReplaceAll(string(b), program, "/bin/true")), 0o600); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"verify", "--man=no", name},
		{"security", "--offline=true", "--no-pager", "--threshold=" + exposure, name},
	} {
		out, err := exec.Command("systemd-analyze", args...).CombinedOutput()
		if err == nil && args[0] == "verify" && len(out) > 0 {
			err = errors.New("it complains")
		}
		if err != nil {
			return fmt.Errorf("systemd-analyze %s: %w\n%s", args[0], err, out)
		}
	}
	return nil
}

// unitSetting returns the value of a setting that a unit has once.
func unitSetting(unit, name string) string {
	values := unitSettings(unit, name)
	if len(values) != 1 {
		return ""
	}
	return values[0]
}

func unitSettings(unit, name string) (values []string) {
	for lines := bufio.NewScanner(strings.NewReader(unit)); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name+"="); ok {
			values = append(values, value)
		}
	}
	return values
}

func TestSystemdUnit(t *testing.T) {
	path := Source(t, "deploy", "systemd", unitFile)
	if err := verifyUnit(path, "home"); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"ExecStart":      "/usr/local/bin/netatmo-agent run",
		"TimeoutStopSec": "45",
		// A separate directory, credential and file of settings for each
		// account.
		"StateDirectory":   "netatmo-agent/%i",
		"RuntimeDirectory": "netatmo-agent/%i",
		"LoadCredential":   "client-secret:/etc/netatmo-agent/%i.secret",
		"Environment":      "NETATMO_CLIENT_SECRET_FILE=%d/client-secret",
		"EnvironmentFile":  "/etc/netatmo-agent/%i.env",
	} {
		if got := unitSetting(string(b), name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if after := strings.Fields(unitSetting(string(b), "After")); !slices.Contains(after, "time-sync.target") {
		t.Errorf("starts after %v, want after time-sync.target", after)
	}
	// systemd.special(7): units order themselves after it, but do not pull it
	// in.
	if wants := unitSetting(string(b), "Wants"); wants != "network-online.target" {
		t.Errorf("wants %s, but units may only pull in network-online.target", wants)
	}
}

// tracedCall matches the start of a call in strace's output, after the number
// of the thread. A call that strace could not examine, because its thread
// ended, has the name ???.
var tracedCall = regexp.MustCompile(`(?m)^\d+ +([a-z_]\w*)\(`)

// The system calls that the unit allows are enough for the agent: it goes
// through a login, polls, saves and pushes under strace.
func TestSystemdUnitAllowsTheAgentsSystemCalls(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(Source(t, "deploy", "systemd", unitFile))
	if err != nil {
		t.Fatal(err)
	}
	sets := syscallSets(t)
	admitted := sets.expand("@default")
	for _, filter := range unitSettings(string(b), "SystemCallFilter") {
		denied, deny := strings.CutPrefix(filter, "~")
		for name := range strings.FieldsSeq(denied) {
			for call := range sets.expand(name) {
				if deny {
					delete(admitted, call)
				} else {
					admitted[call] = true
				}
			}
		}
	}
	dir, err := os.MkdirTemp("", "unit-") //nolint:usetesting // only root may enter the test's own
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	agent, trace := filepath.Join(dir, "netatmo-agent"), filepath.Join(dir, "trace")
	run(t, "cp", AgentBinary(t), agent)
	run(t, "chown", "-R", "65534:65534", dir)
	run(t, "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
		"env", "TMPDIR="+dir, "strace", "-f", "-qq", "-o", trace, agent, "demo", "--for", "10s")
	calls, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, match := range tracedCall.FindAllStringSubmatch(string(calls), -1) {
		seen[match[1]] = true
	}
	for name := range seen {
		if !admitted[name] {
			t.Errorf("the unit forbids %s", name)
		}
	}
	if !seen["renameat"] || !seen["connect"] || len(seen) < 40 {
		t.Errorf("only %d system calls seen", len(seen))
	}
}

// setsOfCalls are systemd's sets of system calls, by name with the @.
type setsOfCalls map[string][]string

func syscallSets(t *testing.T) setsOfCalls {
	t.Helper()
	sets, current := setsOfCalls{}, ""
	for line := range strings.Lines(run(t, "systemd-analyze", "syscall-filter", "--no-pager")) {
		name := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "@"):
			current = name
		case name != "" && !strings.HasPrefix(name, "#"):
			sets[current] = append(sets[current], name)
		}
	}
	return sets
}

// expand lists the system calls of a set, or the single named call.
func (s setsOfCalls) expand(name string) map[string]bool {
	calls := map[string]bool{}
	if !strings.HasPrefix(name, "@") {
		calls[name] = true
	}
	for _, member := range s[name] {
		for call := range s.expand(member) {
			calls[call] = true
		}
	}
	return calls
}

// The test above proves something only if systemd rejects mistakes.
func TestSystemdRefusesMistakes(t *testing.T) {
	b, err := os.ReadFile(Source(t, "deploy", "systemd", unitFile))
	if err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string][2]string{
		"unknown setting": {"TimeoutStopSec=", "TimeoutStopSeconds="},
		"unknown type":    {"Type=notify", "Type=notifies"},
		"no hardening":    {"SystemCallFilter=@system-service", "SystemCallFilter="},
		"all privileges":  {"CapabilityBoundingSet=\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), unitFile)
			if err := os.WriteFile(path, []byte(replaceOnce(t, string(b), edit[0], edit[1])), 0o600); err != nil {
				t.Fatal(err)
			}
			if verifyUnit(path, "home") == nil {
				t.Error("is accepted")
			}
		})
	}
}
