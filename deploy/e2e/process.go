package e2e

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for something that takes a moment. It is
// much more than a slow machine needs, so that only a fault takes that long.
const patience = 60 * time.Second

// Env is the whole environment of a process, by name of variable.
type Env map[string]string

// With returns a copy of e with the variables of others added; later ones win.
func (e Env) With(others ...Env) Env {
	all := Env{}
	for _, vars := range append([]Env{e}, others...) {
		maps.Copy(all, vars)
	}
	return all
}

func (e Env) list() []string {
	var list []string
	for k, v := range e {
		list = append(list, k+"="+v)
	}
	return list
}

// Process is a running program. When its test ends it is stopped. If the test
// failed, the last lines of its output are logged.
type Process struct {
	t    testing.TB
	name string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has exited

	// signalled maps the started process to the one to signal, if that is
	// different.
	signalled func(pid int) int

	mu             sync.Mutex
	stdout, stderr bytes.Buffer
}

// startProcess starts a program with exactly the environment env.
func startProcess(t testing.TB, env Env, binary string, args ...string) *Process {
	t.Helper()
	p := newProcess(t, env, binary, args...)
	p.start()
	return p
}

// startDialogue starts a program whose standard input the test writes.
func startDialogue(t testing.TB, env Env, binary string, args ...string) (p *Process, input io.WriteCloser) {
	t.Helper()
	p = newProcess(t, env, binary, args...)
	input, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.start()
	return p, input
}

func newProcess(t testing.TB, env Env, binary string, args ...string) *Process {
	t.Helper()
	p := &Process{t: t, name: filepath.Base(binary), cmd: exec.Command(binary, args...), done: make(chan struct{})}
	p.cmd.Env = env.list()
	p.cmd.Stdout = lockedWriter{&p.mu, &p.stdout}
	p.cmd.Stderr = lockedWriter{&p.mu, &p.stderr}
	return p
}

func (p *Process) start() {
	p.t.Helper()
	if err := p.cmd.Start(); err != nil {
		p.t.Fatalf("start %s: %v", p.name, err)
	}
	go func() {
		_ = p.cmd.Wait() // ProcessState has the result
		close(p.done)
	}()
	p.t.Cleanup(p.cleanUp)
}

func (p *Process) cleanUp() {
	p.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		p.Signal(syscall.SIGKILL)
		<-p.done
	}
	if p.t.Failed() {
		p.t.Logf("%s (exit code %d) printed last:\n%s", p.name, p.cmd.ProcessState.ExitCode(), tail(p.Output()+p.Log(), 40))
	}
}

// Output returns what the process has written to standard output so far.
func (p *Process) Output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stdout.String()
}

// Log returns what the process has written to standard error so far.
func (p *Process) Log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stderr.String()
}

// WaitLog waits until standard error contains all of the texts.
func (p *Process) WaitLog(texts ...string) {
	p.t.Helper()
	for _, text := range texts {
		p.Eventually("prints "+text, func() bool { return strings.Contains(p.Log(), text) })
	}
}

// Eventually waits until cond is true. It fails the test if that takes too
// long, or if the process exits first.
func (p *Process) Eventually(what string, cond func() bool) {
	p.t.Helper()
	deadline := time.Now().Add(patience)
	for !cond() {
		if !p.Running() && !cond() {
			p.t.Fatalf("%s ended (exit code %d) before: %s", p.name, p.cmd.ProcessState.ExitCode(), what)
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%s: after %v, not reached: %s", p.name, patience, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// WaitListening waits until every address accepts connections.
func (p *Process) WaitListening(addrs ...string) {
	p.t.Helper()
	for _, addr := range addrs {
		p.Eventually("listens on "+addr, func() bool {
			conn, err := net.Dial("tcp", addr)
			if err == nil {
				conn.Close()
			}
			return err == nil
		})
	}
}

// Running reports whether the process has not exited.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Wait waits until the process exits and returns the exit code, −1 after a
// signal.
func (p *Process) Wait() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Fatalf("%s: it did not exit within %v", p.name, patience)
	}
	return p.cmd.ProcessState.ExitCode()
}

// Signal sends a signal; it is not an error if the process has exited.
func (p *Process) Signal(sig syscall.Signal) {
	p.t.Helper()
	var err error
	if p.signalled == nil {
		err = p.cmd.Process.Signal(sig)
	} else if p.Running() {
		err = syscall.Kill(p.signalled(p.cmd.Process.Pid), sig)
	}
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Fatalf("send %v to %s: %v", sig, p.name, err)
	}
}

// Terminate sends SIGTERM and returns the exit code and how long it took.
func (p *Process) Terminate() (code int, took time.Duration) {
	p.t.Helper()
	start := time.Now()
	p.Signal(syscall.SIGTERM)
	code = p.Wait()
	return code, time.Since(start)
}

// Kill ends the process like a power cut.
func (p *Process) Kill() {
	p.t.Helper()
	p.Signal(syscall.SIGKILL)
	p.Wait()
}

// lockedWriter lets a buffer be read while a process writes to it.
type lockedWriter struct {
	mu *sync.Mutex
	w  *bytes.Buffer
}

func (l lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

func tail(s string, lines int) string {
	all := strings.Split(strings.TrimRight(s, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
