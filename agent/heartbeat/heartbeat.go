// Package heartbeat reports whether a running agent is healthy, in a file that
// "run" writes and that "check" and "check --live" read.
//
// A supervisor restarts an unhealthy agent, and a restart helps only if a loop
// hangs. It does not help if the login, Netatmo or the backend is unavailable. So
// the agent checks its loops itself, and the file lists those that hang. It uses
// the monotonic clock, so that a Raspberry Pi that sets its clock is not
// restarted. The reader checks that the file is recent and the process exists.
package heartbeat

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"netatmo-agent/agent/humanize"
)

// Heartbeat is the content of the file.
type Heartbeat struct {
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
	Written time.Time `json:"written"`
	Hanging []string  `json:"hanging,omitempty"` // loops, described for the user

	Polled  time.Time `json:"polled,omitzero"` // last successful poll and push
	Pushed  time.Time `json:"pushed,omitzero"`
	Failing bool      `json:"failing,omitempty"` // one of these has failed and never succeeded
}

// check returns an error if the agent has ended or hangs. A heartbeat that is too
// old is added to Hanging.
func (h *Heartbeat) check() error {
	if ended(h.PID) {
		return fmt.Errorf("the agent (process %d) has ended without removing its heartbeat: it or the machine was killed", h.PID)
	}
	if age := time.Since(h.Written); age > patience {
		h.Hanging = append(h.Hanging, fmt.Sprintf("its last heartbeat was %s ago", humanize.Duration(age)))
	}
	if len(h.Hanging) > 0 {
		return fmt.Errorf("the agent (process %d) hangs: %s", h.PID, strings.Join(h.Hanging, "; "))
	}
	return nil
}

// ended reports whether there is no such process.
func ended(pid int) bool {
	process, err := os.FindProcess(pid)
	if err != nil { // on Windows
		return !errors.Is(err, fs.ErrPermission)
	}
	defer func() { _ = process.Release() }()
	return errors.Is(process.Signal(syscall.Signal(0)), os.ErrProcessDone)
}
