package main

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"netatmo-agent/agent/simcloud"
	"netatmo-agent/auth/authtest"
)

// A signal may arrive twice, for example from a supervisor that sends it to the
// process and to its group. The agent then waits for a refresh under way, as
// after one signal: the pair that Netatmo made is on disk when the agent exits.
func TestSignalsWaitForARefresh(t *testing.T) {
	// If these tests run detached, SIGHUP is ignored, and the agent would
	// ignore it too.
	hangUp := make(chan os.Signal, 1)
	signal.Notify(hangUp, syscall.SIGHUP)
	t.Cleanup(func() { signal.Stop(hangUp) })
	for name, signals := range map[string][]os.Signal{
		"the same twice":    {syscall.SIGTERM, syscall.SIGTERM},
		"a closed terminal": {syscall.SIGHUP},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cloud := simcloud.New(simcloud.Options{ClientID: "id", ClientSecret: "secret"})
			server := httptest.NewServer(cloud)
			t.Cleanup(server.Close)
			cloud.Auth().Inject(authtest.Fault{Kind: authtest.Slow, Delay: 500 * time.Millisecond})
			old := cloud.Auth().Grant("read_station", "read_homecoach")
			path := filepath.Join(t.TempDir(), "token.json")
			content, err := json.Marshal(map[string]string{"refresh_token": old.Refresh})
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}

			agent := exec.Command("netatmo-agent", "run")
			agent.Env = append(os.Environ(),
				"NETATMO_CLIENT_ID=id", "NETATMO_CLIENT_SECRET=secret", "NETATMO_API_URL="+server.URL,
				"NETATMO_TOKEN_FILE="+path, "NETATMO_LISTEN_ADDR=off", "OTEL_METRICS_EXPORTER=console")
			log, err := agent.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := agent.Start(); err != nil {
				t.Fatal(err)
			}
			defer agent.Process.Kill() //nolint:errcheck // it has exited, unless the test failed
			for cloud.Auth().Current() == old {
				time.Sleep(time.Millisecond)
			}
			for i, s := range signals {
				if err := agent.Process.Signal(s); err != nil {
					t.Fatal(err)
				}
				lines := bufio.NewScanner(log)
				for stopping := i > 0; !stopping && lines.Scan(); {
					stopping = strings.Contains(lines.Text(), "msg=stopping")
				}
			}
			if err := agent.Wait(); err != nil {
				t.Errorf("it exited with %v", err)
			}
			saved, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(saved), cloud.Auth().Current().Refresh) {
				t.Error("the new pair is lost")
			}
		})
	}
}

// The reader of an output may exit, like head. Then a command exits as after a
// signal, and leaves no files.
func TestExitsWhenTheReaderOfItsOutputExits(t *testing.T) {
	for name, arguments := range map[string][]string{
		"the tables of the demo": {"demo", "--for", "4s"},
		"the log of the agent":   {"run"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(simcloud.New(simcloud.Options{ClientID: "id", ClientSecret: "secret"}))
			t.Cleanup(server.Close)
			dir, state := t.TempDir(), t.TempDir()
			read, write, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			command := exec.Command("netatmo-agent", arguments...)
			command.Env = append(os.Environ(), "TMPDIR="+dir, "RUNTIME_DIRECTORY=",
				"NETATMO_CLIENT_ID=id", "NETATMO_CLIENT_SECRET=secret", "NETATMO_API_URL="+server.URL,
				"NETATMO_TOKEN_FILE="+filepath.Join(state, "token.json"), "NETATMO_LISTEN_ADDR=off",
				"OTEL_METRICS_EXPORTER=console", "OTEL_METRIC_EXPORT_INTERVAL=200")
			command.Stdout, command.Stderr = write, write
			if err := command.Start(); err != nil {
				t.Fatal(err)
			}
			write.Close()
			if !bufio.NewScanner(read).Scan() {
				t.Error("it printed nothing")
			}
			read.Close()
			if err := command.Wait(); err != nil {
				t.Errorf("it exited with %v", err)
			}
			if left, _ := os.ReadDir(dir); len(left) > 0 {
				t.Errorf("left over: %v", left)
			}
		})
	}
}

// unread is an output that nobody reads and nobody closes, such as that of a
// pager.
type unread chan struct{}

func (u unread) Write(b []byte) (int, error) {
	<-u
	return len(b), nil
}

// A push that cannot be interrupted does not delay the exit until a supervisor
// would kill the agent.
func TestExitsWhileAPushHangs(t *testing.T) {
	d := newDay(t, "text", "weather")
	t.Setenv("OTEL_METRICS_EXPORTER", "console")
	synctest.Test(t, func(t *testing.T) {
		out := make(unread)
		defer close(out)
		d.t, d.out = t, out
		d.start()
		time.Sleep(time.Hour)
		asked := time.Now()
		d.stop()
		if took := time.Since(asked); took > 8*time.Second {
			t.Errorf("it exited after %s", took)
		}
		if !strings.Contains(d.log.String(), "msg=stopped") {
			t.Errorf("log:\n%s", d.log.String())
		}
	})
}

// A supervisor must not mistake a crash for wrong settings, exit code 2, which
// a restart does not fix.
func TestAPanicEndsWithSIGABRT(t *testing.T) {
	crash := exec.Command("panic")
	crash.Dir = t.TempDir() // for the core file
	output, err := crash.CombinedOutput()
	if crash.ProcessState == nil {
		t.Fatal(err)
	}
	status, ok := crash.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() || status.Signal() != syscall.SIGABRT {
		t.Errorf("it exited with %v", crash.ProcessState)
	}
	if !strings.Contains(string(output), "panic: a fault of the program") {
		t.Errorf("it printed %q", output)
	}
}

// A log that nobody reads, such as a pipe to a stopped process, blocks neither
// polls nor the exit.
func TestWorksWhileNobodyReadsTheLog(t *testing.T) {
	cloud := simcloud.New(simcloud.Options{ClientID: "id", ClientSecret: "secret"})
	polled := make(chan struct{}, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if strings.HasPrefix(req.URL.Path, "/api/") {
			polled <- struct{}{}
		}
		cloud.ServeHTTP(w, req)
	}))
	defer server.Close()
	dir := t.TempDir()
	token, err := json.Marshal(map[string]string{"refresh_token": cloud.Auth().Grant("read_station", "read_homecoach").Refresh})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "token.json"), token, 0o600); err != nil {
		t.Fatal(err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	if err := write.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	for filled := false; !filled; { // until the pipe is full
		_, err := write.Write(make([]byte, 1<<10))
		filled = err != nil
	}
	agent := exec.Command("netatmo-agent", "run")
	agent.Env = append(os.Environ(),
		"NETATMO_CLIENT_ID=id", "NETATMO_CLIENT_SECRET=secret", "NETATMO_API_URL="+server.URL, "RUNTIME_DIRECTORY="+dir,
		"NETATMO_TOKEN_FILE="+filepath.Join(dir, "token.json"), "NETATMO_LISTEN_ADDR=off", "OTEL_METRICS_EXPORTER=console")
	agent.Stderr = write
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	defer agent.Process.Kill() //nolint:errcheck // it has exited, unless the test failed
	select {
	case <-polled:
	case <-time.After(20 * time.Second):
		t.Fatal("it does not poll")
	}
	if err := agent.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- agent.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("it exited with %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it does not exit")
	}
}
