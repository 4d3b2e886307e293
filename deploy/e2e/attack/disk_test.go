package attack

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"netatmo-agent/deploy/e2e"
)

// shortLife is the lifetime of an access token in attacks on renewals. At least
// two renewals are due during renewals.
const (
	shortLife = 10 * time.Second
	renewals  = 25 * time.Second
)

// mounted mounts a disk at the agent's directory, visible only to this test and
// the agent.
func (s *scene) mounted(options string) (dir string) {
	s.t.Helper()
	dir = filepath.Dir(s.agent.TokenFile())
	must(s, os.MkdirAll(dir, 0o700))
	s.mount(dir, options)
	return dir
}

func (s *scene) mount(dir, options string) {
	s.t.Helper()
	runtime.LockOSThread() // never unlocked: the thread ends with the test, and its mounts with the thread
	must(s, syscall.Unshare(syscall.CLONE_NEWNS))
	must(s, syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""))
	must(s, syscall.Mount("none", dir, "tmpfs", 0, options))
	s.t.Cleanup(func() { must(s, syscall.Unmount(dir, syscall.MNT_DETACH)) })
}

// renewing gives the scene a cloud whose access tokens expire after shortLife.
func (s *scene) renewing() {
	o := options()
	o.TokenLife = shortLife
	s.world(o)
}

// fill uses up a disk's space.
func fill(s *scene, dir string) (undo func()) {
	s.t.Helper()
	path := filepath.Join(dir, "hog")
	f, err := os.Create(path)
	must(s, err)
	defer f.Close()
	for err == nil {
		_, err = f.Write(bytes.Repeat([]byte("x"), 4096))
	}
	for err = nil; err == nil; {
		_, err = f.Write([]byte("x"))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		s.t.Fatal(err)
	}
	return func() { must(s, os.Remove(path)) }
}

// crowd uses up a disk's inodes.
func crowd(s *scene, dir string) (undo func()) {
	s.t.Helper()
	var names []string
	for i := 0; ; i++ {
		name := filepath.Join(dir, fmt.Sprint("hog", i))
		if err := os.WriteFile(name, nil, 0o600); errors.Is(err, syscall.ENOSPC) {
			break
		} else if err != nil {
			s.t.Fatal(err)
		}
		names = append(names, name)
	}
	return func() {
		for _, name := range names {
			must(s, os.Remove(name))
		}
	}
}

// readOnly makes a disk read-only.
func readOnly(s *scene, dir string) (undo func()) {
	s.t.Helper()
	busy := func() bool { // the agent writes at this moment
		return errors.Is(syscall.Mount("none", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""), syscall.EBUSY)
	}
	s.eventually("leaves the disk alone", func() bool { return !busy() })
	return func() { must(s, syscall.Mount("none", dir, "", syscall.MS_REMOUNT, "")) }
}

// diskAttacks make the disk unusable while the agent renews its token.
func diskAttacks() (all []attack) {
	for name, spoil := range map[string]func(s *scene, dir string) (undo func()){
		"full": fill, "without inodes": crowd, "read-only": readOnly,
	} {
		all = append(all, attack{"disk", name, func(s *scene) {
			s.renewing()
			dir := s.mounted("size=128k,nr_inodes=16,mode=700")
			s.healthy()
			undo := spoil(s, dir)
			time.Sleep(renewals)
			undo()
			s.recovers()
			s.eventually("saves the login", s.saved)
		}})
	}
	all = append(all, attack{"disk", "no directory for temporary files", func(s *scene) {
		s.set(e2e.Env{"TMPDIR": filepath.Join(s.t.TempDir(), "none")})
		s.healthy()
		var said logbook
		probe := start(s.t, s.agent.Env, &said, &s.peak, "check", "--live")
		if code := probe.wait(patience); code != 0 {
			s.t.Errorf("check --live: exit code %d, want 0\n%s", code, said.text())
		}
		s.recovers()
	}})
	return append(all, attack{"disk", "full under the log", func(s *scene) {
		s.renewing()
		dir := s.t.TempDir()
		s.mount(dir, "size=64k,mode=700")
		f, err := os.OpenFile(filepath.Join(dir, "log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		must(s, err)
		defer f.Close()
		s.set(e2e.Env{"NETATMO_LOG_LEVEL": "debug"})
		s.logIn()
		s.program = start(s.t, s.agent.Env, f, &s.peak)
		s.eventually("pushes readings", func() bool { return !s.backend.newest().IsZero() })
		undo := fill(s, dir)
		for err == nil { // the last page of the log
			_, err = f.WriteString("\n")
		}
		s.advances(2)
		undo()
		s.recovers()
		text, err := os.ReadFile(f.Name())
		must(s, err)
		if !bytes.Contains(text, []byte("log lines were dropped because the log could not be written")) {
			s.t.Error("the log does not say that lines are missing")
		}
		_, _ = s.log.Write(text)
	}})
}

// advances waits for this number of new measurements at the backend.
func (s *scene) advances(times int) {
	s.t.Helper()
	for range times {
		before := s.backend.newest()
		s.eventually("pushes new readings", func() bool { return s.backend.newest().After(before) })
	}
}

// faults are errors of system calls that strace injects. Those with ofPaths hit
// only the token file and its temporary successor.
var faults = []struct {
	name, inject string
	ofPaths      bool
}{
	{"fsync fails", "fsync,fdatasync:error=EIO", false},
	{"write to the token file fails", "write,pwrite64:error=EIO", true},
	{"no space for the token file", "write,pwrite64:error=ENOSPC", true},
	{"open fails", "openat:error=EIO", false},
	{"no descriptor is left to open", "openat:error=EMFILE", false},
	{"rename fails", "rename,renameat,renameat2:error=EIO", false},
	{"flock fails", "flock,fcntl:error=ENOLCK", false},
	{"unlink fails", "unlink,unlinkat:error=EPERM", false},
	{"fsync takes a second", "fsync:delay_enter=1000000", false},
}

// faultAttacks make system calls fail while the agent renews its token.
func faultAttacks() (all []attack) {
	for _, f := range faults {
		all = append(all, attack{"system", f.name, func(s *scene) {
			s.renewing()
			s.healthy()
			args := []string{"-f", "-qq", "-o", "/dev/null", "-p", fmt.Sprint(s.program.cmd.Process.Pid)}
			calls, _, _ := strings.Cut(f.inject, ":")
			args = append(args, "-e", "trace="+calls, "-e", "inject="+f.inject)
			if f.ofPaths {
				args = append(args, "-P", s.agent.TokenFile(), "-P", s.agent.TokenFile()+".tmp")
			}
			tracer := exec.Command("strace", args...)
			var said bytes.Buffer
			tracer.Stderr = &said
			must(s, tracer.Start())
			time.Sleep(renewals)
			_ = tracer.Process.Signal(syscall.SIGTERM)
			_ = tracer.Wait() // ended by a signal
			if said.Len() > 0 {
				s.t.Fatalf("strace: %s", said.String())
			}
			s.recovers()
			s.eventually("saves the login", s.saved)
		}})
	}
	return all
}
