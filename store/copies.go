package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	badSuffix = ".bad-"
	badTime   = "20060102T150405Z"
	maxCopies = 5
)

// KeepBad copies the content, whatever it is, to <path>.bad-<time> (UTC, in
// seconds) and returns that path. It moves a file that is too large to read. It
// removes all copies but the newest five.
func (f *File[T]) KeepBad(now time.Time) (string, error) {
	bad, err := f.keepBad(now)
	return bad, explain(err)
}

func (f *File[T]) keepBad(now time.Time) (string, error) {
	content, info, err := f.read()
	large := errors.Is(err, errTooLarge)
	if err != nil && !large {
		return "", err
	}
	path, err := Target(f.path)
	if err != nil {
		return "", err
	}
	bad := path + badSuffix + now.UTC().Format(badTime)
	if large {
		err = f.do("rename", func() error { return Rename(path, bad) })
	} else {
		// The copy keeps the owner: the directory's may not be allowed to read it.
		err = f.replace(bad, content, info, 0o600)
	}
	if err != nil {
		return "", err
	}
	removeOldCopies(path)
	return bad, nil
}

// removeOldCopies removes all but the newest copies of the file at path. After a
// failure the next KeepBad tries again.
func removeOldCopies(path string) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return
	}
	prefix := filepath.Base(path) + badSuffix
	var copies []string // oldest first, as ReadDir sorts by name
	for _, entry := range entries {
		made, found := strings.CutPrefix(entry.Name(), prefix)
		if _, err := time.Parse(badTime, made); found && err == nil && entry.Type().IsRegular() {
			copies = append(copies, entry.Name())
		}
	}
	for _, name := range copies[:max(0, len(copies)-maxCopies)] {
		_ = os.Remove(filepath.Join(filepath.Dir(path), name))
	}
}
