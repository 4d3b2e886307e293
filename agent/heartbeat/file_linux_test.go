package heartbeat

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A container with a read-only root and no /tmp still has /dev/shm.
func TestWithoutATemporaryDirectoryTheHeartbeatIsInSharedMemory(t *testing.T) {
	dir := t.TempDir()
	tokenFile := filepath.Join(dir, "token.json") // so that the heartbeat's name is unique
	t.Setenv("RUNTIME_DIRECTORY", "")
	t.Setenv("TMPDIR", filepath.Join(dir, "none"))
	if _, err := Read(tokenFile); err == nil || !strings.Contains(err.Error(), "/dev/shm/") || !strings.Contains(err.Error(), dir) {
		t.Errorf("before the first heartbeat: %v", err)
	}
	h := Heartbeat{PID: os.Getpid(), Written: time.Now()}
	if err := h.Write(tokenFile); err != nil {
		t.Fatal(err)
	}
	defer remove(tokenFile)
	if _, err := Read(tokenFile); err != nil {
		t.Error(err)
	}
	// An agent that could write there before has left its heartbeat.
	if err := os.Mkdir(filepath.Join(dir, "none"), 0o700); err != nil {
		t.Fatal(err)
	}
	old := Heartbeat{PID: os.Getpid(), Written: time.Now().Add(-time.Hour)}
	if err := old.Write(tokenFile); err != nil {
		t.Fatal(err)
	}
	if got, err := Read(tokenFile); err != nil || !got.Written.Equal(h.Written) {
		t.Errorf("beside an older one: %+v, %v", got, err)
	}
	remove(tokenFile)
	if _, err := Read(tokenFile); err == nil {
		t.Error("remove left a heartbeat")
	}
}

// In a directory such as /tmp, nobody can remove another user's link.
func TestAHeartbeatIsNotWrittenThroughALinkThatCannotBeRemoved(t *testing.T) {
	const nobody = 65534
	if os.Geteuid() != 0 {
		return // only root can make a link for another user
	}
	dir := t.TempDir()
	victim, shared := filepath.Join(dir, "victim"), filepath.Join(dir, "shared")
	for _, err := range []error{
		os.WriteFile(victim, []byte("untouched"), 0o600), os.Chown(victim, nobody, nobody),
		os.Mkdir(shared, 0o700), os.Chmod(shared, 0o777|os.ModeSticky), os.Chmod(dir, 0o755), os.Chmod(filepath.Dir(dir), 0o755),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("RUNTIME_DIRECTORY", shared)
	if err := os.Symlink(victim, paths("token.json")[0]+".tmp"); err != nil {
		t.Fatal(err)
	}
	written := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with its user
		_ = syscall.Setfsgid(nobody)
		_ = syscall.Setfsuid(nobody)
		written <- Heartbeat{}.Write("token.json")
	}()
	if err := <-written; err == nil {
		t.Error("written although the link could not be removed")
	}
	if content, _ := os.ReadFile(victim); string(content) != "untouched" {
		t.Errorf("the victim holds %q", content)
	}
}
