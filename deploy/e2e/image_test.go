package e2e

import (
	"debug/buildinfo"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"netatmo-agent/agent/simcloud"
)

const imageUser = 65534

// The image as users build it: its contents, and a run from the first start to
// an upgrade.
func TestImage(t *testing.T) {
	images := NewImages(t)
	images.StandIn(goImage(t))
	const tag = "localhost/netatmo-agent:test"
	images.Build(tag)

	t.Run("configuration", func(t *testing.T) { checkImageConfig(t, images, tag) })
	t.Run("files", func(t *testing.T) { checkImageFiles(t, images.Mount(images.Container(tag))) })
	t.Run("version", func(t *testing.T) {
		p := images.Start(images.Container(tag), nil, stateVolume(t), "version")
		code := p.Wait()
		commit := regexp.MustCompile(`\b[0-9a-f]{40}\b`).FindString(p.Output())
		if code != 0 || commit == "" {
			t.Fatalf("exit code %d and %q, want 0 and a commit", code, p.Output())
		}
		run(t, "git", "-C", Source(t), "merge-base", "--is-ancestor", commit, "HEAD") // one of this tree
	})
	t.Run("demo", func(t *testing.T) {
		p := images.Start(images.Container(tag), nil, stateVolume(t), "demo", "--for", "10s")
		if code := p.Wait(); code != 0 || !strings.Contains(p.Output(), "Garden") {
			t.Errorf("exit code %d, want 0 and the simulated home:\n%s", code, p.Output())
		}
	})
	t.Run("life", func(t *testing.T) { liveInImage(t, images, tag) })
}

func checkImageConfig(t *testing.T, images *Images, tag string) {
	t.Helper()
	var config struct {
		Docker struct {
			Config struct {
				User        string
				Env         []string
				Volumes     map[string]any
				Entrypoint  []string
				Healthcheck struct{ Test []string }
				Labels      map[string]string
			} `json:"config"`
		}
	}
	if err := json.Unmarshal([]byte(images.buildah("inspect", "--type", "image", tag)), &config); err != nil {
		t.Fatal(err)
	}
	c := config.Docker.Config
	if c.User != "65534:65534" {
		t.Errorf("runs as %q, want 65534:65534", c.User)
	}
	for _, variable := range c.Env {
		switch name, value, _ := strings.Cut(variable, "="); name {
		case "PATH": // from buildah
		case "NETATMO_EXPORTER_ADDR", "XDG_STATE_HOME":
			if want := map[string]string{"NETATMO_EXPORTER_ADDR": "0.0.0.0:9210", "XDG_STATE_HOME": "/var/lib"}[name]; value != want {
				t.Errorf("%s is %q, want %q", name, value, want)
			}
		default:
			t.Errorf("sets %s, which would override a variable of the user", variable)
		}
	}
	if _, ok := c.Volumes["/var/lib/netatmo-agent"]; !ok || len(c.Volumes) != 1 {
		t.Errorf("volumes %v, want /var/lib/netatmo-agent", c.Volumes)
	}
	if got := strings.Join(c.Entrypoint, " "); got != "/netatmo-agent" {
		t.Errorf("entrypoint %q", got)
	}
	if got := strings.Join(c.Healthcheck.Test, " "); got != "CMD /netatmo-agent check --live" {
		t.Errorf("health check %q", got)
	}
	if c.Labels["org.opencontainers.image.licenses"] != "Apache-2.0" {
		t.Errorf("labels %v", c.Labels)
	}
}

func checkImageFiles(t *testing.T, root string) {
	t.Helper()
	settings := buildSettings(t, filepath.Join(root, "netatmo-agent"))
	if settings["CGO_ENABLED"] != "0" || settings["-trimpath"] != "true" || settings["-tags"] != "timetzdata" {
		t.Errorf("built with %v: want a static, trimmed binary with zone data", settings)
	}
	for name, want := range map[string]os.FileMode{
		"tmp":                                         os.ModeDir | os.ModeSticky | 0o777,
		"var/lib/netatmo-agent":                       os.ModeDir | 0o700,
		"etc/ssl/certs/ca-certificates.crt":           0o644,
		"usr/share/doc/netatmo-agent/LICENSE":         0o644,
		"usr/share/doc/netatmo-agent/THIRD-PARTY.txt": 0o644,
	} {
		info, err := os.Stat(filepath.Join(root, name))
		if err != nil {
			t.Error(err)
			continue
		}
		if info.Mode()&^0o111 != want&^0o111 {
			t.Errorf("%s has mode %v, want %v", name, info.Mode(), want)
		}
		if uid := info.Sys().(*syscall.Stat_t).Uid; info.IsDir() && uid != imageUser {
			t.Errorf("%s belongs to %d, want %d", name, uid, imageUser)
		}
	}
}

// liveInImage goes through a first start, a login, a stop and an upgrade.
func liveInImage(t *testing.T, images *Images, tag string) {
	t.Helper()
	cloud := NewCloud(t, simcloud.Options{})
	collector := NewCollector(t).Start()
	volume := stateVolume(t)
	addr := FreeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	env := cloud.Env().With(Env{
		"NETATMO_LISTEN_ADDR":         "0.0.0.0:" + port,
		"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + collector.GRPC,
		"OTEL_METRIC_EXPORT_INTERVAL": "1000",
	})

	container := images.Container(tag)
	first := &Agent{Process: images.Start(container, env, volume), t: t}
	first.Authorise()
	first.Eventually("pushes readings", func() bool { return hasReadings(collector.Points()) })
	if health := images.Start(container, env, volume, "check", "--live"); health.Wait() != 0 {
		t.Errorf("the health check fails beside a healthy agent: %s%s", health.Output(), health.Log())
	}
	if code, took := first.Terminate(); code != 0 || took > 8*time.Second {
		t.Errorf("stopped with exit code %d after %v, want 0 within 8 s", code, took)
	}
	token := filepath.Join(volume, "token.json")
	info, err := os.Stat(token)
	if err != nil {
		t.Fatal(err)
	}
	if uid := info.Sys().(*syscall.Stat_t).Uid; uid != imageUser || info.Mode() != 0o600 {
		t.Errorf("%s has mode %v and owner %d, want 0600 and %d", token, info.Mode(), uid, imageUser)
	}

	if health := images.Start(container, env, volume, "check", "--live"); health.Wait() == 0 {
		t.Error("the health check passes without an agent")
	}

	before := len(collector.Points())
	upgraded := images.Start(images.Container(tag), env, volume)
	upgraded.Eventually("pushes readings after the upgrade", func() bool { return hasReadings(collector.Points()[before:]) })
	if loginLink.MatchString(upgraded.Log()) {
		t.Error("the new container needs a login again")
	}
	instances := map[string]bool{}
	for _, p := range collector.Points() {
		instances[p.Resource["service.instance.id"]] = true
	}
	if len(instances) != 1 {
		t.Errorf("instance ids %v, want the same before and after", instances)
	}
}

func hasReadings(points []Point) bool {
	for _, p := range points {
		if p.Metric == "netatmo.temperature" {
			return true
		}
	}
	return false
}

// stateVolume is an empty directory like a new volume of the image.
func stateVolume(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chown(dir, imageUser, imageUser); err != nil {
		t.Fatal(err)
	}
	return dir
}

func buildSettings(t *testing.T, binary string) map[string]string {
	t.Helper()
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	return settings
}
