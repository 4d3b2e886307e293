package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
	"sigs.k8s.io/yaml"
)

// composeProject loads a compose file as docker compose does, including the
// .env beside it. Warnings of the loader, such as about an unset variable, are
// errors.
func composeProject(file string, profiles ...string) (*types.Project, error) {
	warnings := logtest.NewLocal(logrus.StandardLogger())
	defer logrus.StandardLogger().ReplaceHooks(logrus.LevelHooks{})
	options, err := cli.NewProjectOptions([]string{file},
		cli.WithWorkingDirectory(filepath.Dir(file)), cli.WithEnvFiles(), cli.WithDotEnv, cli.WithProfiles(profiles))
	if err != nil {
		return nil, err
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return nil, err
	}
	for _, entry := range warnings.AllEntries() {
		err = errors.Join(err, errors.New(entry.Message))
	}
	for name, service := range project.Services {
		for _, volume := range service.Volumes {
			if info, statErr := os.Stat(volume.Source); volume.Type == types.VolumeTypeBind && (statErr != nil || !info.Mode().IsRegular()) {
				err = errors.Join(err, fmt.Errorf("%s mounts %s, which is not a file here", name, volume.Source))
			}
		}
		if build := service.Build; build != nil {
			if _, statErr := os.Stat(filepath.Join(build.Context, build.Dockerfile)); statErr != nil {
				err = errors.Join(err, fmt.Errorf("%s is built from nothing: %w", name, statErr))
			}
		}
	}
	return project, err
}

// composeFolder copies the folder of compose.yaml, adds a .env, and returns the
// path of the compose file.
func composeFolder(t *testing.T, dotEnv string) string {
	t.Helper()
	top := t.TempDir()
	run(t, "cp", "-r", Source(t, "Dockerfile"), top)
	dir := filepath.Join(top, "deploy")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"compose.yaml", "otelcol.yaml", "prometheus.yaml", "alerts.yaml", "grafana"} {
		run(t, "cp", "-r", Source(t, "deploy", name), dir)
	}
	if dotEnv != "" {
		if err := os.WriteFile(filepath.Join(dir, ".env"), []byte(dotEnv), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "compose.yaml")
}

const appInDotEnv = "NETATMO_CLIENT_ID=" + ClientID + "\nNETATMO_CLIENT_SECRET=" + ClientSecret + "\n"

func TestComposeProfiles(t *testing.T) {
	for _, tt := range []struct {
		name, dotEnv string
		profiles     []string
		want         []string // services
	}{
		{"demo, with nothing configured", "", []string{"demo"}, []string{"collector", "demo", "grafana", "prometheus"}},
		{"real", appInDotEnv, []string{"real"}, []string{"agent", "collector", "grafana", "prometheus"}},
		{"both", appInDotEnv, []string{"demo", "real"}, []string{"agent", "collector", "demo", "grafana", "prometheus"}},
		{"the backends alone", "", nil, []string{"collector", "grafana", "prometheus"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			project, err := composeProject(composeFolder(t, tt.dotEnv), tt.profiles...)
			if err != nil {
				t.Fatal(err)
			}
			if got := project.ServiceNames(); !slices.Equal(got, tt.want) {
				t.Errorf("services %v, want %v", got, tt.want)
			}
			checkHosts(t, project)
			for _, name := range []string{"demo", "agent"} {
				if service, ok := project.Services[name]; ok {
					checkComposeAgent(t, service)
				}
			}
		})
	}
	t.Run("real, without an app", func(t *testing.T) {
		if _, err := composeProject(composeFolder(t, ""), "real"); err == nil || !strings.Contains(err.Error(), ".env") {
			t.Errorf("error %v, want one that names .env", err)
		}
	})
}

// checkComposeAgent checks a container of the agent's image: what it can write
// to, what it cannot, and how it stops.
func checkComposeAgent(t *testing.T, service types.ServiceConfig) {
	t.Helper()
	if service.StopGracePeriod == nil || time.Duration(*service.StopGracePeriod) != 45*time.Second {
		t.Errorf("%s: stop_grace_period %v, want 45s", service.Name, service.StopGracePeriod)
	}
	if service.Name == "agent" && service.MemLimit != 96<<20 {
		t.Errorf("%s: mem_limit %d, want that of the Kubernetes manifest", service.Name, service.MemLimit)
	}
	if !service.ReadOnly || !slices.Equal(service.CapDrop, []string{"ALL"}) || !slices.Equal(service.SecurityOpt, []string{"no-new-privileges:true"}) {
		t.Errorf("%s is not confined", service.Name)
	}
	// For the heartbeat, and for the demo's token file. The user is 65534.
	if !slices.Equal(service.Tmpfs, []string{"/tmp:mode=1777"}) {
		t.Errorf("%s: tmpfs %v", service.Name, service.Tmpfs)
	}
	health := service.HealthCheck
	if service.Name == "demo" {
		if health == nil || !health.Disable {
			t.Error("demo: the image's health check looks for another agent's heartbeat")
		}
		return
	}
	if health == nil || !slices.Equal(health.Test, types.HealthCheckTest{"CMD", "/netatmo-agent", "check", "--live"}) {
		t.Errorf("%s: health check %v", service.Name, health)
	}
	if v := service.Volumes; len(v) != 1 || v[0].Type != types.VolumeTypeVolume || v[0].Target != "/var/lib/netatmo-agent" {
		t.Errorf("%s: volumes %v", service.Name, v)
	}
	env := service.Environment.Resolve(func(string) (string, bool) { return "", false })
	if id, secret := env["NETATMO_CLIENT_ID"], env["NETATMO_CLIENT_SECRET"]; *id != ClientID || *secret != ClientSecret {
		t.Errorf("%s: the app in .env is not the agent's", service.Name)
	}
	if p := service.Ports; len(p) != 1 || p[0].HostIP != "127.0.0.1" || *env["NETATMO_EXTERNAL_URL"] != fmt.Sprintf("http://localhost:%s", p[0].Published) {
		t.Errorf("%s: NETATMO_EXTERNAL_URL %s does not match the ports %v", service.Name, *env["NETATMO_EXTERNAL_URL"], p)
	}
}

var urlInText = regexp.MustCompile(`https?://[^\s"']+`)

// checkHosts checks that every address in a service's settings is a service of
// the same project.
func checkHosts(t *testing.T, project *types.Project) {
	t.Helper()
	for name, service := range project.Services {
		for variable, value := range service.Environment {
			for _, text := range urlInText.FindAllString(*value, -1) {
				u, err := url.Parse(text)
				if err != nil {
					t.Error(err)
				} else if _, ok := project.Services[u.Hostname()]; !ok && u.Hostname() != "localhost" {
					t.Errorf("%s: %s points to %s, which is no service", name, variable, u.Hostname())
				}
			}
		}
	}
}

// The images have the versions that these tests run.
func TestComposeImages(t *testing.T) {
	project, err := composeProject(Source(t, "deploy", "compose.yaml"), "demo")
	if err != nil {
		t.Fatal(err)
	}
	version := func(tool string) string {
		v, err := requiredVersion(Source(t, "deploy", "e2e", "tools", tools[tool].folder), tools[tool].module)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for service, want := range map[string]string{
		"collector":  "otel/opentelemetry-collector:" + strings.TrimPrefix(version("otelcol"), "v"),
		"prometheus": "prom/prometheus:v3." + strings.TrimPrefix(version("prometheus"), "v0.3"), // as the Go module counts
	} {
		if got := project.Services[service].Image; got != want {
			t.Errorf("%s is %s, the tests run %s", service, got, want)
		}
	}
	for name, service := range project.Services {
		if service.Build == nil && !regexp.MustCompile(`:v?\d+\.\d+\.\d+$`).MatchString(service.Image) {
			t.Errorf("%s: %s does not name a version", name, service.Image)
		}
	}
}

// Grafana finds a data source of the type that the dashboard needs, and the
// dashboard where its provider looks.
func TestComposeProvisionsGrafana(t *testing.T) {
	project, err := composeProject(Source(t, "deploy", "compose.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	mounted := map[string]string{} // paths here by paths in the container
	for _, volume := range project.Services["grafana"].Volumes {
		mounted[volume.Target] = volume.Source
	}
	var sources struct {
		APIVersion  int `json:"apiVersion"`
		Datasources []struct {
			Name, UID, Type, Access, URL string
			IsDefault                    bool              `json:"isDefault"`
			JSONData                     map[string]string `json:"jsonData"`
		}
	}
	strictYAML(t, mounted["/etc/grafana/provisioning/datasources/prometheus.yaml"], &sources)
	if d := sources.Datasources; len(d) != 1 || d[0].Type != "prometheus" || !d[0].IsDefault || d[0].URL != "http://prometheus:9090" {
		t.Errorf("data sources %+v, want the project's Prometheus as the default", d)
	}
	var dashboards struct {
		APIVersion int `json:"apiVersion"`
		Providers  []struct {
			Name, Type string
			Options    struct{ Path string }
		}
	}
	strictYAML(t, mounted["/etc/grafana/provisioning/dashboards/netatmo.yaml"], &dashboards)
	if p := dashboards.Providers; len(p) != 1 || p[0].Type != "file" || mounted[p[0].Options.Path+"/netatmo.json"] != Source(t, "deploy", "grafana", "netatmo.json") {
		t.Errorf("providers %+v do not look where the dashboard is mounted: %v", p, mounted)
	}
	var dashboard struct {
		Templating struct {
			List []struct{ Name, Type, Query any }
		}
	}
	b, err := os.ReadFile(Source(t, "deploy", "grafana", "netatmo.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(b, &dashboard); err != nil {
		t.Fatal(err)
	}
	if v := dashboard.Templating.List; len(v) == 0 || v[0].Name != "datasource" || v[0].Type != "datasource" || v[0].Query != "prometheus" {
		t.Errorf("the dashboard does not choose among data sources of type prometheus: %v", v)
	}
}

func TestComposePrometheusAcceptsHistory(t *testing.T) {
	project, err := composeProject(Source(t, "deploy", "compose.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if c := project.Services["prometheus"].Command; !slices.Contains(c, "--web.enable-otlp-receiver") {
		t.Errorf("command %v has no OTLP receiver", c)
	}
	var config struct {
		Storage struct {
			TSDB struct {
				Window    string `json:"out_of_order_time_window"`
				Retention struct{ Time string }
			}
		}
	}
	b, err := os.ReadFile(Source(t, "deploy", "prometheus.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(b, &config); err != nil {
		t.Fatal(err)
	}
	if tsdb := config.Storage.TSDB; tsdb.Window != "1y" || tsdb.Retention.Time != "5y" {
		t.Errorf("%+v, want room for a year of history", tsdb)
	}
}

func strictYAML(t *testing.T, path string, into any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(b, into); err != nil {
		t.Errorf("%s: %v", path, err)
	}
}

// The tests above prove something only if the loader rejects mistakes.
func TestComposeLoaderRefusesMistakes(t *testing.T) {
	for name, edit := range map[string][2]string{
		"unknown key":     {"    read_only: true", "    read_onyl: true"},
		"unset variable":  {"command: [demo]", "command: [demo, \"${NO_SUCH_VARIABLE}\"]"},
		"missing file":    {"./otelcol.yaml", "./otelcoll.yaml"},
		"missing service": {"depends_on: [collector]", "depends_on: [colector]"},
		"wrong duration":  {"stop_grace_period: 45s", "stop_grace_period: 45 seconds"},
	} {
		t.Run(name, func(t *testing.T) {
			file := composeFolder(t, "")
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			broken := strings.Replace(string(b), edit[0], edit[1], 1)
			if broken == string(b) {
				t.Fatalf("compose.yaml does not contain %q", edit[0])
			}
			if err := os.WriteFile(file, []byte(broken), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := composeProject(file, "demo"); err == nil {
				t.Error("loads")
			}
		})
	}
}
