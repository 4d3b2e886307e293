// Package heartbeat is the sign of life of a running agent: a file that "run"
// writes, and "check" and "check --live" read.
//
// A supervisor restarts what looks dead, and a restart cures nothing but a loop
// that hangs. Login, Netatmo and the backend may all be away while the agent is
// well. So the agent judges its loops itself, and the file says which hang. It
// judges by its monotonic clock: a Raspberry Pi that learns the time of day is
// no reason for a restart. The reader only has to see that the file is fresh and
// its process there.
package heartbeat

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"netatmo-agent/agent/words"
)

// Heartbeat is the content of the file.
type Heartbeat struct {
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
	Written time.Time `json:"written"`
	Hanging []string  `json:"hanging,omitempty"` // loops, in words

	Polled  time.Time `json:"polled,omitzero"` // the last poll and push that succeeded
	Pushed  time.Time `json:"pushed,omitzero"`
	Failing bool      `json:"failing,omitempty"` // of these one has failed and never succeeded
}

// Path returns where the agent with this token file writes its heartbeat:
// in $RUNTIME_DIRECTORY, which systemd sets, or in the temporary directory, and
// in a file for each, so that several agents on a machine do not meet.
func Path(tokenFile string) string {
	dir := cmp.Or(os.Getenv("RUNTIME_DIRECTORY"), os.TempDir())
	sum := sha256.Sum256([]byte(tokenFile))
	return filepath.Join(dir, fmt.Sprintf("netatmo-agent-%x.heartbeat", sum[:6]))
}

// Write replaces the file at path. The temporary directory is everybody's, so
// nothing that is there already is written through.
func (h Heartbeat) Write(path string) error {
	content, err := json.Marshal(h)
	if err != nil {
		return err
	}
	tmp := path + ".tmp"
	_ = os.Remove(tmp)
	file, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err := errors.Join(err, file.Close()); err != nil {
		_ = os.Remove(tmp)
		return err
	}
	return os.Rename(tmp, path)
}

// Read returns the heartbeat at path. The error says that there is none or, with
// Hanging, that the agent hangs.
func Read(path string) (h Heartbeat, err error) {
	content, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return h, fmt.Errorf("there is no heartbeat of an agent at %s", path)
	case err != nil:
		return h, err
	}
	if err := json.Unmarshal(content, &h); err != nil {
		return h, fmt.Errorf("the heartbeat at %s is damaged: %w", path, err)
	}
	if errors.Is(syscall.Kill(h.PID, 0), syscall.ESRCH) {
		return h, fmt.Errorf("the agent (process %d) has ended without a word: it was killed, or the machine was", h.PID)
	}
	if age := time.Since(h.Written); age > patience {
		h.Hanging = append(h.Hanging, fmt.Sprintf("its last sign of life was %s ago", words.Span(age)))
	}
	if len(h.Hanging) > 0 {
		return h, fmt.Errorf("the agent (process %d) hangs: %s", h.PID, strings.Join(h.Hanging, "; "))
	}
	return h, nil
}
