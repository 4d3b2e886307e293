package store_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"netatmo-agent/store"
)

func TestProbeCreatesNoFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "doc.json")
	p, err := store.New[doc](path).Probe()
	if err != nil || !p.Created || p.InPlaceOnly || p.Narrowed != 0 || p.OtherOwner {
		t.Errorf("%+v, %v", p, err)
	}
	if m := mode(t, filepath.Dir(path), 0o700); m != 0o700 {
		t.Errorf("directory mode %o", m)
	}
	only(t, filepath.Dir(path))
}

func TestProbeReplacesTheFileWithACopy(t *testing.T) {
	for _, content := range []string{`{"text":"old"}`, "", "{damaged", "\xff\xfe"} {
		path := filepath.Join(t.TempDir(), "doc.json")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		before, _ := os.Stat(path)
		if p, err := store.New[doc](path).Probe(); err != nil || p != (store.Probe{}) {
			t.Errorf("%q: %+v, %v", content, p, err)
		}
		after, _ := os.Stat(path)
		if os.SameFile(before, after) {
			t.Errorf("%q: not replaced, so the probe proves nothing", content)
		}
		if now, _ := os.ReadFile(path); !bytes.Equal(now, []byte(content)) {
			t.Errorf("%q became %q", content, now)
		}
		only(t, filepath.Dir(path), "doc.json")
	}
}

// Renaming over a bind-mounted file returns EBUSY, creating a file on a full disk
// ENOSPC. real_linux_test.go does both for real.
func TestProbeReportsThatOnlyOverwriteWorks(t *testing.T) {
	for step, errno := range map[string]syscall.Errno{"rename": syscall.EBUSY, "write": syscall.ENOSPC} {
		f, path := saved(t)
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
		f.SetFault(func(at string, act func() error) error {
			if at == step {
				return errno
			}
			return act()
		})
		narrowed := mode(t, path, 0)
		p, err := f.Probe()
		if err != nil || !p.InPlaceOnly || !errors.Is(p.Why, errno) || p.Narrowed != narrowed {
			t.Errorf("%v: %+v, %v", errno, p, err)
		}
		if load(t, path) != oldText || mode(t, path, 0o600) != 0o600 {
			t.Errorf("%v: the document or its mode is wrong", errno)
		}
		only(t, filepath.Dir(path), "doc.json")
	}
}

func TestProbeFailsWhenNothingWorks(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EROFS, syscall.EIO} {
		f, path := saved(t)
		f.SetFault(func(string, func() error) error { return errno })
		if _, err := f.Probe(); !errors.Is(err, errno) {
			t.Errorf("%v: %v", errno, err)
		}
		if load(t, path) != oldText {
			t.Errorf("%v: the document is gone", errno)
		}
	}
	_, path := saved(t)
	if _, err := store.New[doc](filepath.Join(path, "below", "doc.json")).Probe(); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("below a file: %v", err)
	}
}

// The path may be wrong and lead to an archive.
func TestProbeKeepsALargeFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "archive.tar")
	content := bytes.Repeat([]byte("x"), 17<<20)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.New[doc](path).Probe(); err != nil {
		t.Error(err)
	}
	if after, err := os.Stat(path); err != nil || after.Size() != int64(len(content)) {
		t.Errorf("%d bytes are left, %v", after.Size(), err)
	}
}

// The path may be wrong and lead to a file that others must be able to read.
func TestProbeKeepsTheModeOfAForeignFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "passwd")
	if err := os.WriteFile(path, []byte("root:x:0:0::/root:/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if p, err := store.New[doc](path).Probe(); err != nil || p.Narrowed != 0 || mode(t, path, 0o644) != 0o644 {
		t.Errorf("%+v, %v, mode %o", p, err, mode(t, path, 0o644))
	}
}
