package config

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// app is the environment of a user who has registered an app.
var app = map[string]string{"NETATMO_CLIENT_ID": "5f0000000000000000000001", "NETATMO_CLIENT_SECRET": "s3cr3tS3cr3tS3cr3t"}

// setEnv replaces the environment that the settings see by env and a home
// directory.
func setEnv(t *testing.T, env map[string]string) {
	t.Helper()
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, "NETATMO_") || strings.HasPrefix(name, "OTEL_") ||
			slices.Contains([]string{"STATE_DIRECTORY", "XDG_STATE_HOME", "KUBERNETES_SERVICE_HOST", "DEBUG_HANDLERS"}, name) {
			t.Setenv(name, "") // for the cleanup of Setenv
			if err := os.Unsetenv(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Setenv("HOME", "/home/ada")
	for name, value := range env {
		t.Setenv(name, value)
	}
}

// loadEnv loads the settings from env and flags, outside a container.
func loadEnv(t *testing.T, env map[string]string, flags map[string]string, need Need) (*Config, Problems) {
	t.Helper()
	setEnv(t, env)
	c, err := load(flags, need, fstest.MapFS{})
	problems, ok := errors.AsType[Problems](err)
	if err != nil && !ok {
		t.Fatalf("load: %v, want Problems", err)
	}
	return c, problems
}

// with returns app and more.
func with(more ...string) map[string]string {
	env := maps.Clone(app)
	for i := 0; i < len(more); i += 2 {
		env[more[i]] = more[i+1]
	}
	return env
}

// mention fails the test unless exactly one of the texts has all the words.
func mention(t *testing.T, texts []string, words ...string) {
	t.Helper()
	found := 0
	for _, text := range texts {
		all := true
		for _, word := range words {
			all = all && strings.Contains(text, word)
		}
		if all {
			found++
		}
	}
	if found != 1 {
		t.Errorf("%d of these have all of %q, want 1:\n%s", found, words, strings.Join(texts, "\n"))
	}
}

func texts(problems Problems) (all []string) {
	for _, p := range problems {
		all = append(all, p.Setting+" "+p.What+" → "+p.Remedy)
	}
	return all
}

func TestDefaults(t *testing.T) {
	c, problems := loadEnv(t, app, nil, Need{Login: true, Push: true})
	if problems != nil || c.Warnings != nil {
		t.Fatalf("problems %v, warnings %q", problems, c.Warnings)
	}
	if c.External.String() != "http://localhost:9210" || c.Push.URL.String() != "http://localhost:4317" {
		t.Errorf("External %v, Push.URL %v", c.External, c.Push.URL)
	}
	c.External, c.Push.URL = nil, nil
	want := &Config{
		ClientID: app["NETATMO_CLIENT_ID"], ClientSecret: Secret(app["NETATMO_CLIENT_SECRET"]),
		TokenFile: "/home/ada/.local/state/netatmo-agent/token.json", StateDir: "/home/ada/.local/state/netatmo-agent",
		ListenAddr: "127.0.0.1:9210", Families: []string{"weather", "homecoach"},
		RequestsPerHour: 400, AgeStale: 20 * time.Minute, Backfill: 24 * time.Hour,
		LogFormat: "text", APIURL: "https://api.netatmo.com",
		Push: Push{
			Exporter: OTLP, Protocol: GRPC, Default: true, Headers: map[string]Secret{},
			Timeout: 10 * time.Second, Interval: time.Minute, ExportTimeout: 30 * time.Second,
			ServiceName: "netatmo-agent", Attributes: map[string]string{},
		},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
}

func TestFirstStart(t *testing.T) {
	_, problems := loadEnv(t, nil, nil, Need{Login: true, Push: true})
	const want = "NETATMO_CLIENT_ID is not set; sign in at https://dev.netatmo.com, open My apps → Create (or an app you have) and copy its client ID." +
		" To see the agent at work without an account, run: netatmo-agent demo\n" +
		"NETATMO_CLIENT_SECRET is not set; copy the client secret from the same page, or write it into a file that NETATMO_CLIENT_SECRET_FILE names"
	if got := problems.Error(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestNeed(t *testing.T) {
	c, problems := loadEnv(t, map[string]string{"OTEL_EXPORTER_OTLP_PROTOCOL": "smtp"}, nil, Need{})
	if problems != nil || c.Push.URL != nil {
		t.Errorf("a command that needs neither login nor push: problems %v, push to %v", problems, c.Push.URL)
	}
}

func TestAllProblemsTogether(t *testing.T) {
	env := with("NETATMO_CLIENT_ID", "", "NETATMO_DEVICES", "wheather,homecoach", "NETATMO_AGE_STALE", "300",
		"NETATMO_LISTEN_ADDR", "9210", "NETATMO_LOG_LEVEL", "loud", "OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", "OTEL_EXPORTER_OTLP_TIMEOUT", "10s")
	c, problems := loadEnv(t, env, map[string]string{"backfill": "yesterday"}, Need{Login: true, Push: true})
	if len(problems) != 8 {
		t.Errorf("%d problems, want 8:\n%v", len(problems), problems)
	}
	all := texts(problems)
	mention(t, all, "NETATMO_CLIENT_ID is empty", "dev.netatmo.com", "netatmo-agent demo")
	mention(t, all, `NETATMO_DEVICES "wheather"`, "weather,homecoach,energy")
	mention(t, all, `NETATMO_AGE_STALE "300" has no unit`, "300s")
	mention(t, all, `NETATMO_LISTEN_ADDR "9210"`, ":9210")
	mention(t, all, `NETATMO_LOG_LEVEL "loud"`, "debug, info, warn or error")
	mention(t, all, `--backfill "yesterday"`, "7d")
	mention(t, all, `OTEL_EXPORTER_OTLP_COMPRESSION "zstd"`, "gzip")
	mention(t, all, `OTEL_EXPORTER_OTLP_TIMEOUT "10s"`, "10000")
	if !slices.Equal(c.Families, []string{"homecoach"}) {
		t.Errorf("Families %v: valid values are missing", c.Families)
	}
}

func TestFlagWins(t *testing.T) {
	env := with("NETATMO_LISTEN_ADDR", ":1", "NETATMO_DEVICES", "nonsense", "NETATMO_STATIONS", "70:ee:50:00:00:01")
	flags := map[string]string{"addr": "127.0.0.1:2", "devices": "energy", "stations": "", "favorites": "true"}
	c, problems := loadEnv(t, env, flags, Need{Login: true})
	if problems != nil {
		t.Fatal(problems)
	}
	if c.ListenAddr != "127.0.0.1:2" || !slices.Equal(c.Families, []string{"energy"}) || c.Stations.Keep != nil || !c.Favorites {
		t.Errorf("%+v", c)
	}
}

// The variables and flags are public: users rely on them.
func TestVariables(t *testing.T) {
	contract := map[string]string{
		"NETATMO_CLIENT_ID": "client-id", "NETATMO_CLIENT_SECRET": "", "NETATMO_CLIENT_SECRET_FILE": "client-secret-file", "NETATMO_TOKEN_FILE": "token-file",
		"NETATMO_EXPIRED_TOKEN": "expired-token", "NETATMO_LISTEN_ADDR": "addr", "NETATMO_EXTERNAL_URL": "external-url",
		"NETATMO_DEVICES": "devices", "NETATMO_SCOPES": "scopes", "NETATMO_STATIONS": "stations", "NETATMO_FAVORITES": "favorites",
		"NETATMO_TIMESTAMPS":        "timestamps",
		"NETATMO_REQUESTS_PER_HOUR": "requests-per-hour",
		"NETATMO_REFRESH_INTERVAL":  "refresh-interval", "NETATMO_AGE_STALE": "age-stale", "NETATMO_BACKFILL": "backfill",
		"NETATMO_METRIC_NAMES": "metric-names", "NETATMO_LOG_LEVEL": "log-level", "NETATMO_LOG_FORMAT": "log-format", "NETATMO_API_URL": "api-url",

		"OTEL_EXPORTER_OTLP_ENDPOINT": "", "OTEL_EXPORTER_OTLP_PROTOCOL": "", "OTEL_EXPORTER_OTLP_HEADERS": "", "OTEL_EXPORTER_OTLP_METRICS_HEADERS": "",
		"OTEL_EXPORTER_OTLP_HEADERS_FILE": "", "OTEL_EXPORTER_OTLP_CERTIFICATE": "", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": "",
		"OTEL_EXPORTER_OTLP_CLIENT_KEY": "", "OTEL_EXPORTER_OTLP_INSECURE": "", "OTEL_EXPORTER_OTLP_COMPRESSION": "", "OTEL_EXPORTER_OTLP_TIMEOUT": "",
		"OTEL_METRIC_EXPORT_INTERVAL": "", "OTEL_METRIC_EXPORT_TIMEOUT": "", "OTEL_METRICS_EXPORTER": "", "OTEL_SERVICE_NAME": "",
		"OTEL_RESOURCE_ATTRIBUTES": "", "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "", "OTEL_SDK_DISABLED": "",
		"OTEL_CONFIG_FILE": "", "OTEL_EXPERIMENTAL_CONFIG_FILE": "",
	}
	setEnv(t, nil)
	for name := range contract {
		t.Setenv(name, "value of "+name)
	}
	all := reflect.ValueOf(read(nil)).Elem()
	for i, s := range declared {
		if flag, ok := contract[s.Variable]; !ok || flag != s.Flag {
			t.Errorf("%s has the flag %q, want %q", s.Variable, s.Flag, flag)
		}
		if v := all.Field(i).Interface().(variable); v.text != "value of "+s.Variable || v.name != s.Variable {
			t.Errorf("%s was read as %q from %s", s.Variable, v.text, v.name)
		}
		delete(contract, s.Variable)
	}
	if len(contract) > 0 {
		t.Errorf("no settings for %v", contract)
	}
}

// A setting with a closed set of values accepts each of them, and its help names
// them.
func TestDeclaredValues(t *testing.T) {
	for _, s := range declared {
		for _, value := range s.Values {
			if _, problems := loadEnv(t, with(s.Variable, value), nil, Need{Login: true, Push: true}); problems != nil {
				t.Errorf("%s=%s: %v", s.Variable, value, problems)
			}
			if !s.Switch() && s.help != "" && !strings.Contains(s.help, "{"+value+"}") {
				t.Errorf("the help of %s does not name %s: %s", s.Variable, value, s.help)
			}
		}
	}
}

func TestSettingsMarkdown(t *testing.T) {
	var b strings.Builder
	if err := SettingsMarkdown(&b); err != nil {
		t.Fatal(err)
	}
	for _, s := range Flags() {
		if !strings.Contains(b.String(), "`"+s.Variable+"` | `--"+s.Flag+"` |") {
			t.Errorf("no row for %s and --%s", s.Variable, s.Flag)
		}
		if s.help == "" || s.Default != "" && s.unset != "" || strings.ContainsAny(s.Usage(), "`{}") {
			t.Errorf("--%s is not described: %s", s.Flag, s.Usage())
		}
	}
	for _, row := range []string{
		"| `NETATMO_CLIENT_SECRET` |  | required |",
		"| `NETATMO_BACKFILL` | `--backfill` | `24h` |",
		"| `OTEL_EXPORTER_OTLP_ENDPOINT` * | `http://localhost:4317` |",
		"| `OTEL_EXPORTER_OTLP_HEADERS_FILE` |",
		"| `OTEL_METRIC_EXPORT_INTERVAL` | `60000` |",
	} {
		if !strings.Contains(b.String(), row) {
			t.Errorf("no row %s in:\n%s", row, b.String())
		}
	}
}

func TestClientSecret(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const variable, fileVariable = "NETATMO_CLIENT_SECRET", "NETATMO_CLIENT_SECRET_FILE"
	good := file("good", "hush\n")
	for _, test := range []struct {
		name    string
		env     map[string]string
		flag    string
		want    Secret
		problem []string
	}{
		{"variable", with(variable, "hush"), "", "hush", nil},
		{"file", with(variable, "", fileVariable, good), "", "hush", nil},
		{"file with a Windows line end", with(variable, "", fileVariable, file("crlf", "hush\r\n")), "", "hush", nil},
		{"flag wins over the variable", with(variable, "other"), good, "hush", nil},
		{"both", with(variable, "hush", fileVariable, good), "", "hush", []string{variable, fileVariable, "both set", "keep one"}},
		{"missing", with(variable, ""), "", "", []string{variable, "is empty", "dev.netatmo.com", "netatmo-agent demo"}},
		{"quotes", with(variable, `"hush"`), "", `"hush"`, []string{variable, "quotes", "remove them"}},
		{"space at the end", with(variable, "hush "), "", "hush ", []string{variable, "spaces", "remove them"}},
		{"space inside", with(variable, "hu sh"), "", "hu sh", []string{variable, "contains spaces", "copy it again"}},
		{"missing file", with(variable, "", fileVariable, filepath.Join(dir, "none")), "", "", []string{fileVariable, "no such file", "path"}},
		{"secret instead of its file", with(variable, "", fileVariable, "hush"), "", "", []string{fileVariable, "no such file", "content itself"}},
		{"directory", with(variable, "", fileVariable, dir), "", "", []string{fileVariable, "is a directory"}},
		{"empty file", with(variable, "", fileVariable, file("empty", "\n")), "", "", []string{fileVariable, "empty"}},
		{"file with quotes", with(variable, "", fileVariable, file("quotes", "'hush'\n")), "", "'hush'", []string{fileVariable, "names a file whose content begins or ends with", "quotes"}},
		{"file with a leading space", with(variable, "", fileVariable, file("blank", " hush\n")), "", " hush", []string{fileVariable, "spaces"}},
		{"file of two lines", with(variable, "", fileVariable, file("lines", "hush\nhush\n")), "", "hush\nhush", []string{fileVariable, "line breaks"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			flags := map[string]string{}
			if test.flag != "" {
				flags["client-secret-file"] = test.flag
			}
			c, problems := loadEnv(t, test.env, flags, Need{Login: true})
			if c.ClientSecret != test.want {
				t.Errorf("secret %q, want %q", c.ClientSecret.Reveal(), test.want.Reveal())
			}
			if test.problem == nil {
				if problems != nil {
					t.Error(problems)
				}
				return
			}
			if len(problems) != 1 {
				t.Fatalf("%d problems: %v", len(problems), problems)
			}
			mention(t, texts(problems), test.problem...)
			if strings.Contains(problems.Error(), "hush") {
				t.Errorf("the secret is shown: %v", problems)
			}
		})
	}
}

func TestClientID(t *testing.T) {
	_, problems := loadEnv(t, with("NETATMO_CLIENT_ID", " abc"), nil, Need{Login: true})
	mention(t, texts(problems), "NETATMO_CLIENT_ID begins or ends with spaces or quotes")
	_, problems = loadEnv(t, with("NETATMO_CLIENT_ID", "", "NETATMO_CLIENTID", "abc"), nil, Need{Login: true})
	mention(t, texts(problems), "NETATMO_CLIENT_ID is empty, but NETATMO_CLIENTID is set")
	_, problems = loadEnv(t, app, map[string]string{"client-id": ""}, Need{Login: true})
	mention(t, texts(problems), "--client-id is empty")
}

func TestLoadReadsThisMachine(t *testing.T) {
	setEnv(t, map[string]string{"NETATMO_TOKEN_FILE": filepath.Join(t.TempDir(), "token.json")})
	c, err := Load(map[string]string{"devices": "energy"}, Need{Push: true})
	if err != nil || !slices.Equal(c.Families, []string{"energy"}) {
		t.Errorf("%+v, %v", c, err)
	}
}
