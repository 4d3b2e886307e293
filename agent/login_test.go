package main

import (
	"bufio"
	"context"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"netatmo-agent/agent/logtest"
	"netatmo-agent/agent/simcloud"
	"netatmo-agent/store"
)

// withoutLogin prepares a command of a user who has not logged in yet.
func withoutLogin(t *testing.T, arguments ...string) *exec.Cmd {
	t.Helper()
	server := httptest.NewServer(simcloud.New(simcloud.Options{ClientID: "id", ClientSecret: "secret"}))
	t.Cleanup(server.Close)
	command := exec.Command("netatmo-agent", arguments...)
	command.Env = append(os.Environ(),
		"NETATMO_CLIENT_ID=id", "NETATMO_CLIENT_SECRET=secret", "NETATMO_API_URL="+server.URL,
		"NETATMO_TOKEN_FILE="+filepath.Join(t.TempDir(), "token.json"), "NETATMO_LISTEN_ADDR=127.0.0.1:0",
		"OTEL_METRICS_EXPORTER=console")
	return command
}

// Without the link nobody can log in on the pages, so it is also logged for
// users who log only errors.
func TestLinkIsLoggedAtEveryLevel(t *testing.T) {
	for _, level := range []string{"debug", "warn", "error", "panic"} {
		t.Run(level, func(t *testing.T) {
			t.Parallel()
			agent := withoutLogin(t, "run")
			agent.Env = append(agent.Env, "NETATMO_LOG_LEVEL="+level)
			log, err := agent.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := agent.Start(); err != nil {
				t.Fatal(err)
			}
			lines, link := bufio.NewScanner(log), false
			for !link && lines.Scan() {
				link = strings.Contains(lines.Text(), "http://localhost:") && strings.Contains(lines.Text(), "a login is needed")
				if link {
					_ = agent.Process.Signal(syscall.SIGTERM)
				}
			}
			if !link {
				t.Error("no link in the log")
			}
			if err := agent.Wait(); err != nil {
				t.Errorf("it exited with %v", err)
			}
		})
	}
}

// Ctrl-C at the prompt is not a failure.
func TestLoginInterrupted(t *testing.T) {
	t.Parallel()
	login := withoutLogin(t, "login")
	input, err := login.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer input.Close()
	output, err := login.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := login.Start(); err != nil {
		t.Fatal(err)
	}
	words := bufio.NewScanner(output)
	words.Split(bufio.ScanWords)
	var said strings.Builder
	for words.Scan() {
		said.WriteString(words.Text() + " ")
		if strings.HasSuffix(said.String(), "or the code in it: ") {
			_ = login.Process.Signal(os.Interrupt)
		}
	}
	if err := login.Wait(); err != nil {
		t.Errorf("it exited with %v", err)
	}
	if !strings.HasSuffix(said.String(), "in it: Interrupted. Nothing has changed. ") {
		t.Errorf("the output:\n%s", said.String())
	}
}

// While another process holds the token file, a signal ends the wait.
func TestASignalEndsTheWaitForTheTokenFile(t *testing.T) {
	r := newCheckRig(t)
	lock, err := store.TryLock(filepath.Join(r.dir, "token.lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lock.Unlock() }()
	for command, want := range map[string]int{"run": exitDone, "login": exitDone, "backfill --since 1d": exitFailed} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(2*time.Second, cancel)
			start := time.Now()
			var said logtest.Log
			code := execute(ctx, strings.Fields(command), strings.NewReader(""), &said, &said)
			if took := time.Since(start); code != want || took > 3*time.Second {
				t.Errorf("%s: exit code %d after %s:\n%s", command, code, took, said.String())
			}
		})
	}
}
