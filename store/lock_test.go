package store_test

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"netatmo-agent/store"
)

const lockEnv = "STORE_TEST_LOCK"

// TestMain is also the other process of the lock tests: it takes the lock that its
// environment names, prints a line, and holds it until its standard input ends.
func TestMain(m *testing.M) {
	path := os.Getenv(lockEnv)
	if path == "" {
		os.Exit(m.Run())
	}
	if _, err := store.TryLock(path); err != nil {
		os.Exit(1)
	}
	_, _ = os.Stdout.WriteString("locked\n")
	_, _ = bufio.NewReader(os.Stdin).ReadByte()
}

func holder(t *testing.T, path string) (pid int, kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), lockEnv+"="+path)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	t.Cleanup(func() { in.Close(); kill() })
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "locked\n" {
		t.Fatalf("the other process printed %q, %v", line, err)
	}
	return cmd.Process.Pid, kill
}

func TestALockNamesItsHolderAndEndsWithIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "agent.lock")
	pid, kill := holder(t, path)

	_, err := store.TryLock(path)
	if holder, held := errors.AsType[*store.HeldError](err); !held || holder.PID != pid {
		t.Fatalf("error %v, want one with process %d", err, pid)
	}
	if !strings.Contains(err.Error(), strconv.Itoa(pid)) || !strings.Contains(err.Error(), path) {
		t.Errorf("the error does not name holder and path: %v", err)
	}
	kill() // as a crash does: no Unlock
	lock, err := store.LockWait(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if content, _ := os.ReadFile(path); strings.TrimSpace(string(content)) != strconv.Itoa(os.Getpid()) {
		t.Errorf("the file holds %q", content)
	}
	if err := lock.Unlock(); err != nil {
		t.Error(err)
	}
}

func TestLockWaitEndsWithItsContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token.lock")
	first, err := store.TryLock(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Millisecond)
	defer cancel()
	_, err = store.LockWait(ctx, path)
	if _, held := errors.AsType[*store.HeldError](err); !held || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting too long: %v", err)
	}
	time.AfterFunc(10*time.Millisecond, func() { _ = first.Unlock() })
	second, err := store.LockWait(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = second.Unlock() }()
	_, err = store.TryLock(path)
	if _, held := errors.AsType[*store.HeldError](err); !held {
		t.Errorf("two holders in one process: %v", err)
	}
}
