package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// HeldError reports that another process, or another part of this one, holds a lock.
type HeldError struct {
	Path string
	PID  int // from the file; 0 if unknown
}

func (e *HeldError) Error() string {
	return e.Path + " is held by " + e.Holder()
}

// Holder describes the process that holds the lock: "process 7", or "another
// process" if its id is unknown.
func (e *HeldError) Holder() string {
	if e.PID == 0 {
		return "another process"
	}
	return "process " + strconv.Itoa(e.PID)
}

// Lock is a held lock.
type Lock struct{ file *os.File }

// TryLock takes the lock at path, or returns a *[HeldError] at once. It creates
// the file and its directory and follows no link. The file is never removed:
// otherwise two processes could lock two files of the same name.
func TryLock(path string) (*Lock, error) {
	dir := filepath.Dir(path)
	if _, err := makeDir(dir); err != nil {
		return nil, explain(err)
	}
	file, created, err := openLock(path)
	if errors.Is(err, ErrNotRegular) {
		return nil, fmt.Errorf("%w, so it cannot be a lock: remove it", err)
	}
	if err != nil {
		return nil, explain(err)
	}
	if like, err := os.Stat(dir); err == nil && created {
		giveTo(file, like)
	}
	// The file is open for writing only while the id is written, because a disk
	// with a file open for writing cannot be remounted read-only.
	held, _, err := openRegular(path, os.O_RDONLY, false)
	if err != nil {
		file.Close()
		return nil, explain(err)
	}
	taken, err := tryLock(held)
	if errors.Is(err, syscall.EBADF) { // NFS locks only what is open for writing
		file, held = held, file
		taken, err = tryLock(held)
	}
	defer file.Close()
	switch {
	case err != nil:
		err = explain(fmt.Errorf("lock %s: %w", path, err))
	case !taken:
		pid, _ := readPID(held)
		err = &HeldError{Path: path, PID: pid}
	default:
		writePID(file)
		return &Lock{held}, nil
	}
	held.Close()
	return nil, err
}

// openLock opens the regular file at path and creates it if it is missing.
func openLock(path string) (file *os.File, created bool, err error) {
	file, _, err = openRegular(path, os.O_RDWR, false)
	if !errors.Is(err, fs.ErrNotExist) {
		return file, false, err
	}
	file, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) { // another process was faster
		file, _, err = openRegular(path, os.O_RDWR, false)
		return file, false, err
	}
	return file, err == nil, err
}

// LockWait takes the lock at path as soon as it is free. If ctx ends first, the
// error wraps both ctx's error and a *[HeldError].
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

// Unlock releases the lock.
func (l *Lock) Unlock() error { return l.file.Close() }

// readPID returns the process id in a lock file, 0 if the file is empty. ok is
// false if the file holds anything else.
func readPID(file *os.File) (pid int, ok bool) {
	b := make([]byte, 16)
	n, _ := file.ReadAt(b, 0)
	if n == 0 {
		return 0, true
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b[:n])))
	return pid, err == nil && n < len(b)
}

// writePID writes our process id into a lock file. It leaves a file alone that has
// other content or a second name, since that is not a lock file of ours. A
// failure does not matter, as the id is only for people. The text has a fixed
// width and the file is not truncated, so that a full disk does not empty it.
func writePID(file *os.File) {
	info, err := file.Stat()
	if _, ok := readPID(file); ok && err == nil && hasOneName(info) {
		_, _ = file.WriteAt(fmt.Appendf(nil, "%-10d\n", os.Getpid()), 0)
	}
}
