package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Target returns the file that path leads to by symbolic links, or path itself.
// Paths that lead to the same file have the same target, so put a lock for the
// file beside its target. Neither has to exist.
//
// Root follows another user's link only to a file of that user. Otherwise that
// user could make root read and change any file.
func Target(path string) (string, error) {
	target := path
	var links []fs.FileInfo
	for range 40 {
		info, err := os.Lstat(target)
		if err != nil || info.Mode()&fs.ModeSymlink == 0 {
			return target, checkLinks(path, target, links) // other errors show when it is opened
		}
		links = append(links, info)
		link, err := os.Readlink(target)
		if err != nil {
			return "", err
		}
		if !filepath.IsAbs(link) {
			dir, err := filepath.EvalSymlinks(filepath.Dir(target)) // a ".." in the link is relative to the real directory
			if err != nil {
				return "", err
			}
			link = filepath.Join(dir, link)
		}
		target = link
	}
	return "", fmt.Errorf("%s: too many symbolic links", path)
}

// checkLinks returns an error if we are root and a link between path and target
// belongs to another user, but the target does not.
func checkLinks(path, target string, links []fs.FileInfo) error {
	if os.Geteuid() != 0 {
		return nil
	}
	for _, link := range links {
		maker, _, known := ownerOf(link)
		if !known || maker == 0 {
			continue
		}
		info, err := nearest(target)
		if err != nil {
			return err
		}
		if owner, _, _ := ownerOf(info); owner != maker {
			return fmt.Errorf("%s is a symbolic link of user id %d to %s, which belongs to user id %d: remove the link, or name the file itself", path, maker, target, owner)
		}
	}
	return nil
}

// nearest describes the file at path or, if that does not exist, the nearest
// directory above it that does.
func nearest(path string) (fs.FileInfo, error) {
	for {
		info, err := os.Stat(path)
		if parent := filepath.Dir(path); errors.Is(err, fs.ErrNotExist) && parent != path {
			path = parent
			continue
		}
		return info, err
	}
}
