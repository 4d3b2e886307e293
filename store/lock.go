package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// HeldError says who holds a lock.
type HeldError struct {
	Path string
	PID  int // as the holder wrote it; 0 if that cannot be read
}

func (e *HeldError) Error() string {
	return e.Path + " is held by " + e.Holder()
}

// Holder names the process that holds the lock, as well as that is known.
func (e *HeldError) Holder() string {
	if e.PID == 0 {
		return "another process"
	}
	return "process " + strconv.Itoa(e.PID)
}

// Lock is a lock between processes that is held.
type Lock struct{ flock *flock.Flock }

// TryLock takes the lock at path, or returns a *[HeldError] at once. The file is
// created, with its directory, and never removed: to remove it would let two
// processes lock two files of the same name.
func TryLock(path string) (*Lock, error) {
	if _, err := makeDir(filepath.Dir(path)); err != nil {
		return nil, explain(err)
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, explain(err)
	}
	defer file.Close()
	lock := flock.New(path)
	switch taken, err := lock.TryLock(); {
	case err != nil:
		return nil, explain(fmt.Errorf("lock %s: %w", path, err))
	case !taken:
		return nil, &HeldError{Path: path, PID: readPID(file)}
	}
	if dir, err := os.Stat(filepath.Dir(path)); err == nil {
		giveTo(file, dir)
	}
	// For people alone, so a failure does not matter; of fixed width and not
	// truncated first, so that a full disk does not empty it.
	_, _ = file.WriteAt(fmt.Appendf(nil, "%-10d\n", os.Getpid()), 0)
	return &Lock{lock}, nil
}

// LockWait takes the lock at path as soon as it is free. When ctx ends first the
// error wraps both that of ctx and a *[HeldError].
func LockWait(ctx context.Context, path string) (*Lock, error) {
	for {
		lock, err := TryLock(path)
		if _, held := errors.AsType[*HeldError](err); !held {
			return lock, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", err, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Unlock frees the lock.
func (l *Lock) Unlock() error { return l.flock.Unlock() }

func readPID(file *os.File) int {
	b := make([]byte, 16)
	n, _ := file.ReadAt(b, 0)
	pid, _ := strconv.Atoi(strings.TrimSpace(string(b[:n])))
	return pid
}
