package attack

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"netatmo-agent/deploy/e2e"
)

// patience is how long a test waits for something that should take a moment.
const patience = 60 * time.Second

// program is a running agent whose memory is measured.
type program struct {
	t    *testing.T
	cmd  *exec.Cmd
	done chan struct{} // closed when it has exited
	peak *atomic.Int64 // bytes, the most that it or one before it had resident
}

// start starts the agent with stderr as its log.
func start(t *testing.T, env e2e.Env, stderr io.Writer, peak *atomic.Int64, args ...string) *program {
	t.Helper()
	return startWith(t, env, nil, stderr, peak, args...)
}

// startWith is start with a standard output.
func startWith(t *testing.T, env e2e.Env, stdout, stderr io.Writer, peak *atomic.Int64, args ...string) *program {
	t.Helper()
	p := &program{t: t, cmd: exec.Command(e2e.AgentBinary(t), args...), done: make(chan struct{}), peak: peak}
	for name, value := range env {
		p.cmd.Env = append(p.cmd.Env, name+"="+value)
	}
	p.cmd.Stdout, p.cmd.Stderr = stdout, stderr
	p.cmd.WaitDelay = patience
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start the agent: %v", err)
	}
	go p.watch()
	go func() {
		_ = p.cmd.Wait() // ProcessState has the result
		close(p.done)
	}()
	t.Cleanup(func() {
		p.signal(syscall.SIGCONT)
		p.signal(syscall.SIGTERM)
		select {
		case <-p.done:
		case <-time.After(10 * time.Second):
			p.signal(syscall.SIGKILL)
			<-p.done
		}
	})
	return p
}

// watch records the peak memory until the program exits.
func (p *program) watch() {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		p.measure()
		select {
		case <-p.done:
			return
		case <-tick.C:
		}
	}
}

// measure reads the kernel's peak of the resident memory.
func (p *program) measure() {
	if kb := p.status("VmHWM"); kb<<10 > p.peak.Load() {
		p.peak.Store(kb << 10)
	}
}

// status returns a number of /proc/<pid>/status, 0 if the process is gone.
func (p *program) status(name string) int64 {
	content, err := os.ReadFile(p.proc("status"))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(content)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == name+":" {
			n, _ := strconv.ParseInt(fields[1], 10, 64)
			return n
		}
	}
	return 0
}

func (p *program) proc(name string) string {
	return filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid), name)
}

// signal sends a signal, unless the program has exited.
func (p *program) signal(sig syscall.Signal) { _ = p.cmd.Process.Signal(sig) }

// wait waits until the program exits and returns the exit code, −1 after a
// signal.
func (p *program) wait(most time.Duration) int {
	p.t.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(most):
		p.t.Errorf("the agent does not exit within %v", most)
		p.signal(syscall.SIGKILL)
		<-p.done
		return -1
	}
}

func (p *program) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// logbook counts a log and keeps its beginning.
type logbook struct {
	mu             sync.Mutex
	kept           bytes.Buffer
	total          int
	line, longLine int
}

const keptLog = 4 << 20

func (l *logbook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total += len(b)
	l.kept.Write(b[:max(0, min(len(b), keptLog-l.kept.Len()))])
	for part := range bytes.Lines(b) {
		l.line += len(part)
		l.longLine = max(l.longLine, l.line)
		if part[len(part)-1] == '\n' {
			l.line = 0
		}
	}
	return len(b), nil
}

func (l *logbook) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.kept.String()
}

// size returns the bytes so far and those of the longest line.
func (l *logbook) size() (total, longest int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total, l.longLine
}
