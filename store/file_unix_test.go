//go:build unix

package store_test

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"netatmo-agent/store"
)

func TestOnlyRegularFilesAreUsed(t *testing.T) {
	dir := t.TempDir()
	pipe, socket := filepath.Join(dir, "pipe"), filepath.Join(dir, "socket")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for _, path := range []string{dir, pipe, socket, "/dev/null"} {
		f := store.New[doc](path)
		_, loadErr := f.Load()
		_, probeErr := f.Probe()
		for what, err := range map[string]error{
			"load": loadErr, "probe": probeErr, "save": f.Save(doc{}), "overwrite": f.Overwrite(doc{}),
			"check": store.CheckRegular(path),
		} {
			if !errors.Is(err, store.ErrNotRegular) || !strings.Contains(err.Error(), path) {
				t.Errorf("%s %s: %v", what, path, err)
			}
		}
	}
	_, path := saved(t)
	for _, path := range []string{path, path + ".missing"} {
		if err := store.CheckRegular(path); err != nil {
			t.Error(err)
		}
	}
}

func TestProbeNarrowsTheMode(t *testing.T) {
	for old, reported := range map[fs.FileMode]fs.FileMode{0o600: 0, 0o400: 0, 0o644: 0o644, 0o777: 0o777, 0o640: 0o640} {
		f, path := saved(t)
		if err := os.Chmod(path, old); err != nil {
			t.Fatal(err)
		}
		p, err := f.Probe()
		if err != nil || p.Narrowed != reported {
			t.Errorf("%o: %+v, %v", old, p, err)
		}
		if m := mode(t, path, 0o600); m != 0o600 {
			t.Errorf("%o became %o", old, m)
		}
	}
}
