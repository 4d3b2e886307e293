package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// TestMain lets the test binary be what it is called by, for TestDocuments.
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

// here is the world that a stand-in is in.
func here() (*world, error) {
	b, err := os.ReadFile(os.Getenv("E2E_WORLD"))
	if err != nil {
		return nil, err
	}
	w := &world{}
	return w, json.Unmarshal(b, w)
}

// enterWorld completes the namespaces that the process was started in, and
// becomes the program that it is given.
func enterWorld(_ *world, args []string) error {
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
	for _, dir := range []string{"/etc", "/run", "/var/lib", "/usr/local/bin"} {
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

// loopbackUp switches the loopback of a new network namespace on.
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

// note and noted remember something for a later command of the page.
func (w *world) note(what string) error {
	return os.WriteFile(w.notePath(what), nil, 0o600)
}

func (w *world) noted(what string) error {
	if _, err := os.Stat(w.notePath(what)); err != nil {
		return fmt.Errorf("%s is not there: no command before it made it so", what)
	}
	return nil
}

func (w *world) notePath(what string) string {
	return filepath.Join(w.State, strings.NewReplacer("/", "∕", " ", "_").Replace(what))
}

// command runs a program to its end.
func command(env []string, program string, args ...string) error {
	cmd := exec.Command(program, args...)
	cmd.Env = env
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd.Run()
}

// serve starts a server, waits until it is ready, and ends it as an operator
// does. It must end with 0.
func serve(env []string, ready func(output string) bool, program string, args ...string) error {
	var said watched
	cmd := exec.Command(program, args...)
	cmd.Env = env
	cmd.Stdout, cmd.Stderr = io.MultiWriter(os.Stdout, &said), io.MultiWriter(os.Stderr, &said)
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for deadline := time.Now().Add(patience); !ready(said.String()); time.Sleep(50 * time.Millisecond) {
		select {
		case err := <-ended:
			return fmt.Errorf("ended before it was ready: %w", errors.Join(err, errors.New("a server runs until it is stopped")))
		default:
		}
		if time.Now().After(deadline) {
			_ = cmd.Process.Kill()
			return fmt.Errorf("not ready within %v: %w", patience, <-ended)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return <-ended
}

// listening is ready when all addresses take connections.
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

// watched keeps what a process writes while others read it.
type watched struct {
	mu   sync.Mutex
	text strings.Builder
}

func (w *watched) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(b)
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}
