package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// With wrong settings the agent exits with code 2, before any request, and
// reports everything that is wrong at once: the setting, the fault, the remedy.
func TestWrongSettings(t *testing.T) {
	notADirectory := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(notADirectory, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	app := Env{"NETATMO_CLIENT_ID": ClientID, "NETATMO_CLIENT_SECRET": ClientSecret}
	for name, tt := range map[string]struct {
		env  Env
		args []string
		want []string
	}{
		"nothing configured": {nil, nil,
			[]string{"NETATMO_CLIENT_ID", "NETATMO_CLIENT_SECRET", "dev.netatmo.com", "netatmo-agent demo"}},
		"several at once": {
			app.With(Env{
				"NETATMO_LISTEN_ADDR": "nowhere", "NETATMO_DEVICES": "weather,fridge", "NETATMO_AGE_STALE": "soon",
				"NETATMO_LOG_LEVEL": "loud", "OTEL_EXPORTER_OTLP_PROTOCOL": "carrier-pigeon",
			}), nil,
			[]string{"NETATMO_LISTEN_ADDR", "NETATMO_DEVICES", "fridge", "NETATMO_AGE_STALE", "NETATMO_LOG_LEVEL", "OTEL_EXPORTER_OTLP_PROTOCOL"}},
		"quotes of an env file in the secret": {
			Env{"NETATMO_CLIENT_ID": ClientID, "NETATMO_CLIENT_SECRET": `"` + ClientSecret + `"`}, nil,
			[]string{"NETATMO_CLIENT_SECRET", "quote"}},
		"secret twice": {
			app.With(Env{"NETATMO_CLIENT_SECRET_FILE": notADirectory}), nil,
			[]string{"NETATMO_CLIENT_SECRET", "NETATMO_CLIENT_SECRET_FILE"}},
		"state below a file": {
			app.With(Env{"NETATMO_TOKEN_FILE": filepath.Join(notADirectory, "token.json")}), nil,
			[]string{notADirectory}},
		"token file is a directory": {
			app.With(Env{"NETATMO_TOKEN_FILE": t.TempDir()}), nil,
			[]string{"director"}},
		"a login over plain http to another host": {
			app.With(Env{
				"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.example.test:4318",
				"OTEL_EXPORTER_OTLP_HEADERS":  "Authorization=Basic%20" + ClientSecret,
			}), nil,
			[]string{"OTEL_EXPORTER_OTLP_INSECURE"}},
		"unknown flag":     {app, []string{"--no-such-flag"}, []string{"--no-such-flag", "--help"}},
		"unknown command":  {app, []string{"fly"}, []string{"fly", "--help"}},
		"wrong flag value": {app, []string{"run", "--backfill", "ages"}, []string{"--backfill"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			agent := NewAgent(t, Env{})
			delete(agent.Env, "NETATMO_LISTEN_ADDR")
			agent.Env = agent.Env.With(tt.env)
			got := agent.Command(tt.args...)
			if got.Code != 2 {
				t.Errorf("exit code %d, want 2", got.Code)
			}
			for _, want := range tt.want {
				if !strings.Contains(got.Log, want) {
					t.Errorf("the log does not contain %q", want)
				}
			}
			if strings.Contains(got.Log, ClientSecret) {
				t.Error("the log contains the secret")
			}
			if t.Failed() {
				t.Logf("it says:\n%s", got.Log)
			}
		})
	}
}
