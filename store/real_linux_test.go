package store_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"netatmo-agent/store"
)

// asNobody runs act without root's privileges on files, on a thread that ends
// afterwards. If the tests do not run as root, it just runs act.
func asNobody(act func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		if os.Geteuid() == 0 {
			runtime.LockOSThread()
			_ = syscall.Setfsgid(65534)
			_ = syscall.Setfsuid(65534)
		}
		act()
	}()
	<-done
}

// open returns a directory that every user may enter.
func open(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(dir, 0o700) })
	return dir
}

func TestErrorsInAReadOnlyDirectorySayWhatToDo(t *testing.T) {
	dir := open(t)
	path := filepath.Join(dir, "doc.json")
	if err := os.WriteFile(path, []byte(`{"text":"old"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	asNobody(func() {
		_, probeErr := store.New[doc](path).Probe()
		_, belowErr := store.New[doc](filepath.Join(dir, "below", "doc.json")).Probe()
		_, newErr := store.New[doc](filepath.Join(dir, "new.json")).Probe()
		_, lockErr := store.TryLock(filepath.Join(dir, "token.lock"))
		for what, err := range map[string]error{
			"probe": probeErr, "probe below": belowErr, "probe of a new file": newErr, "lock": lockErr,
			"save": store.New[doc](path).Save(doc{newText}),
		} {
			if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "chown") {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
	if load(t, path) != oldText {
		t.Error("the document is gone")
	}
}

func TestProbeFailsIfTheFileCannotBeRead(t *testing.T) {
	dir := open(t)
	path := filepath.Join(dir, "doc.json")
	if err := os.WriteFile(path, []byte(`{"text":"old"}`), 0o000); err != nil {
		t.Fatal(err)
	}
	asNobody(func() {
		if _, err := store.New[doc](path).Probe(); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), path) {
			t.Error(err)
		}
	})
}

// A command run with sudo leaves a user's file to that user. If the tests do not
// run as root, /etc/passwd is the other user's file.
func TestRootLeavesAFileToItsOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		if p, _ := store.New[doc]("/etc/passwd").Probe(); !p.OtherOwner {
			t.Errorf("%+v", p)
		}
		return
	}
	dir := open(t)
	path := filepath.Join(dir, "doc.json")
	f := store.New[doc](path)
	if err := f.Save(doc{oldText}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{dir, path} {
		if err := os.Chown(name, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	if p, err := f.Probe(); err != nil || !p.OtherOwner {
		t.Errorf("%+v, %v", p, err)
	}
	if err := f.Save(doc{newText}); err != nil {
		t.Fatal(err)
	}
	lock, err := store.TryLock(filepath.Join(dir, "token.lock"))
	if err != nil {
		t.Fatal(err)
	}
	_ = lock.Unlock()
	asNobody(func() {
		if load(t, path) != newText {
			t.Error("its owner does not find the new document")
		}
		if err := f.Save(doc{oldText}); err != nil {
			t.Errorf("its owner can no longer save: %v", err)
		}
		lock, err := store.TryLock(filepath.Join(dir, "token.lock"))
		if err != nil {
			t.Errorf("the directory's owner cannot lock: %v", err)
			return
		}
		_ = lock.Unlock()
	})
}

// inNamespace runs act in a mount namespace of its own. It reports false if that
// is not allowed here; probe_test.go injects the same errors.
func inNamespace(act func()) bool {
	done := make(chan struct{})
	ok := false
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with its namespace
		ok = syscall.Unshare(syscall.CLONE_NEWNS) == nil &&
			syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "") == nil
		if ok {
			act()
		}
	}()
	<-done
	return ok
}

func TestRealMounts(t *testing.T) {
	dir := t.TempDir()
	allowed := inNamespace(func() {
		bindMounted(t, filepath.Join(dir, "bind"))
		fullDisk(t, filepath.Join(dir, "full"))
		readOnly(t, filepath.Join(dir, "ro"))
	})
	if !allowed {
		t.Log("mounting is not allowed here; probe_test.go injects the same errors")
	}
}

func bindMounted(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path, source := filepath.Join(dir, "doc.json"), filepath.Join(dir, "source.json")
	for _, name := range []string{path, source} {
		if err := os.WriteFile(name, []byte(`{"text":"old"}`), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mount(source, path, "", syscall.MS_BIND, ""); err != nil {
		t.Error(err)
		return
	}
	f := store.New[doc](path)
	p, err := f.Probe()
	if err != nil || !p.InPlaceOnly || !errors.Is(p.Why, syscall.EBUSY) || p.Narrowed != 0o640 {
		t.Errorf("%+v, %v", p, err)
	}
	if err := f.Save(doc{newText}); !errors.Is(err, syscall.EBUSY) {
		t.Errorf("save: %v", err)
	}
	if err := f.Overwrite(doc{newText}); err != nil {
		t.Error(err)
	}
	if load(t, source) != newText {
		t.Error("the new document is not in the file behind the mount")
	}
	only(t, dir, "doc.json", "source.json")
}

func fullDisk(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Error(err)
		return
	}
	path := filepath.Join(dir, "doc.json")
	f := store.New[doc](path)
	if err := f.Save(doc{oldText}); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "filler"), make([]byte, 1<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("the disk is not full: %v", err)
	}
	p, err := f.Probe()
	if err != nil || !p.InPlaceOnly || !errors.Is(p.Why, syscall.ENOSPC) {
		t.Errorf("%+v, %v", p, err)
	}
	if err := f.Save(doc{newText}); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "free some space") {
		t.Errorf("save: %v", err)
	}
	if load(t, path) != oldText {
		t.Error("a save that failed changed the document")
	}
	if err := f.Overwrite(doc{newText}); err != nil {
		t.Error(err)
	}
	if load(t, path) != newText {
		t.Error("the new document is not there")
	}
	if _, err := store.New[doc](filepath.Join(dir, "new.json")).Probe(); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "free some space") {
		t.Errorf("a new file on a full disk: %v", err)
	}
	only(t, dir, "doc.json", "filler")
}

func readOnly(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("none", dir, "tmpfs", syscall.MS_RDONLY, ""); err != nil {
		t.Error(err)
		return
	}
	if _, err := store.New[doc](filepath.Join(dir, "doc.json")).Probe(); !errors.Is(err, syscall.EROFS) || !strings.Contains(err.Error(), "writable") {
		t.Errorf("probe: %v", err)
	}
	if _, err := store.TryLock(filepath.Join(dir, "token.lock")); !errors.Is(err, syscall.EROFS) {
		t.Errorf("lock: %v", err)
	}
}
