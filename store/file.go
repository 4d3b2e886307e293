package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// ErrNotRegular says that a path names a directory, a device, a pipe or a
// socket, which is neither read nor replaced.
var ErrNotRegular = errors.New("not a regular file")

// CorruptError says that a file's content is not a JSON document of the
// expected form. The file is left as it is.
type CorruptError struct {
	Path string
	Err  error
}

func (e *CorruptError) Error() string { return fmt.Sprintf("%s is damaged: %v", e.Path, e.Err) }

func (e *CorruptError) Unwrap() error { return e.Err }

// maxSize bounds what is read: a document of ours has some kilobytes.
const maxSize = 16 << 20

var errTooLarge = fmt.Errorf("it is larger than %d MiB, so it is none of ours", maxSize>>20)

// File is a JSON document of type T in a file of mode 0600. A path that is a
// symbolic link is followed. A File is for one user at a time; processes that
// share the file take turns with a [Lock].
type File[T any] struct {
	path  string
	fault func(step string, act func() error) error // set by tests alone
}

// New returns the File at path, which need not exist. It touches nothing.
func New[T any](path string) *File[T] { return &File[T]{path: path} }

// Load reads the document. The error is an [fs.ErrNotExist] if the file is
// missing or holds nothing but blanks, [ErrNotRegular], or a *[CorruptError].
func (f *File[T]) Load() (T, error) {
	var v, none T
	content, _, err := f.read()
	if err != nil {
		return none, err
	}
	// Windows editors put a byte order mark before the text.
	content = bytes.TrimPrefix(content, []byte("\ufeff"))
	if len(bytes.TrimSpace(content)) == 0 {
		return none, fmt.Errorf("%s is empty: %w", f.path, fs.ErrNotExist)
	}
	if err := json.Unmarshal(content, &v); err != nil {
		return none, &CorruptError{Path: f.path, Err: err}
	}
	return v, nil
}

// Save replaces the document atomically and durably: after an error the file
// holds the old document or the new one, after nil the new one, even if the
// power fails. A missing directory is created with mode 0700. As of all that
// write, the error says what is wrong and what to do about it.
func (f *File[T]) Save(v T) error {
	path, content, err := f.prepare(v)
	if err != nil {
		return err
	}
	return explain(f.replace(path, content))
}

// Overwrite writes the document over the old content, in place and durably. It
// needs no new block on the disk and no rename, so it works on a full disk and
// on a file that is a mount point; a power cut in the middle of it can damage
// the file. The file must exist.
func (f *File[T]) Overwrite(v T) error {
	path, content, err := f.prepare(v)
	if err != nil {
		return err
	}
	return explain(f.do("overwrite", func() error { return overwrite(path, content) }))
}

// KeepBad copies the present content, whatever it is, to <path>.bad-<time> (UTC,
// to the second) and returns that path. A file too large to be read is moved.
func (f *File[T]) KeepBad(now time.Time) (string, error) {
	content, _, err := f.read()
	large := errors.Is(err, errTooLarge)
	if err != nil && !large {
		return "", explain(err)
	}
	path, err := Target(f.path)
	if err != nil {
		return "", err
	}
	bad := path + ".bad-" + now.UTC().Format("20060102T150405Z")
	if large {
		err = f.do("rename", func() error { return os.Rename(path, bad) })
	} else {
		err = f.replace(bad, content)
	}
	if err != nil {
		return "", explain(err)
	}
	return bad, nil
}

// prepare returns what is to be written, and where.
func (f *File[T]) prepare(v T) (path string, content []byte, err error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return "", nil, fmt.Errorf("encode %s: %w", f.path, err)
	}
	path, err = Target(f.path)
	return path, b.Bytes(), err
}

// do takes one step of a write. Tests let it fail, before or after its effect.
func (f *File[T]) do(step string, act func() error) error {
	if f.fault != nil {
		return f.fault(step, act)
	}
	return act()
}

// Target returns the file that path leads to by symbolic links, or path itself.
// Two paths that lead to one file have one target, so a lock that guards the
// file stands beside that. Neither need exist.
func Target(path string) (string, error) {
	target := path
	for range 40 {
		link, err := os.Readlink(target)
		if err != nil {
			return target, nil //nolint:nilerr // not a link; what else is wrong shows when it is opened
		}
		if !filepath.IsAbs(link) {
			dir, err := filepath.EvalSymlinks(filepath.Dir(target)) // where a ".." in the link counts from
			if err != nil {
				return "", err
			}
			link = filepath.Join(dir, link)
		}
		target = link
	}
	return "", fmt.Errorf("%s: too many symbolic links", path)
}

func (f *File[T]) read() ([]byte, fs.FileInfo, error) {
	// Before opening: to open a pipe would wait for its other end.
	info, err := regular(f.path)
	if err != nil {
		return nil, nil, err
	}
	file, err := os.Open(f.path)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxSize+1))
	if err == nil && len(content) > maxSize {
		err = &CorruptError{Path: f.path, Err: errTooLarge}
	}
	return content, info, err
}

// CheckRegular returns an error that wraps [ErrNotRegular] if path, links
// followed, names what is neither read nor replaced. It is for those who take a
// [Lock] first, which has no place beside a device. A missing file is no error;
// what else is wrong shows when the file is used.
func CheckRegular(path string) error {
	if _, err := regular(path); errors.Is(err, ErrNotRegular) {
		return err
	}
	return nil
}

// regular returns what path is, links followed, and an error unless it is a
// regular file.
func regular(path string) (fs.FileInfo, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		kind := "a device, pipe or socket"
		if info.IsDir() {
			kind = "a directory"
		}
		return nil, fmt.Errorf("%s is %s: %w", path, kind, ErrNotRegular)
	}
	return info, nil
}
