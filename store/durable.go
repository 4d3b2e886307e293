package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// replace puts a new file with this content in place of the one at path:
//
//	mkdir(dir, 0700)              if it is missing, then fsync its parent
//	unlink(tmp)                   a crash may have left it
//	open(tmp, O_CREAT|O_EXCL, 0600), fchown, fchmod, write, fsync, close
//	                              the content is on the disk before it gets the name
//	rename(tmp, path)             atomic: readers find the old file or the new one
//	fsync(dir)                    the name is on the disk
//
// After an error tmp is removed. The new file has the given mode. Its owner is
// that of like or, if like is nil, of the old file or else of the directory.
func (f *File[T]) replace(path string, content []byte, like fs.FileInfo, mode fs.FileMode) (err error) {
	dir, tmp := filepath.Dir(path), path+".tmp"
	if _, err := makeDir(dir); err != nil {
		return err
	}
	old, err := os.Lstat(path)
	if err == nil {
		err = checkKind(path, old)
	} else if errors.Is(err, fs.ErrNotExist) {
		old, err = os.Stat(dir)
	}
	if err != nil {
		return err
	}
	if like == nil {
		like = old
	}
	_ = os.Remove(tmp)
	defer func() {
		if err != nil {
			_ = os.Remove(tmp)
		}
	}()
	if err := f.do("write", func() error { return create(tmp, content, like, mode) }); err != nil {
		return err
	}
	if err := f.do("rename", func() error { return Rename(tmp, path) }); err != nil {
		return err
	}
	return f.do("fsync directory", func() error { return syncDir(dir) })
}

func create(path string, content []byte, like fs.FileInfo, mode fs.FileMode) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	giveTo(file, like)
	if mode != 0o600 {
		err = file.Chmod(mode)
	}
	if err == nil {
		_, err = file.Write(content)
	}
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// overwrite writes content over the file at path with one write, padded with
// blanks to the old length. It truncates the file only after that is on the disk.
func overwrite(path string, content []byte) (err error) {
	file, info, err := openInPlace(path)
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

// openInPlace opens the file at path to change it in place. Root refuses a hard
// link in another user's directory: that user may have made it to a file that
// only root may change.
func openInPlace(path string) (*os.File, fs.FileInfo, error) {
	file, info, err := openRegular(path, os.O_RDWR, false)
	if err != nil || os.Geteuid() != 0 || hasOneName(info) {
		return file, info, err
	}
	if dir, err := os.Stat(filepath.Dir(path)); err == nil && sameOwner(info, dir) {
		return file, info, nil
	}
	file.Close()
	return nil, nil, fmt.Errorf("%s has more than one name (hard link) and another owner than its directory: replace it with a copy", path)
}

// narrow gives the file at path the mode 0600.
func narrow(path string) error {
	file, _, err := openInPlace(path)
	if err != nil {
		return err
	}
	defer file.Close()
	return file.Chmod(0o600)
}

// makeDir durably creates dir and its missing parents with mode 0700. It reports
// whether it created any.
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

// giveTo gives a file that root has created to the owner of like. Otherwise one
// command run with sudo would lock a service that runs as another user out of
// its own file. A failure leaves the file with root, as on file systems without
// owners.
func giveTo(file *os.File, like fs.FileInfo) {
	if uid, gid, known := ownerOf(like); known && os.Geteuid() == 0 {
		_ = file.Chown(uid, gid)
	}
}

func sameOwner(a, b fs.FileInfo) bool {
	one, _, known := ownerOf(a)
	other, _, _ := ownerOf(b)
	return known && one == other
}
