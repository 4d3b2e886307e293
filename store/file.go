package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
)

// CorruptError reports that a file's content is not a JSON document of the
// expected form. The file is unchanged.
type CorruptError struct {
	Path string
	Err  error
}

func (e *CorruptError) Error() string { return fmt.Sprintf("%s is damaged: %v", e.Path, e.Err) }

func (e *CorruptError) Unwrap() error { return e.Err }

// maxSize bounds what is read. Our documents have kilobytes, and hardly more than
// a megabyte for the largest accounts.
const maxSize = 16 << 20

// File is a JSON document of type T in a file of mode 0600. It follows a path
// that is a symbolic link, as [Target] does. A File is not safe for concurrent
// use; processes that share the file take turns with a [Lock].
type File[T any] struct {
	path  string
	fault func(step string, act func() error) error // only set by tests
}

// New returns the File at path, which need not exist. It does not access the disk.
func New[T any](path string) *File[T] { return &File[T]{path: path} }

// Load reads the document. The error is an [fs.ErrNotExist] if the file is
// missing or blank, [ErrNotRegular], or a *[CorruptError].
func (f *File[T]) Load() (T, error) {
	var v, none T
	content, _, err := f.read()
	if err != nil {
		return none, err
	}
	// Windows editors write a byte order mark before the text.
	content = bytes.TrimPrefix(content, []byte("\ufeff"))
	if len(bytes.TrimSpace(content)) == 0 {
		return none, fmt.Errorf("%s is empty: %w", f.path, fs.ErrNotExist)
	}
	if err := json.Unmarshal(content, &v); err != nil {
		return none, &CorruptError{Path: f.path, Err: err}
	}
	return v, nil
}

// Save replaces the document atomically and durably: after nil the file holds the
// new document, even if the power fails, and after an error the old or the new
// one. It creates a missing directory with mode 0700. Errors of all methods that
// write say what is wrong and what to do about it.
func (f *File[T]) Save(v T) error {
	path, content, err := f.prepare(v)
	if err != nil {
		return err
	}
	return explain(f.replace(path, content, nil, 0o600))
}

// Overwrite durably writes the document over the old content. It needs neither a
// new block on the disk nor a rename, so it works on a full disk and on a file
// that is a mount point. A power cut in the middle can damage the file. The file
// must exist.
func (f *File[T]) Overwrite(v T) error {
	path, content, err := f.prepare(v)
	if err != nil {
		return err
	}
	return explain(f.do("overwrite", func() error { return overwrite(path, content) }))
}

// prepare returns the encoded document and the path to write it to.
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

// do runs one step of a write. Tests make it fail, before or after its effect.
func (f *File[T]) do(step string, act func() error) error {
	if f.fault != nil {
		return f.fault(step, act)
	}
	return act()
}

// read returns the current content, whatever it is.
func (f *File[T]) read() ([]byte, fs.FileInfo, error) {
	path, err := Target(f.path)
	if err != nil {
		return nil, nil, err
	}
	content, info, err := read(path, false, maxSize)
	if errors.Is(err, errTooLarge) {
		err = &CorruptError{Path: f.path, Err: fmt.Errorf("%w: the agent writes files of less than %d MiB", err, maxSize>>20)}
	}
	return content, info, err
}
