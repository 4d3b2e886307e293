package config

import (
	"cmp"
	"fmt"
	"io"
	"strings"
)

// environment holds the NETATMO_ variables as envconfig finds them: raw
// strings, because envconfig's own checks accept a required variable that is
// empty, stop at the first error and print values, secret or not.
type environment struct {
	ClientID         string `split_words:"true"`
	ClientSecret     string `split_words:"true"`
	ClientSecretFile string `split_words:"true"`
	TokenFile        string `split_words:"true"`
	ExpiredToken     string `split_words:"true"`
	ListenAddr       string `split_words:"true"`
	ExternalURL      string `split_words:"true"`
	Devices          string
	Stations         string
	Favorites        string
	RefreshInterval  string `split_words:"true"`
	AgeStale         string `split_words:"true"`
	Backfill         string
	MetricNames      string `split_words:"true"`
	LogLevel         string `split_words:"true"`
	LogFormat        string `split_words:"true"`
	API              struct{ URL string }

	// Exporter holds the variables of netatmo-exporter that count where ours
	// are unset; its others have the names of ours.
	Exporter struct {
		TokenFile   string `split_words:"true"`
		Addr        string
		ExternalURL string `split_words:"true"`
	}
}

// Flag describes a setting that has a command-line flag.
type Flag struct {
	Name        string // without dashes
	Variable    string
	Usage       string // for people, without the default
	Required    bool   // there is no default
	Default     string // the value where the user gives none
	DefaultText string // instead, where that depends on something: on what, in markdown
	Switch      bool   // may stand without a value, which means true
}

// Flags returns the settings that have a flag, in the order in which people
// meet them.
func Flags() []Flag {
	var flags []Flag
	for _, s := range new(environment).settings() {
		flags = append(flags, s.Flag)
	}
	return flags
}

type setting struct {
	Flag
	value *string // in the environment
}

func (e *environment) settings() []setting {
	return []setting{
		{Flag{Name: "client-id", Variable: "NETATMO_CLIENT_ID", Required: true,
			Usage: "client ID of your app, from dev.netatmo.com"}, &e.ClientID},
		{Flag{Name: "client-secret-file", Variable: "NETATMO_CLIENT_SECRET_FILE", Required: true,
			Usage: "file that holds the client secret, unless NETATMO_CLIENT_SECRET does"}, &e.ClientSecretFile},
		{Flag{Name: "token-file", Variable: "NETATMO_TOKEN_FILE",
			DefaultText: "`token.json` in the first that is set of `$STATE_DIRECTORY` and `$XDG_STATE_HOME/netatmo-agent`, or in `~/.local/state/netatmo-agent`",
			Usage:       "where the login is kept; its directory holds the other files too"}, &e.TokenFile},
		{Flag{Name: "expired-token", Variable: "NETATMO_EXPIRED_TOKEN", Default: "refresh",
			Usage: "at start with an expired access token: refresh renews it, ignore waits for a login and does not touch the file"}, &e.ExpiredToken},
		{Flag{Name: "addr", Variable: "NETATMO_LISTEN_ADDR", Default: "127.0.0.1:9210",
			Usage: "address of the login pages; off if you log in with the login command"}, &e.ListenAddr},
		{Flag{Name: "external-url", Variable: "NETATMO_EXTERNAL_URL",
			DefaultText: "`http://<listen address>`; `http://localhost:<port>` where that names no single host",
			Usage:       "how your browser reaches the login pages; the redirect URI is this plus /auth/callback"}, &e.ExternalURL},
		{Flag{Name: "devices", Variable: "NETATMO_DEVICES", Default: "weather,homecoach",
			Usage: "which families to report: weather, homecoach, energy; a login asks for their scopes only"}, &e.Devices},
		{Flag{Name: "stations", Variable: "NETATMO_STATIONS", Default: "all",
			Usage: "only the stations or homes with these ids, separated by commas; !id leaves one out"}, &e.Stations},
		{Flag{Name: "favorites", Variable: "NETATMO_FAVORITES", Default: "false", Switch: true,
			Usage: "report the stations marked as favourites, too"}, &e.Favorites},
		{Flag{Name: "refresh-interval", Variable: "NETATMO_REFRESH_INTERVAL", Default: "0",
			Usage: "a fixed poll interval of at least 1m; 0 follows the stations"}, &e.RefreshInterval},
		{Flag{Name: "age-stale", Variable: "NETATMO_AGE_STALE", Default: "20m",
			Usage: "age at which a value is no longer repeated"}, &e.AgeStale},
		{Flag{Name: "backfill", Variable: "NETATMO_BACKFILL", Default: "24h",
			Usage: "the longest gap that is filled from Netatmo's history, such as 24h or 7d; of a longer one the newest part; 0 fills none"}, &e.Backfill},
		{Flag{Name: "metric-names", Variable: "NETATMO_METRIC_NAMES", Default: "otel",
			Usage: "otel, or netatmo-exporter for the names and labels of that program"}, &e.MetricNames},
		{Flag{Name: "log-level", Variable: "NETATMO_LOG_LEVEL", Default: "info",
			Usage: "debug, info, warn, error"}, &e.LogLevel},
		{Flag{Name: "log-format", Variable: "NETATMO_LOG_FORMAT", Default: "text",
			Usage: "text, json"}, &e.LogFormat},
		{Flag{Name: "api-url", Variable: "NETATMO_API_URL", Default: "https://api.netatmo.com",
			Usage: "where Netatmo is: what stands before /oauth2 and /api"}, &e.API.URL},
	}
}

// pushSetting is a variable of OpenTelemetry that the push understands.
type pushSetting struct {
	name     string
	metrics  bool // has a _METRICS_ form, which wins
	fallback string
	usage    string
}

var pushSettings = []pushSetting{
	{"OTEL_EXPORTER_OTLP_ENDPOINT", true, "`http://localhost:4317`",
		"where to push; the scheme decides TLS. Over HTTP `/v1/metrics` is added where it is missing; the `_METRICS_` form is used as it is if it has a path"},
	{"OTEL_EXPORTER_OTLP_PROTOCOL", true, "`http/protobuf` if the endpoint has a path or port 4318, else `grpc`", "`grpc` or `http/protobuf`"},
	{"OTEL_EXPORTER_OTLP_HEADERS", true, "", "`Name=value`, separated by commas, values percent-encoded; the `_METRICS_` form adds to the general one and wins for each header"},
	{"OTEL_EXPORTER_OTLP_HEADERS_FILE", false, "", "file with a `Name: value` on each line, taken literally; a change counts from the next push on"},
	{"OTEL_EXPORTER_OTLP_CERTIFICATE", true, "the system's", "file with the CA certificates (PEM) that the server is checked against; a change counts from the next connection on"},
	{"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", true, "", "file with our certificate (PEM), for servers that ask for one; a change counts likewise"},
	{"OTEL_EXPORTER_OTLP_CLIENT_KEY", true, "", "file with its private key (PEM)"},
	{"OTEL_EXPORTER_OTLP_INSECURE", true, "`false`", "`true` consents to sending a login over plain http, and decides an endpoint without a scheme; over https it has no effect"},
	{"OTEL_EXPORTER_OTLP_COMPRESSION", true, "`none`", "`gzip` or `none`"},
	{"OTEL_EXPORTER_OTLP_TIMEOUT", true, "`10000`", "milliseconds for one request"},
	{"OTEL_METRIC_EXPORT_INTERVAL", false, "`60000`", "milliseconds between pushes"},
	{"OTEL_METRIC_EXPORT_TIMEOUT", false, "`30000`", "milliseconds for one push with all its requests"},
	{"OTEL_METRICS_EXPORTER", false, "`otlp`", "`otlp`, or `console` to print the metrics instead of pushing them"},
	{"OTEL_SERVICE_NAME", false, "`netatmo-agent`", "`service.name`, the job label in Prometheus"},
	{"OTEL_RESOURCE_ATTRIBUTES", false, "", "`key=value`, separated by commas, values percent-encoded: added to the resource of live points"},
}

// metricsForm returns the name of the _METRICS_ form of an OTLP variable.
func metricsForm(name string) string {
	return strings.Replace(name, "OTEL_EXPORTER_OTLP_", "OTEL_EXPORTER_OTLP_METRICS_", 1)
}

// SettingsMarkdown writes the tables of all settings for the README.
func SettingsMarkdown(w io.Writer) error {
	var b strings.Builder
	b.WriteString("| variable | flag | default | meaning |\n|---|---|---|---|\n")
	for _, s := range new(environment).settings() {
		variable, byDefault, usage := "`"+s.Variable+"`", cmp.Or(s.DefaultText, "`"+s.Default+"`"), s.Usage
		if s.Required {
			byDefault = "required"
		}
		if s.Variable == "NETATMO_CLIENT_SECRET_FILE" {
			variable = "`NETATMO_CLIENT_SECRET` or " + variable
			usage = "the client secret, or a file that holds it"
		}
		fmt.Fprintf(&b, "| %s | `--%s` | %s | %s |\n", variable, s.Name, byDefault, usage)
	}
	b.WriteString("\nThe push is set up by the standard variables of OpenTelemetry. Those marked * also have a form for metrics alone,\n" +
		"such as `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT`, which wins.\n\n" +
		"| variable | default | meaning |\n|---|---|---|\n")
	for _, s := range pushSettings {
		star := ""
		if s.metrics {
			star = " *"
		}
		fmt.Fprintf(&b, "| `%s`%s | %s | %s |\n", s.name, star, s.fallback, s.usage)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
