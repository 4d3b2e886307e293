package main

import (
	"bufio"
	"encoding/json"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"netatmo-agent/agent/simcloud"
	"netatmo-agent/auth/authtest"
)

// A signal that arrives twice, as from a supervisor that sends it to the
// process and to its group, or a closed terminal, waits for a refresh under way
// as one signal does: the pair that Netatmo made is on disk when the agent ends.
func TestSignalsWaitForARefresh(t *testing.T) {
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
