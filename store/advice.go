package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

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
		return fmt.Errorf("%w: part of the path is a file, not a directory", err)
	case errors.Is(err, syscall.ENOLCK), errors.Is(err, errors.ErrUnsupported):
		return fmt.Errorf("%w: this file system does not support locks: choose a path on a local one", err)
	}
	return err
}
