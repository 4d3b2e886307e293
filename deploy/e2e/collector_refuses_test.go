package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"netatmo-agent/agent/simcloud"
)

// transports are the settings for a Collector over each of them.
func transports(c *Collector) map[string]Env {
	return map[string]Env{
		"gRPC": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + c.GRPC},
		"HTTP": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + c.HTTP, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
	}
}

// What a real Collector refuses, and what it passes on without a queue, is named by
// its cause: the Collector's state, or the backend behind it, and not the agent's
// connection or credentials.
func TestCollectorsThatRefuse(t *testing.T) {
	t.Parallel()
	cloud := NewCloud(t, simcloud.Options{})
	token := Env{"OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Bearer%20TheTokenOfTheCollector"}
	const bearer = `
extensions: {bearertokenauth: {token: TheTokenOfTheCollector}}
receivers: {otlp: {protocols: {grpc: {auth: {authenticator: bearertokenauth}}, http: {auth: {authenticator: bearertokenauth}}}}}
service: {extensions: [bearertokenauth]}
`
	const memory = `
processors: {memory_limiter: {check_interval: 100ms, limit_mib: 1}}
service: {pipelines: {metrics: {processors: [memory_limiter]}}}
`
	const accepted = "the backend accepted a point"
	for _, test := range []struct {
		name    string
		overlay string
		behind  int // status of the backend behind it; 0: nothing listens there
		env     Env
		says    string
	}{
		{"bearer auth, no token", bearer, 200, Env{}, "check the header with the credentials"},
		{"bearer auth, another token", bearer, 200, Env{"OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Bearer%20TheTokenOfAnotherOne"}, "check the header with the credentials"},
		{"bearer auth", bearer, 200, token, accepted},
		{"memory_limiter", memory, 200, Env{}, "raise the limit of its memory_limiter"},
		{"backend takes it", "", 200, Env{}, accepted},
		{"backend away", "", 0, Env{}, "cannot reach the backend behind it"},
		{"backend rejects the Collector", "", 401, Env{}, "rejects the Collector's credentials"},
		{"backend forbids it to the Collector", "", 403, Env{}, "rejects the Collector's credentials"},
		{"backend has a conflict", "", 409, Env{}, "the backend rejects the request"},
		{"backend finds it unprocessable", "", 422, Env{}, "the backend rejects the request"},
		{"backend finds it too large", "", 413, Env{}, "too large"},
		{"backend asks to wait", "", 429, Env{}, "asks the agent to wait"},
	} {
		t.Run(test.name, func(t *testing.T) {
			behind := "http://" + FreeAddr(t)
			if test.behind != 0 {
				server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					if test.behind == http.StatusTooManyRequests {
						w.Header().Set("Retry-After", "7")
					}
					w.WriteHeader(test.behind)
				}))
				defer server.Close()
				behind = server.URL
			}
			c := NewForwarder(t, behind)
			if test.overlay != "" {
				c.Overlay(test.overlay)
			}
			c.Start()
			if test.overlay == memory {
				time.Sleep(time.Second) // until it has looked at its memory
			}
			for name, env := range transports(c) {
				agent := NewAgent(t, cloud.Env().With(env, test.env))
				cloud.LogIn(agent, allScopes...)
				got := agent.Command("check")
				if !strings.Contains(got.Output, test.says) {
					t.Errorf("over %s, want %q:\n%s%s", name, test.says, got.Output, got.Log)
				}
				for _, secret := range agent.Env.Secrets() {
					if strings.Contains(got.Output+got.Log, secret) {
						t.Errorf("over %s, it shows the token", name)
					}
				}
			}
		})
	}
}

// A Collector whose otlp receiver is in a pipeline of traces alone.
func TestCollectorWithoutMetrics(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	file := filepath.Join(t.TempDir(), "traces.yaml")
	text := fmt.Sprintf(`
receivers: {otlp: {protocols: {grpc: {endpoint: %q}, http: {endpoint: %q}}}}
exporters: {debug: {}}
service: {telemetry: {metrics: {level: none}}, pipelines: {traces: {receivers: [otlp], exporters: [debug]}}}
`, c.GRPC, c.HTTP)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c.args = []string{"--config", file}
	c.Start()
	cloud := NewCloud(t, simcloud.Options{})
	for name, env := range transports(c) {
		agent := NewAgent(t, cloud.Env().With(env))
		cloud.LogIn(agent, allScopes...)
		if got := agent.Command("check"); !strings.Contains(got.Output, "metrics pipeline") {
			t.Errorf("over %s:\n%s", name, got.Output)
		}
	}
}
