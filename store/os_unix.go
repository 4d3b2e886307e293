//go:build unix

package store

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

const (
	nonBlock = syscall.O_NONBLOCK // do not wait for the other end of a pipe
	noFollow = syscall.O_NOFOLLOW // fail if the path itself is a symbolic link
)

// permissions returns the mode bits that decide who may read a file.
func permissions(info fs.FileInfo) fs.FileMode { return info.Mode().Perm() }

// ownerOf returns the user and group that own a file.
func ownerOf(info fs.FileInfo) (uid, gid int, known bool) {
	s, known := info.Sys().(*syscall.Stat_t)
	if !known {
		return 0, 0, false
	}
	return int(s.Uid), int(s.Gid), true
}

// hasOneName reports whether a file has no second name (hard link).
func hasOneName(info fs.FileInfo) bool {
	s, known := info.Sys().(*syscall.Stat_t)
	return known && s.Nlink == 1
}

// tryLock locks an open file until it is closed. It reports false if the file is
// locked already.
func tryLock(file *os.File) (taken bool, err error) {
	for {
		switch err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EWOULDBLOCK):
			return false, nil
		default:
			return err == nil, err
		}
	}
}

// Rename replaces a file by another one, like [os.Rename]. On Windows it waits
// for processes that have the old one open.
func Rename(from, to string) error { return os.Rename(from, to) }

// syncDir makes the names in dir durable. Some network file systems do not
// support that and return EINVAL or ENOTSUP, which is ignored.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if errors.Is(err, fs.ErrPermission) {
		return nil // we may write to it but not read it
	}
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}

func full(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
