//go:build unix

package heartbeat

import (
	"errors"
	"syscall"
	"testing"

	"netatmo-agent/store"
)

// Every user can create a pipe in the temporary directory. Nothing waits for it.
func TestAHeartbeatThatIsAPipeIsRefused(t *testing.T) {
	t.Setenv("RUNTIME_DIRECTORY", t.TempDir())
	path := paths("token.json")[0]
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read("token.json"); !errors.Is(err, store.ErrNotRegular) {
		t.Errorf("error %v", err)
	}
}
