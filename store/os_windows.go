package store

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/windows"
)

const (
	nonBlock = 0
	noFollow = 0 // only the check before opening refuses links, which need a privilege here
)

// permissions returns 0600: access control lists decide who may read a file.
func permissions(fs.FileInfo) fs.FileMode { return 0o600 }

// ownerOf knows no owner: Windows has no numeric user ids.
func ownerOf(fs.FileInfo) (uid, gid int, known bool) { return 0, 0, false }

// hasOneName does not look for hard links: no process has more power over files
// than the user who could have planted them.
func hasOneName(fs.FileInfo) bool { return true }

// tryLock locks an open file until it is closed. It reports false if the file is
// locked already. It locks one byte far beyond the content, since others cannot
// read what is locked.
func tryLock(file *os.File) (taken bool, err error) {
	beyond := &windows.Overlapped{OffsetHigh: 1}
	err = windows.LockFileEx(windows.Handle(file.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, beyond)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return false, nil
	}
	return err == nil, err
}

// Rename replaces a file by another one. It waits up to a second for processes
// that have the old one open, such as a virus scanner, since Windows refuses
// the replacement until they close it.
func Rename(from, to string) error {
	for deadline := time.Now().Add(time.Second); ; time.Sleep(10 * time.Millisecond) {
		err := os.Rename(from, to)
		inUse := errors.Is(err, windows.ERROR_SHARING_VIOLATION) || errors.Is(err, windows.ERROR_ACCESS_DENIED)
		if !inUse || time.Now().After(deadline) {
			return err
		}
	}
}

// syncDir does nothing: Windows cannot flush a directory, and NTFS journals names.
func syncDir(string) error { return nil }

func full(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL) || errors.Is(err, syscall.ENOSPC)
}
