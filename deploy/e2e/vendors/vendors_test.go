package vendors

import (
	"bytes"
	"flag"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"netatmo-agent/agent/simcloud"
	"netatmo-agent/deploy/e2e"
)

var update = flag.Bool("update", false, "write the guides in deploy/backends, and deploy/backends.md")

// TestGuides keeps the guides the same as the table: go test ./vendors -run
// TestGuides -update writes them.
func TestGuides(t *testing.T) {
	pages := map[string][]byte{}
	var index bytes.Buffer
	if err := Index(&index); err != nil {
		t.Fatal(err)
	}
	pages[e2e.Source(t, "deploy", "backends.md")] = index.Bytes()
	for _, b := range Backends {
		var page bytes.Buffer
		if err := b.Page(&page); err != nil {
			t.Fatal(err)
		}
		pages[e2e.Source(t, "deploy", "backends", b.File+".md")] = page.Bytes()
	}
	for path, want := range pages {
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not as the table has it: %v", path, err)
		}
	}
	found, err := filepath.Glob(e2e.Source(t, "deploy", "backends", "*.md"))
	if err != nil || len(found) != len(Backends) || len(Backends) < 15 {
		t.Errorf("%d guides for %d backends: %v", len(found), len(Backends), err)
	}
}

// host is the host of the endpoint.
func (b Backend) host() string {
	u, err := url.Parse(b.Settings[0].Value)
	if err != nil {
		panic(err)
	}
	return u.Hostname()
}

// environment is the environment that the guide describes, with a home.
func (b Backend) environment(t *testing.T, s *standIn, key string) e2e.Env {
	t.Helper()
	env := e2e.Env{"HTTPS_PROXY": s.URL, "HTTP_PROXY": s.URL, "OTEL_METRIC_EXPORT_INTERVAL": "1000"}
	replaced := func(text string) string {
		if b.Key == "" {
			return text
		}
		return strings.ReplaceAll(text, b.Key, key)
	}
	for _, setting := range b.Settings {
		env[setting.Name] = replaced(setting.Value)
	}
	if strings.HasPrefix(b.Settings[0].Value, "https:") {
		env["OTEL_EXPORTER_OTLP_CERTIFICATE"] = s.CAFile // the vendor's is public
	}
	if b.InFile != nil {
		env[headersFile] = filepath.Join(t.TempDir(), "otlp-headers")
		if err := os.WriteFile(env[headersFile], []byte(replaced(strings.Join(b.InFile, "\n"))+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return env
}

// Every guide's settings work unchanged: a check, live values with counters, a
// day of history. A wrong key is reported, and not shown.
func TestBackends(t *testing.T) {
	for _, b := range Backends {
		if b.Server == nil {
			continue
		}
		t.Run(b.File, func(t *testing.T) {
			s := newStandIn(t, b)
			cloud := e2e.NewCloud(t, simcloud.Options{})
			agent := e2e.NewAgent(t, cloud.Env().With(b.environment(t, s, b.Key)))
			cloud.LogIn(agent, "read_station", "read_homecoach")

			checked := agent.Command("check")
			if !strings.Contains(checked.Output, "the backend accepted a point") || checked.Code != 0 {
				t.Fatalf("check ends with %d:\n%s%s", checked.Code, checked.Output, checked.Log)
			}
			agent.Start()
			agent.Eventually("has pushed several times", func() bool {
				live, _, counters := s.accepted()
				return live > 200 && counters > 0
			})
			agent.Terminate()
			if filled := agent.Command("backfill", "--since", "1d"); filled.Code != 0 {
				t.Errorf("backfill ends with %d:\n%s%s", filled.Code, filled.Output, filled.Log)
			}
			live, history, counters := s.accepted()
			t.Logf("%d live points, %d of history, %d of counters", live, history, counters)
			if err := s.check(); err != nil || history < 4000 {
				t.Errorf("%d points of history: %v\n%s", history, err, agent.Log())
			}
			if b.Key != "" {
				b.wrongKey(t, s, cloud, agent)
			}
		})
	}
}

func (b Backend) wrongKey(t *testing.T, s *standIn, cloud *e2e.Cloud, right *e2e.Agent) {
	t.Helper()
	const wrong = "wrong0123456789abcdef"
	agent := e2e.NewAgent(t, cloud.Env().With(b.environment(t, s, wrong)))
	cloud.LogIn(agent, "read_station", "read_homecoach")
	checked := agent.Command("check")
	said := "check the header with the credentials"
	if len(b.Server.Headers) == 0 {
		said = "check path and port of OTEL_EXPORTER_OTLP_ENDPOINT"
	}
	text := checked.Output + checked.Log
	if !strings.Contains(text, said) {
		t.Errorf("a wrong key is not named:\n%s", text)
	}
	for _, secret := range []string{wrong, b.Key} {
		if strings.Contains(text+right.Log(), secret) {
			t.Errorf("shows a key:\n%s", text)
		}
	}
}

// The test above proves something only if the servers notice a missing setting.
func TestSettingsAreNeeded(t *testing.T) {
	for _, b := range Backends {
		for i, left := range b.Settings {
			counts := left.Name == temporality && b.Server.Delta || left.Name == resource && b.Server.Resource != nil ||
				strings.HasSuffix(left.Name, "HEADERS") || left.Name == protocol && !b.Server.GRPC
			if b.Server == nil || !counts {
				continue
			}
			t.Run(b.File+" without "+left.Name, func(t *testing.T) {
				less := b
				less.Settings = append(append([]Setting{}, b.Settings[:i]...), b.Settings[i+1:]...)
				s := newStandIn(t, b)
				cloud := e2e.NewCloud(t, simcloud.Options{})
				agent := e2e.NewAgent(t, cloud.Env().With(less.environment(t, s, b.Key)))
				cloud.LogIn(agent, "read_station", "read_homecoach")
				agent.Start()
				agent.WaitLog("push failed")
			})
		}
	}
}
