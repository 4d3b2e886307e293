package e2e

import (
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// agentBinary builds the agent once per test run, at a different path for each
// source tree.
var agentBinary = sync.OnceValues(func() (string, error) {
	src, err := root()
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	tree := fnv.New32a()
	tree.Write([]byte(src))
	path := filepath.Join(cache, "netatmo-agent-e2e", fmt.Sprintf("agent-%x", tree.Sum32()), "netatmo-agent")
	return path, goBuild(src, path, "./agent")
})

// AgentBinary returns the path of the agent's binary.
func AgentBinary(t testing.TB) string {
	t.Helper()
	path, err := agentBinary()
	if err != nil {
		t.Fatalf("build the agent: %v", err)
	}
	return path
}

// Agent is an agent with its own state directory. The embedded Process is its
// current or latest run.
type Agent struct {
	*Process
	Env  Env
	Home string // its home and XDG_STATE_HOME
	t    testing.TB
	args []string
}

// NewAgent prepares an agent: a home, an address for its pages, and the
// settings of env, which win. It does not start it.
func NewAgent(t testing.TB, env Env, args ...string) *Agent {
	t.Helper()
	home := t.TempDir()
	base := Env{
		"HOME":                home,
		"XDG_STATE_HOME":      home,
		"TMPDIR":              home, // for the heartbeat
		"NETATMO_LISTEN_ADDR": FreeAddr(t),
	}
	return &Agent{Env: base.With(env), Home: home, t: t, args: args}
}

// Start starts or restarts the agent.
func (a *Agent) Start() *Agent {
	a.t.Helper()
	a.Process = startProcess(a.t, a.Env, AgentBinary(a.t), a.args...)
	return a
}

// TokenFile is the path of the token file.
func (a *Agent) TokenFile() string { return a.state("token.json") }

// StateFile is the path of the file with the marks.
func (a *Agent) StateFile() string { return a.state("state.json") }

func (a *Agent) state(name string) string {
	return filepath.Join(a.Home, "netatmo-agent", name)
}

// Command runs another command of the agent in the same environment until it
// exits.
func (a *Agent) Command(args ...string) Result {
	a.t.Helper()
	p := startProcess(a.t, a.Env, AgentBinary(a.t), args...)
	code := p.Wait()
	return Result{Code: code, Output: p.Output(), Log: p.Log()}
}

// Result is the result of a command.
type Result struct {
	Code   int    // exit code
	Output string // standard output
	Log    string // standard error
}
