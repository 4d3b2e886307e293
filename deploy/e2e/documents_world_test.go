package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// TestMain makes the test binary act as the program that it is called by, for
// TestDocuments.
func TestMain(m *testing.M) {
	if standIn, ok := standIns[filepath.Base(os.Args[0])]; ok {
		w, err := here()
		if err == nil {
			err = standIn(w, os.Args[1:])
		}
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			fmt.Fprintf(os.Stderr, "%s: %v\n", strings.Join(os.Args, " "), err)
			os.Exit(max(exit.ExitCode(), 1))
		} else if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", strings.Join(os.Args, " "), err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// here returns the world that a stand-in is in.
func here() (*world, error) {
	b, err := os.ReadFile(os.Getenv("E2E_WORLD"))
	if err != nil {
		return nil, err
	}
	w := &world{}
	return w, json.Unmarshal(b, w)
}

// enterWorld completes the namespaces that the process was started in, and
// executes the given program.
func enterWorld(w *world, args []string) error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	passwd, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return err
	}
	if err := syscall.Mount(w.Lib, "/var/lib", "", syscall.MS_BIND, ""); err != nil { // a disk, not memory
		return fmt.Errorf("mount /var/lib: %w", err)
	}
	for _, dir := range []string{"/etc", "/run", "/usr/local/bin"} {
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=755"); err != nil {
			return fmt.Errorf("mount %s: %w", dir, err)
		}
	}
	if err := errors.Join(
		os.WriteFile("/etc/passwd", passwd, 0o644),
		os.WriteFile("/etc/hosts", []byte("127.0.0.1 localhost\n"), 0o644),
		os.MkdirAll("/etc/systemd/system", 0o755),
		loopbackUp(),
	); err != nil {
		return err
	}
	path, err := exec.LookPath(args[0])
	if err != nil {
		return err
	}
	return syscall.Exec(path, args, os.Environ())
}

// loopbackUp enables the loopback interface of a new network namespace.
func loopbackUp() error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	var request struct { // struct ifreq
		name  [16]byte
		flags uint16
		_     [22]byte
	}
	copy(request.name[:], "lo")
	request.flags = syscall.IFF_UP | syscall.IFF_RUNNING
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return fmt.Errorf("switch loopback on: %w", errno)
	}
	return nil
}

// note and noted record something for a later command of the page.
func (w *world) note(what string) error {
	return os.WriteFile(w.notePath(what), nil, 0o600)
}

func (w *world) noted(what string) error {
	if _, err := os.Stat(w.notePath(what)); err != nil {
		return fmt.Errorf("%s is missing: no earlier command created it", what)
	}
	return nil
}

func (w *world) notePath(what string) string {
	return filepath.Join(w.State, strings.NewReplacer("/", "∕", " ", "_").Replace(what))
}

// command runs a program until it exits.
func command(env []string, program string, args ...string) error {
	cmd := exec.Command(program, args...)
	cmd.Env = env
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd.Run()
}

// server is a program that runs until it is stopped, and writes to a file.
type server struct {
	cmd   *exec.Cmd
	log   string
	ended chan error
}

func startServer(cmd *exec.Cmd, log string) (*server, error) {
	file, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	cmd.Stdout, cmd.Stderr = file, file
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &server{cmd, log, make(chan error, 1)}
	go func() { s.ended <- cmd.Wait() }()
	return s, nil
}

// wait waits until the server is ready, according to ready or its log. It is an
// error if the server exits first.
func (s *server) wait(ready func(log string) bool) error {
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		said, err := os.ReadFile(s.log)
		if err != nil {
			return err
		}
		if ready(string(said)) {
			return nil
		}
		select {
		case err := <-s.ended:
			return errors.Join(fmt.Errorf("it ended before it served:\n%s", tail(string(said), 20)), err)
		default:
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("it does not serve within %v:\n%s", patience, tail(string(said), 20))
		}
	}
}

// leave starts a server and, when it is ready, leaves it running until the end
// of the page.
func (w *world) leave(ready func(log string) bool, program string, args []string) error {
	s, err := startServer(exec.Command(program, args...), filepath.Join(w.State, filepath.Base(program)+".log"))
	if err != nil {
		return err
	}
	return s.wait(ready)
}

// serve starts a server, waits until it is ready, and stops it as an operator
// does. It must exit with 0.
func (w *world) serve(env []string, ready func(log string) bool, program string, args ...string) error {
	cmd := exec.Command(program, args...)
	cmd.Env = env
	s, err := startServer(cmd, filepath.Join(w.State, "served.log"))
	if err != nil {
		return err
	}
	if err := s.wait(ready); err != nil {
		return err
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return <-s.ended
}

// listening is ready when all addresses accept connections.
func listening(addrs ...string) func(string) bool {
	return func(string) bool {
		for _, addr := range addrs {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				return false
			}
			conn.Close()
		}
		return true
	}
}
