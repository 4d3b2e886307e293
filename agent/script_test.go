package main

import (
	"encoding/json"
	"errors"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"netatmo-agent/agent/otlp"
	"netatmo-agent/agent/simcloud"
)

func TestMain(m *testing.M) {
	if strings.HasSuffix(os.Args[0], ".test") { // not as one of the commands below
		forgetSettings()
	}
	testscript.Main(m, map[string]func(){
		"netatmo-agent": func() { os.Exit(process()) },
		"panic":         func() { configureRuntime(); panic("a fault of the program") },
	})
}

// forgetSettings removes the user's settings from the environment of all tests
// and of the processes that they start.
func forgetSettings() {
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		switch name {
		case "STATE_DIRECTORY", "RUNTIME_DIRECTORY", "XDG_STATE_HOME", "KUBERNETES_SERVICE_HOST", "NOTIFY_SOCKET", "WATCHDOG_USEC",
			"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "GOTRACEBACK":
			_ = os.Unsetenv(name)
		}
		if strings.HasPrefix(name, "NETATMO_") || strings.HasPrefix(name, "OTEL_") {
			_ = os.Unsetenv(name)
		}
	}
}

// TestScripts runs the commands as a user would, in testdata/script. Each
// script has a simulated cloud at $CLOUD, a login for it in $TOKEN, and an
// OTLP/gRPC receiver at $BACKEND.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			cloud := simcloud.New(simcloud.Options{ClientID: "id", ClientSecret: "secret"})
			server := httptest.NewServer(cloud)
			env.Defer(server.Close)
			login := cloud.Auth().Grant("read_station", "read_homecoach")
			token, err := json.Marshal(map[string]any{
				"access_token": login.Access, "refresh_token": login.Refresh, "expiry": login.Expiry,
			})
			if err != nil {
				return err
			}
			backend, err := otlp.Listen("127.0.0.1:0", func(otlp.Point) {})
			if err != nil {
				return err
			}
			env.Defer(backend.Close)
			env.Setenv("BACKEND", "http://"+backend.Addr())
			path := filepath.Join(env.WorkDir, "login.json")
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("CLOUD", server.URL)
			env.Setenv("TOKEN", path)
			return os.WriteFile(path, token, 0o600)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exitcode": exitCode},
	})
}

// exitCode runs a command that must exit with this code.
func exitCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exitcode code command...")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("%s exited with %d, want %s", strings.Join(args[1:], " "), code, args[0])
	}
}
