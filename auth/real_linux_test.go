package auth

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"netatmo-agent/auth/authtest"
)

// inNamespace runs act where it may mount, invisible to other processes, and
// reports whether that is allowed here. If it is not, save_test.go tests the
// same with injected faults.
func inNamespace(act func()) (allowed bool) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with its namespace
		allowed = syscall.Unshare(syscall.CLONE_NEWNS) == nil &&
			syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "") == nil
		if allowed {
			act()
		}
	}()
	<-done
	return allowed
}

func TestRealMounts(t *testing.T) {
	if !inNamespace(func() {
		aFileMountedAlone(newRig(t, authtest.Options{}))
		aDiskThatFillsUp(newRig(t, authtest.Options{}))
	}) {
		t.Log("no mounts here")
	}
}

func aFileMountedAlone(r *rig) {
	host := filepath.Join(filepath.Dir(r.path), "on-the-host.json")
	r.putPair(r.server.Grant(), -time.Hour)
	content, _ := os.ReadFile(r.path)
	if err := os.WriteFile(host, content, 0o600); err != nil {
		r.Error(err)
	}
	if err := syscall.Mount(host, r.path, "", syscall.MS_BIND, ""); err != nil {
		r.Error(err)
		return
	}
	s, err := New(r.Context(), r.config())
	if err != nil {
		r.Error(err)
		return
	}
	r.wantLogged("WARN", "mount its directory")
	if _, err := s.Token(r.Context()); err != nil || s.Status().Unsaved || !r.onDisk(r.server.Current()) {
		r.Errorf("not renewed and saved: %v", err)
	}
	r.path = host
	if !r.onDisk(r.server.Current()) {
		r.Error("the new pair is not in the file on the host")
	}
	if r.logged("WARN", "overwritten in place; fix") != 0 {
		r.Error("the same thing is logged twice")
	}
}

func aDiskThatFillsUp(r *rig) {
	dir := filepath.Dir(r.path)
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=64k"); err != nil {
		r.Error(err)
		return
	}
	r.putPair(r.server.Grant(), -time.Hour)
	s, err := New(r.Context(), r.config())
	if err != nil {
		r.Error(err)
		return
	}
	if err := os.WriteFile(filepath.Join(dir, "filler"), make([]byte, 1<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		r.Errorf("the disk is not full: %v", err)
	}
	if _, err := s.Token(r.Context()); err != nil || s.Status().Unsaved || !r.onDisk(r.server.Current()) {
		r.Errorf("not renewed and saved: %v", err)
	}
	r.wantLogged("WARN", "no space left")
	// A start on a full disk works too.
	if _, err := New(r.Context(), r.config()); err != nil {
		r.Error(err)
	}
}
