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

// Probe is what [File.Probe] found out.
type Probe struct {
	Created     bool        // the directory was missing and has been created with mode 0700
	Narrowed    fs.FileMode // the mode before it was narrowed to 0600; 0 if it was no wider
	OtherOwner  bool        // the file belonged to another user than this process runs as
	InPlaceOnly bool        // the file cannot be replaced, but written over with Overwrite
	Why         error       // why not: EBUSY is a file that is a mount point of its own, ENOSPC or EDQUOT a full disk
}

// Probe proves at start that a later Save or Overwrite will work, by replacing
// the file with its own content; where one is missing, or too large to be ours,
// another name is tried. It creates the directory and narrows the mode, unless the file
// holds no JSON. An error says what is wrong and what to do about it.
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
	if owner, ok := info.Sys().(*syscall.Stat_t); ok {
		p.OtherOwner = int(owner.Uid) != os.Geteuid()
	}
	if err := f.replace(path, content); err != nil {
		if !errors.Is(err, syscall.EBUSY) && !full(err) {
			return p, err
		}
		p.InPlaceOnly, p.Why = true, err
		if err := f.do("overwrite", func() error { return overwrite(path, content) }); err != nil {
			return p, err
		}
	}
	// A new file has 0600. An old one its owner alone can change, and where that
	// is not us OtherOwner says so.
	switch mode := info.Mode().Perm(); {
	case mode&^0o600 == 0:
	case ours(content):
		if !p.InPlaceOnly || os.Chmod(path, 0o600) == nil {
			p.Narrowed = mode
		}
	case !p.InPlaceOnly:
		return p, os.Chmod(path, mode)
	}
	return p, nil
}

// ours reports whether content can be a document of this package. The path may
// be wrong, and the file one that others have to read.
func ours(content []byte) bool { return len(bytes.TrimSpace(content)) == 0 || json.Valid(content) }

// probeNew tries a new file of one block: an empty one fits on a full disk too.
func (f *File[T]) probeNew(path string) error {
	if err := f.replace(path, make([]byte, 4096)); err != nil {
		return err
	}
	return os.Remove(path)
}
