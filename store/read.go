package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// ErrNotRegular reports that a path names a directory, a device, a pipe or a
// socket. These are neither read nor replaced.
var ErrNotRegular = errors.New("not a regular file")

var errTooLarge = errors.New("too large")

// CheckRegular returns an error that wraps [ErrNotRegular] if path exists and,
// links followed, is not a regular file. Call it before creating a [Lock] in the
// same directory, which may be /dev. Other problems show when the file is used.
func CheckRegular(path string) error {
	if info, err := os.Stat(path); err == nil {
		return checkKind(path, info)
	}
	return nil
}

// ReadFile returns the content of a file that another program writes, such as a
// certificate. It follows links and does not wait for another process. The
// error is an *[fs.PathError], which wraps [ErrNotRegular] or says that the
// file is larger than 1 MiB.
func ReadFile(path string) ([]byte, error) {
	content, _, err := read(path, true, 1<<20)
	if errors.Is(err, errTooLarge) {
		err = &fs.PathError{Op: "read", Path: path, Err: errors.New("it is larger than 1 MiB")}
	}
	return content, err
}

// read returns the content of the regular file at path, and errTooLarge if it
// has more than limit bytes.
func read(path string, follow bool, limit int64) ([]byte, fs.FileInfo, error) {
	file, info, err := openRegular(path, os.O_RDONLY, follow)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	if info.Size() > limit {
		return nil, info, errTooLarge
	}
	content, err := io.ReadAll(io.LimitReader(file, limit+1)) // it may be growing
	if err == nil && int64(len(content)) > limit {
		return nil, info, errTooLarge
	}
	return content, info, err
}

// openRegular opens the regular file at path without waiting for another process.
// It checks the path before opening it, since opening a device can have effects,
// and again afterwards, since the path may have changed. It follows a link at
// path only if told to.
func openRegular(path string, flag int, follow bool) (*os.File, fs.FileInfo, error) {
	describe := os.Lstat
	if follow {
		describe = os.Stat
	} else {
		flag |= noFollow
	}
	info, err := describe(path)
	if err == nil {
		err = checkKind(path, info)
	}
	if err != nil {
		return nil, nil, err
	}
	file, err := os.OpenFile(path, flag|nonBlock, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err = file.Stat()
	if err == nil {
		err = checkKind(path, info)
	}
	if err != nil {
		file.Close()
		return nil, nil, err
	}
	return file, info, nil
}

// checkKind returns an error that wraps ErrNotRegular unless info is that of a
// regular file.
func checkKind(path string, info fs.FileInfo) error {
	kind := "device, pipe or socket"
	switch {
	case info.Mode().IsRegular():
		return nil
	case info.IsDir():
		kind = "directory"
	case info.Mode()&fs.ModeSymlink != 0:
		kind = "symbolic link"
	}
	return &fs.PathError{Op: "open", Path: path, Err: fmt.Errorf("it is a %s, %w", kind, ErrNotRegular)}
}
