package auth

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"netatmo-agent/agent/logtest"
	"netatmo-agent/auth/authtest"
)

// These variables make a test process the one that is paused.
const (
	pausedFile = "AUTH_TEST_PAUSED_FILE"
	pausedAPI  = "AUTH_TEST_PAUSED_API"
)

// A process may be stopped for longer than a token request may take: docker
// pause, a frozen VM. By then Netatmo has rotated the pair, and its answer is
// in the socket.
func TestAPausedProcessKeepsItsLogin(t *testing.T) {
	t.Parallel()
	r := newRig(t, authtest.Options{})
	asked, resumed := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		close(asked)
		<-resumed // the process is stopped now
		r.server.ServeHTTP(w, request)
	}))
	defer server.Close()
	r.putPair(r.server.Grant(), -time.Hour)

	child := exec.Command(os.Args[0], "-test.run=^TestPausedProcess$")
	child.Env = append(os.Environ(), pausedFile+"="+r.path, pausedAPI+"="+server.URL)
	var out strings.Builder
	child.Stdout, child.Stderr = &out, &out
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- child.Wait() }()
	select {
	case <-asked:
	case err := <-ended:
		t.Fatalf("%v\n%s", err, out.String())
	}
	if err := child.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	waitForState(t, child.Process.Pid, "T")
	close(resumed)
	time.Sleep(pausedPatience + time.Second) // the pause itself
	if err := child.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if !r.onDisk(r.server.Current()) {
		t.Error("the new pair is not on the disk")
	}
}

// pausedPatience is how long the paused process waits for a token request.
const pausedPatience = askTimeout / time.Second * pausedTick //nolint:durationcheck // as many ticks as seconds

const pausedTick = 20 * time.Millisecond

// waitForState waits until a process is in a state of proc_pid_stat(5).
func waitForState(t *testing.T, pid int, state string) {
	t.Helper()
	for {
		stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(stat), ") ")
		if strings.HasPrefix(rest, state) {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// TestPausedProcess is the process that the test above pauses.
func TestPausedProcess(t *testing.T) {
	path := os.Getenv(pausedFile)
	if path == "" {
		return
	}
	patienceTick = pausedTick
	r := &rig{T: t, path: path, client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, logs: &logtest.Log{}}
	cfg := r.config()
	cfg.APIURL = os.Getenv(pausedAPI)
	s, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Token(t.Context()); err != nil {
		t.Fatal(errors.Join(err, errors.New(r.logs.String())))
	}
}
