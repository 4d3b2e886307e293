package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Probe is the result of [File.Probe].
type Probe struct {
	Created     bool        // the directory was missing and was created with mode 0700
	Narrowed    fs.FileMode // the mode before it was narrowed to 0600; 0 if it was no wider
	OtherOwner  bool        // the file belongs to another user than the one this process runs as
	InPlaceOnly bool        // Save fails, but Overwrite works
	Why         error       // Save fails: EBUSY for a mount point, ENOSPC or EDQUOT for a full disk
}

// Probe checks at startup that a later Save or Overwrite will work, by replacing
// the file with a copy. If the file is missing or too large to be ours, it
// creates and removes a file beside it. Probe creates the directory, and narrows
// the mode of a file that is blank or JSON to 0600.
func (f *File[T]) Probe() (Probe, error) {
	p, err := f.probe()
	return p, explain(err)
}

func (f *File[T]) probe() (p Probe, err error) {
	path, err := Target(f.path)
	if err != nil {
		return p, err
	}
	if p.Created, err = makeDir(filepath.Dir(path)); err != nil {
		return p, err
	}
	content, info, err := f.read()
	if _, corrupt := errors.AsType[*CorruptError](err); corrupt || errors.Is(err, fs.ErrNotExist) {
		return p, f.probeNew(path + ".probe")
	}
	if err != nil {
		return p, err
	}
	if owner, _, known := ownerOf(info); known {
		p.OtherOwner = owner != os.Geteuid()
	}
	old, want := permissions(info), fs.FileMode(0o600)
	if !ours(content) {
		want = old
	}
	if err := f.replace(path, content, nil, want); err != nil {
		if !errors.Is(err, syscall.EBUSY) && !full(err) {
			return p, err
		}
		p.InPlaceOnly, p.Why = true, err
		if err := f.do("overwrite", func() error { return overwrite(path, content) }); err != nil {
			return p, err
		}
	}
	// In place, only the owner can change the mode; OtherOwner reports another one.
	if old&^want != 0 && (!p.InPlaceOnly || narrow(path) == nil) {
		p.Narrowed = old
	}
	return p, nil
}

// ours reports whether content can be a document of this package. If the path is
// wrong, it may lead to a file that others must be able to read.
func ours(content []byte) bool { return len(bytes.TrimSpace(content)) == 0 || json.Valid(content) }

// probeNew creates and removes a file of one block: an empty one would fit even
// on a full disk.
func (f *File[T]) probeNew(path string) error {
	if err := f.replace(path, make([]byte, 4096), nil, 0o600); err != nil {
		return err
	}
	return os.Remove(path)
}
