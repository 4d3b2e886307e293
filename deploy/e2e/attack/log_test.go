package attack

import (
	"bytes"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"netatmo-agent/deploy/e2e"
)

// stopped returns a pipe that nobody reads and that is full.
func (s *scene) stopped() (r, w *os.File) {
	s.t.Helper()
	r, w, err := os.Pipe()
	must(s, err)
	size, err := unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, 4096)
	must(s, err)
	_, err = w.Write(bytes.Repeat([]byte("\n"), size))
	must(s, err)
	s.t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// logAttacks stop reading the agent's output.
func logAttacks() (all []attack) {
	for protocol, name := range names {
		all = append(all, attack{"log", "nobody reads it, over " + name, func(s *scene) {
			s.over(protocol)
			s.set(e2e.Env{"NETATMO_LOG_LEVEL": "debug"})
			r, w := s.stopped()
			s.logIn()
			s.program = start(s.t, s.agent.Env, w, &s.peak)
			s.advances(3)
			s.recovers()
			s.ends()
			w.Close()
			text, err := io.ReadAll(r)
			must(s, err)
			_, _ = s.log.Write(text)
		}})
	}
	return append(all,
		attack{"log", "its reader pauses", func(s *scene) {
			s.set(e2e.Env{"NETATMO_LOG_LEVEL": "debug"})
			r, w := s.stopped()
			s.logIn()
			s.program = start(s.t, s.agent.Env, w, &s.peak)
			s.advances(3)
			go func() { _, _ = io.Copy(s.log, r) }()
			s.recovers()
			s.eventually("logs what waited", func() bool { return strings.Contains(s.log.text(), "starting netatmo-agent") })
		}},
		attack{"log", "nobody reads the metrics that it prints", func(s *scene) {
			_, w := s.stopped()
			s.set(e2e.Env{"OTEL_METRICS_EXPORTER": "console"})
			s.logIn()
			s.program = startWith(s.t, s.agent.Env, w, s.log, &s.peak)
			requests := func() int { return s.cloud.Requests()["getstationsdata"] }
			s.eventually("polls", func() bool { return requests() > 0 })
			before := requests()
			s.eventually("goes on polling", func() bool { return requests() > before+1 })
			s.ends()
		}},
	)
}

// ends checks that the agent ends in order while the attack goes on.
func (s *scene) ends() {
	s.t.Helper()
	s.restless = true
	begin := time.Now()
	s.program.signal(syscall.SIGTERM)
	if code := s.program.wait(20 * time.Second); code != 0 {
		s.t.Errorf("SIGTERM: exit code %d, want 0", code)
	}
	if took := time.Since(begin); took > 10*time.Second {
		s.t.Errorf("the end takes %v", took)
	}
	s.countLogin()
}
