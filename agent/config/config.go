package config

import (
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"slices"
	"time"

	"github.com/kelseyhightower/envconfig"
)

// Config is the settings, checked.
type Config struct {
	ClientID     string
	ClientSecret Secret

	TokenFile     string // absolute
	StateDir      string // the directory of TokenFile
	IgnoreExpired bool   // leave an expired token file alone and wait for a login

	ListenAddr string   // empty: no login pages
	External   *url.URL // as the browser sees the login pages; its path has no trailing slash

	Families  []string // of "weather", "homecoach", "energy"; at least one
	Stations  Filter
	Favorites bool

	RefreshInterval      time.Duration // 0: follow the stations; else at least a minute
	AgeStale             time.Duration
	Backfill             time.Duration // 0: off
	NetatmoExporterNames bool          // names and labels of netatmo-exporter

	LogLevel  slog.Level
	LogFormat string // "text" or "json"
	APIURL    string // without a trailing slash

	Push Push

	// Warnings are about settings that work but deserve a look, to be told
	// once at start.
	Warnings []Problem
}

// Need says which settings a command cannot do without.
type Need struct {
	Login bool // client ID and client secret
	Push  bool // where to push; without it Config.Push stays empty
}

// Load reads the settings. The keys of flags are names of Flags(), only those
// that the user gave; they win over the environment. The error is Problems,
// with everything that is wrong; the Config then holds what could be
// understood, for a command that wants to go on looking.
func Load(flags map[string]string, need Need) (*Config, error) {
	return load(flags, need, os.DirFS("/"))
}

// load is Load; root is what stands at /, for what is looked up there by a
// fixed path.
func load(flags map[string]string, need Need, root fs.FS) (*Config, error) {
	l := &loader{root: root, source: map[string]string{}}
	env := l.environment(flags)

	c := new(Config)
	c.ClientID, c.ClientSecret = l.credentials(env, need.Login)
	c.TokenFile, c.StateDir = l.tokenFile(env.TokenFile)
	c.IgnoreExpired = l.choice("NETATMO_EXPIRED_TOKEN", env.ExpiredToken, "refresh", "ignore") == "ignore"
	c.ListenAddr = l.listenAddr("NETATMO_LISTEN_ADDR", env.ListenAddr)
	c.External = l.external("NETATMO_EXTERNAL_URL", env.ExternalURL, c.ListenAddr)
	c.Families = l.families("NETATMO_DEVICES", env.Devices)
	c.Stations = l.filter("NETATMO_STATIONS", env.Stations)
	c.Favorites = l.boolean("NETATMO_FAVORITES", env.Favorites)
	c.RefreshInterval, c.AgeStale, c.Backfill = l.times(env)
	c.NetatmoExporterNames = l.choice("NETATMO_METRIC_NAMES", env.MetricNames, "otel", "netatmo-exporter") == "netatmo-exporter"
	if c.NetatmoExporterNames && slices.Contains(c.Families, "energy") {
		l.warn("NETATMO_DEVICES", "names energy, for which NETATMO_METRIC_NAMES=netatmo-exporter has no names: rooms, valves and thermostats are not pushed", "leave it out, or use the names otel")
	}
	c.LogLevel = l.logLevel("NETATMO_LOG_LEVEL", env.LogLevel)
	c.LogFormat = l.choice("NETATMO_LOG_FORMAT", env.LogFormat, "text", "json")
	c.APIURL = l.apiURL("NETATMO_API_URL", env.API.URL)
	if need.Push {
		c.Push = l.push()
	}
	l.unknown(os.Environ())

	c.Warnings = l.warnings
	if len(l.problems) > 0 {
		return c, l.problems
	}
	return c, nil
}

// loader collects what there is to say about the settings.
type loader struct {
	root     fs.FS
	source   map[string]string // variable -> what the user wrote instead of it: a flag, or netatmo-exporter's variable
	problems Problems
	warnings []Problem
}

// name returns what the user wrote to set a variable.
func (l *loader) name(variable string) string {
	if s, ok := l.source[variable]; ok {
		return s
	}
	return variable
}

func (l *loader) problem(variable, what, remedy string) {
	l.problems = append(l.problems, Problem{l.name(variable), what, remedy})
}

func (l *loader) warn(variable, what, remedy string) {
	l.warnings = append(l.warnings, Problem{l.name(variable), what, remedy})
}

// environment gathers the settings from all sources: a flag before our
// variable before that of netatmo-exporter before the default.
func (l *loader) environment(flags map[string]string) *environment {
	env := new(environment)
	envconfig.MustProcess("netatmo", env) // into strings, which cannot fail
	for _, s := range env.settings() {
		if v, ok := flags[s.Name]; ok {
			*s.value = v
			l.source[s.Variable] = "--" + s.Name
		}
		if s.Variable != "NETATMO_CLIENT_ID" { // judged as it stands
			*s.value = bare(*s.value)
		}
	}
	if flags["client-secret-file"] != "" {
		env.ClientSecret = ""
	}
	l.fallBack(&env.TokenFile, "NETATMO_TOKEN_FILE", env.Exporter.TokenFile, "NETATMO_EXPORTER_TOKEN_FILE")
	l.fallBack(&env.ListenAddr, "NETATMO_LISTEN_ADDR", env.Exporter.Addr, "NETATMO_EXPORTER_ADDR")
	l.fallBack(&env.ExternalURL, "NETATMO_EXTERNAL_URL", env.Exporter.ExternalURL, "NETATMO_EXPORTER_EXTERNAL_URL")
	for _, s := range env.settings() {
		if *s.value == "" {
			*s.value = s.Default
		}
	}
	return env
}

func (l *loader) fallBack(value *string, variable, other, otherVariable string) {
	if *value == "" && bare(other) != "" {
		*value = bare(other)
		l.source[variable] = otherVariable
	}
}
