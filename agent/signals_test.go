package main

import (
	"bufio"
	"encoding/json"
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

// A signal that arrives twice, as from a supervisor that sends it to the
// process and to its group, or a closed terminal, waits for a refresh under way
// as one signal does: the pair that Netatmo made is on disk when the agent ends.
func TestSignalsWaitForARefresh(t *testing.T) {
	// Where these tests run detached, SIGHUP is ignored, and would be by the agent.
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
			defer agent.Process.Kill() //nolint:errcheck // it has ended, unless the test failed
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
				t.Errorf("it ended with %v", err)
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

// Who reads an output may leave, as head does: then a command ends as after a
// signal, and leaves nothing behind.
func TestEndsWhenNobodyReads(t *testing.T) {
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
				t.Error("it says nothing")
			}
			read.Close()
			if err := command.Wait(); err != nil {
				t.Errorf("it ended with %v", err)
			}
			if left, _ := os.ReadDir(dir); len(left) > 0 {
				t.Errorf("left behind: %v", left)
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

// A push that nothing can interrupt does not hold up the end, in whose time a
// supervisor would kill the agent.
func TestEndsWhileAPushHangs(t *testing.T) {
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
			t.Errorf("it ended after %s", took)
		}
		if !strings.Contains(d.log.String(), "msg=stopped") {
			t.Errorf("log:\n%s", d.log.String())
		}
	})
}
