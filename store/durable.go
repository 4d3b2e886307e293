package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// replace puts a new file with this content in the place of path:
//
//	mkdir(dir, 0700)              if it is missing, and fsync of its parent
//	unlink(tmp)                   left over by a crash
//	open(tmp, O_CREAT|O_EXCL, 0600), fchown, write, fsync, close
//	                              the content is on the disk before it has the name
//	rename(tmp, path)             atomic: the old file or the new one
//	fsync(dir)                    the name is on the disk
//
// On any error tmp is removed again.
func (f *File[T]) replace(path string, content []byte) (err error) {
	dir, tmp := filepath.Dir(path), path+".tmp"
	if _, err := makeDir(dir); err != nil {
		return err
	}
	like, err := regular(path)
	if errors.Is(err, fs.ErrNotExist) {
		like, err = os.Stat(dir)
	}
	if err != nil {
		return err
	}
	_ = os.Remove(tmp)
	defer func() {
		if err != nil {
			_ = os.Remove(tmp)
		}
	}()
	if err := f.do("write", func() error { return create(tmp, content, like) }); err != nil {
		return err
	}
	if err := f.do("rename", func() error { return os.Rename(tmp, path) }); err != nil {
		return err
	}
	return f.do("fsync directory", func() error { return syncDir(dir) })
}

func create(path string, content []byte, like fs.FileInfo) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	giveTo(file, like)
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// overwrite writes content over the file at path with one write, padded with
// blanks to the old length; only then is the rest cut off.
func overwrite(path string, content []byte) (err error) {
	info, err := regular(path)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	padded := append([]byte(nil), content...)
	for int64(len(padded)) < info.Size() {
		padded = append(padded, ' ')
	}
	if _, err := file.WriteAt(padded, 0); err != nil {
		return err
	}
	if err := file.Sync(); err != nil || len(padded) == len(content) {
		return err
	}
	if err := file.Truncate(int64(len(content))); err != nil {
		return err
	}
	return file.Sync()
}

// makeDir creates dir and its parents with mode 0700, durably, and reports
// whether there was anything to create.
func makeDir(dir string) (created bool, err error) {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return false, nil
	} else if err == nil {
		return false, &fs.PathError{Op: "mkdir", Path: dir, Err: syscall.ENOTDIR}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	parent := filepath.Dir(dir)
	if _, err := makeDir(parent); err != nil {
		return false, err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return false, err
	}
	return true, syncDir(parent)
}

// syncDir makes the names in dir durable. Some network file systems cannot, and
// say so by EINVAL or ENOTSUP; nothing more can be done on them.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if errors.Is(err, fs.ErrPermission) {
		return nil // may be searched and written, but not read
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

// giveTo lets root create a file for the user who owns like. Otherwise a single
// command under sudo would lock a service that runs as another user out of its
// own file. Only root can give files away, so errors do not matter.
func giveTo(file *os.File, like fs.FileInfo) {
	if owner, ok := like.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		_ = file.Chown(int(owner.Uid), int(owner.Gid))
	}
}

// explain adds to the error of a file operation what the user can do about it.
func explain(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: let user id %d read and write there (chown), or choose another path", err, os.Geteuid())
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w: mount it writable, or choose another path", err)
	case full(err):
		return fmt.Errorf("%w: free some space", err)
	case errors.Is(err, ErrNotRegular):
		return fmt.Errorf("%w: give the path of a file", err)
	case errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%w: a part of the path is a file where a directory is needed", err)
	case errors.Is(err, syscall.ENOLCK), errors.Is(err, errors.ErrUnsupported):
		return fmt.Errorf("%w: this file system knows no locks; choose a path on a local one", err)
	}
	return err
}

func full(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
