package config

import (
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/kelseyhightower/envconfig"
)

// settings declares every setting once. It holds texts, because envconfig's own
// checks accept a required variable that is empty, stop at the first error and
// print values, secret or not. The tags are:
//
//	envconfig  the variable
//	flag       its command-line flag
//	default    the value if it is unset, or
//	unset      what happens then, in words
//	values     all values, if they are a closed set
//	help       one line for people; without it the setting is undocumented
//	verbatim   surrounding blanks and quotes are part of the value
//	exporter   the variable of netatmo-exporter that counts if ours is unset
//	metrics    there is a _METRICS_ form too, which "wins" or "adds" to this one
//
// Braces in unset and help mark code.
type settings struct {
	ClientID         variable `envconfig:"NETATMO_CLIENT_ID" flag:"client-id" unset:"required" verbatim:"true" help:"client ID of your app, from dev.netatmo.com"`
	ClientSecret     variable `envconfig:"NETATMO_CLIENT_SECRET" unset:"required" verbatim:"true" help:"client secret of that app"`
	ClientSecretFile variable `envconfig:"NETATMO_CLIENT_SECRET_FILE" flag:"client-secret-file" help:"file that contains the client secret, instead of {NETATMO_CLIENT_SECRET}"`
	TokenFile        variable `envconfig:"NETATMO_TOKEN_FILE" flag:"token-file" exporter:"NETATMO_EXPORTER_TOKEN_FILE" unset:"{token.json} in {$STATE_DIRECTORY}, else in {$XDG_STATE_HOME/netatmo-agent}, else in {~/.local/state/netatmo-agent}" help:"file that stores the login; the agent keeps its other files in the same directory"`
	ExpiredToken     variable `envconfig:"NETATMO_EXPIRED_TOKEN" flag:"expired-token" default:"refresh" values:"refresh,ignore" help:"what to do at start if the access token has expired: {refresh} renews it, {ignore} leaves the file alone and waits for a login"`
	ListenAddr       variable `envconfig:"NETATMO_LISTEN_ADDR" flag:"addr" exporter:"NETATMO_EXPORTER_ADDR" default:"127.0.0.1:9210" help:"address of the login pages; {off} if you use {netatmo-agent login} instead"`
	ExternalURL      variable `envconfig:"NETATMO_EXTERNAL_URL" flag:"external-url" exporter:"NETATMO_EXPORTER_EXTERNAL_URL" unset:"{http://localhost:<port>}, or {http://<listen address>} if that names another host" help:"URL at which your browser reaches the login pages; the redirect URI is this plus {/auth/callback}"`
	Devices          variable `envconfig:"NETATMO_DEVICES" flag:"devices" default:"weather,homecoach" values:"weather,homecoach,energy,control,security,all" help:"device families to export: {weather}, {homecoach}, {energy} (heating and cooling), {control} (plugs, lights, shutters, meters), {security} (cameras, door tags, alarms), or {all}; a login asks for their scopes only"`
	Scopes           variable `envconfig:"NETATMO_SCOPES" flag:"scopes" unset:"those of the families" help:"scopes to request at login instead of those of the families, separated by spaces or commas"`
	Stations         variable `envconfig:"NETATMO_STATIONS" flag:"stations" default:"all" help:"ids of the stations and homes to export, separated by commas; {!id} excludes one"`
	Favorites        variable `envconfig:"NETATMO_FAVORITES" flag:"favorites" default:"false" values:"true,false" help:"also export the stations marked as favourites"`
	Timestamps       variable `envconfig:"NETATMO_TIMESTAMPS" flag:"timestamps" default:"push" values:"push,measured" help:"{push} repeats the newest values at every push, with its time; {measured} pushes every measurement once, with the time at which it was made, which takes more requests to Netatmo"`
	RefreshInterval  variable `envconfig:"NETATMO_REFRESH_INTERVAL" flag:"refresh-interval" default:"0" help:"fixed poll interval of at least 1m; 0 follows the stations"`
	RequestsPerHour  variable `envconfig:"NETATMO_REQUESTS_PER_HOUR" flag:"requests-per-hour" default:"400" help:"requests to Netatmo per hour, 20 to 500 (Netatmo's limit); set less if other programs use the same account"`
	AgeStale         variable `envconfig:"NETATMO_AGE_STALE" flag:"age-stale" default:"20m" help:"age from which a value is no longer repeated"`
	Backfill         variable `envconfig:"NETATMO_BACKFILL" flag:"backfill" default:"24h" help:"how far back gaps are filled from Netatmo's history, such as {24h} or {7d}; longer gaps are filled only for this most recent period; 0 disables filling"`
	MetricNames      variable `envconfig:"NETATMO_METRIC_NAMES" flag:"metric-names" default:"otel" values:"otel,netatmo-exporter" help:"{otel}, or {netatmo-exporter} for the metric names and labels of that program"`
	LogLevel         variable `envconfig:"NETATMO_LOG_LEVEL" flag:"log-level" default:"info" values:"debug,info,warn,error" help:"lowest level to log: {debug}, {info}, {warn}, {error}"`
	LogFormat        variable `envconfig:"NETATMO_LOG_FORMAT" flag:"log-format" default:"text" values:"text,json" help:"format of the log: {text}, {json}"`
	APIURL           variable `envconfig:"NETATMO_API_URL" flag:"api-url" default:"https://api.netatmo.com" help:"base URL of Netatmo, without {/oauth2} and {/api}"`

	Endpoint               variable `envconfig:"OTEL_EXPORTER_OTLP_ENDPOINT" metrics:"wins" unset:"{http://localhost:4317}" help:"where to push; the scheme decides whether to use TLS. Over HTTP, {/v1/metrics} is appended if it is missing; the {_METRICS_} form is used as it is if it has a path"`
	Protocol               variable `envconfig:"OTEL_EXPORTER_OTLP_PROTOCOL" metrics:"wins" unset:"{http/protobuf} if the endpoint has a path or port 4318, else {grpc}" values:"grpc,http/protobuf" help:"{grpc} or {http/protobuf}"`
	Headers                variable `envconfig:"OTEL_EXPORTER_OTLP_HEADERS" metrics:"adds" help:"{Name=value}, separated by commas, values percent-encoded; the {_METRICS_} form adds to this one and wins for each header"`
	MetricsHeaders         variable `envconfig:"OTEL_EXPORTER_OTLP_METRICS_HEADERS"`
	HeadersFile            variable `envconfig:"OTEL_EXPORTER_OTLP_HEADERS_FILE" help:"file with one {Name: value} per line, without escapes, reloaded when it changes"`
	Certificate            variable `envconfig:"OTEL_EXPORTER_OTLP_CERTIFICATE" metrics:"wins" unset:"the system's" help:"CA certificates (PEM) to verify the server with, reloaded when they change"`
	ClientCertificate      variable `envconfig:"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE" metrics:"wins" help:"client certificate (PEM), reloaded when it changes"`
	ClientKey              variable `envconfig:"OTEL_EXPORTER_OTLP_CLIENT_KEY" metrics:"wins" help:"private key of the client certificate (PEM)"`
	Insecure               variable `envconfig:"OTEL_EXPORTER_OTLP_INSECURE" metrics:"wins" unset:"{false}" values:"true,false" help:"{true} allows credentials to be sent over plain http, and selects http for an endpoint without a scheme; it has no effect on https"`
	Compression            variable `envconfig:"OTEL_EXPORTER_OTLP_COMPRESSION" metrics:"wins" default:"none" values:"gzip,none" help:"{gzip} or {none}"`
	Timeout                variable `envconfig:"OTEL_EXPORTER_OTLP_TIMEOUT" metrics:"wins" default:"10000" help:"milliseconds allowed for one request"`
	ExportInterval         variable `envconfig:"OTEL_METRIC_EXPORT_INTERVAL" default:"60000" help:"milliseconds between pushes"`
	ExportTimeout          variable `envconfig:"OTEL_METRIC_EXPORT_TIMEOUT" default:"30000" help:"milliseconds allowed for one push with all its requests"`
	MetricsExporter        variable `envconfig:"OTEL_METRICS_EXPORTER" default:"otlp" values:"otlp,console" help:"{otlp}, or {console} to print the metrics instead of pushing them"`
	Temporality            variable `envconfig:"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE" default:"cumulative" values:"cumulative,delta,lowmemory" help:"how to send counters: {cumulative}, or {delta} (or {lowmemory}) for what was counted since the last accepted push, which Datadog and Dynatrace need"`
	ServiceName            variable `envconfig:"OTEL_SERVICE_NAME" unset:"{netatmo-agent}" help:"{service.name}, the job label in Prometheus"`
	ResourceAttributes     variable `envconfig:"OTEL_RESOURCE_ATTRIBUTES" help:"{key=value}, separated by commas, values percent-encoded: more attributes for the resource"`
	SDKDisabled            variable `envconfig:"OTEL_SDK_DISABLED"`
	ConfigFile             variable `envconfig:"OTEL_CONFIG_FILE"`
	ExperimentalConfigFile variable `envconfig:"OTEL_EXPERIMENTAL_CONFIG_FILE"`
}

// Setting is the declaration of a setting.
type Setting struct {
	Variable string
	Flag     string // without dashes; empty if it has none
	Default  string // the value if it is unset
	Values   []string

	unset, help       string
	exporter, metrics string
	verbatim          bool
}

var declared = declarations()

// declarations returns the settings in the order of their fields.
func declarations() []Setting {
	t := reflect.TypeFor[settings]()
	all := make([]Setting, t.NumField())
	for i := range all {
		tag := t.Field(i).Tag
		all[i] = Setting{
			Variable: tag.Get("envconfig"), Flag: tag.Get("flag"), Default: tag.Get("default"),
			unset: tag.Get("unset"), help: tag.Get("help"),
			exporter: tag.Get("exporter"), metrics: tag.Get("metrics"), verbatim: tag.Get("verbatim") != "",
		}
		if values := tag.Get("values"); values != "" {
			all[i].Values = strings.Split(values, ",")
		}
	}
	return all
}

// Flags returns the settings that have a flag.
func Flags() []Setting {
	return slices.DeleteFunc(slices.Clone(declared), func(s Setting) bool { return s.Flag == "" })
}

// Switch reports whether the flag needs no value: it then means true.
func (s Setting) Switch() bool { return slices.Equal(s.Values, []string{"true", "false"}) }

// Usage describes the flag for --help.
func (s Setting) Usage() string {
	fallback := s.fallback()
	if fallback != "" {
		fallback = ", " + fallback
	}
	return unmarked.Replace(s.help + " (" + s.Variable + fallback + ")")
}

// fallback says what counts if the setting is unset; empty if nothing does.
func (s Setting) fallback() string {
	value := s.Default + s.unset
	if value == "" || value == "required" {
		return value
	}
	return "default " + value
}

// unmarked is a text of a declaration without the braces around code.
var unmarked = strings.NewReplacer("{", "", "}", "")

// Documented returns the settings that users may set: those of the push, or the
// others.
func Documented(push bool) []Setting {
	return slices.DeleteFunc(slices.Clone(declared), func(s Setting) bool {
		return s.help == "" || strings.HasPrefix(s.Variable, "OTEL_") != push
	})
}

// Describe returns the setting's names, what counts if it is unset, and what it
// means.
func (s Setting) Describe() (names, fallback, meaning string) {
	names = s.Variable
	if s.metrics != "" {
		names += ", " + metricsForm(s.Variable)
	}
	if s.Flag != "" {
		names += ", --" + s.Flag
	}
	return names, unmarked.Replace(s.fallback()), unmarked.Replace(s.help)
}

// names returns all variables that set it.
func (s Setting) names() []string {
	names := []string{s.Variable}
	if s.exporter != "" {
		names = append(names, s.exporter)
	}
	if s.metrics != "" {
		names = append(names, metricsForm(s.Variable))
	}
	return names
}

// metricsForm returns the name of the _METRICS_ form of an OTLP variable.
func metricsForm(name string) string {
	return strings.Replace(name, "OTEL_EXPORTER_OTLP_", "OTEL_EXPORTER_OTLP_METRICS_", 1)
}

// variable is a setting as the user set it.
type variable struct {
	*Setting
	name string // what the user set: the variable, one that counts for it, or a flag
	text string
}

// Decode implements envconfig.Decoder.
func (v *variable) Decode(text string) error {
	v.text = text
	return nil
}

// read gathers the settings from all sources: a flag before our variable before
// that of netatmo-exporter before the default.
func read(flags map[string]string) *settings {
	all := new(settings)
	envconfig.MustProcess("", all) // into texts, which cannot fail
	fields := reflect.ValueOf(all).Elem()
	for i := range declared {
		v, s := fields.Field(i).Addr().Interface().(*variable), &declared[i] //nolint:errcheck // every field is one
		v.Setting, v.name = s, s.Variable
		if !s.verbatim {
			v.text = bare(v.text)
		}
		if s.metrics == "wins" {
			v.prefer(metricsForm(s.Variable))
		}
		if s.exporter != "" && bare(os.Getenv(s.Variable)) == "" {
			v.prefer(s.exporter)
		}
		if text, ok := flags[s.Flag]; ok && s.Flag != "" {
			v.name, v.text = "--"+s.Flag, text
			if !s.verbatim {
				v.text = bare(text)
			}
		}
		if v.text == "" {
			v.text = s.Default
		}
	}
	if f := all.ClientSecretFile; f.text != "" && f.name != f.Variable {
		all.ClientSecret.text = "" // a flag wins over the environment
	}
	return all
}

// prefer takes the value of another variable, if that is set.
func (v *variable) prefer(name string) {
	if text := bare(os.Getenv(name)); text != "" {
		v.name, v.text = name, text
	}
}

// SettingsMarkdown writes the tables of all settings for the README.
func SettingsMarkdown(w io.Writer) error {
	var b strings.Builder
	b.WriteString("| variable | flag | default | meaning |\n|---|---|---|---|\n")
	for _, s := range Documented(false) {
		fmt.Fprintf(&b, "| `%s` | %s%s", s.Variable, code(s.Flag, "`--%s`"), s.cells())
	}
	b.WriteString("\nOpenTelemetry's standard variables configure the push. Those marked * also have a form for metrics only,\n" +
		"such as `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT`, which wins.\n\n" +
		"| variable | default | meaning |\n|---|---|---|\n")
	for _, s := range Documented(true) {
		fmt.Fprintf(&b, "| `%s`", s.Variable)
		if s.metrics != "" {
			b.WriteString(" *")
		}
		b.WriteString(s.cells())
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// cells are the last cells of a row: the default and the meaning.
func (s Setting) cells() string {
	fallback := code(s.Default, "`%s`") + s.unset
	return fmt.Sprintf(" | %s | %s |\n", markdown.Replace(fallback), markdown.Replace(s.help))
}

var markdown = strings.NewReplacer("{", "`", "}", "`")

// code formats text, unless it is empty.
func code(text, format string) string {
	if text == "" {
		return ""
	}
	return fmt.Sprintf(format, text)
}
