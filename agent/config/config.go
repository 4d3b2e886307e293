package config

import (
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"slices"
	"time"
)

// Config is the validated settings.
type Config struct {
	ClientID     string
	ClientSecret Secret

	TokenFile     string // absolute
	StateDir      string // the directory of TokenFile
	IgnoreExpired bool   // leave an expired token file alone and wait for a login

	ListenAddr string   // empty: no login pages
	External   *url.URL // as the browser sees the login pages; its path has no trailing slash

	Families  []string // of "weather", "homecoach", "energy", "control", "security"; at least one
	Scopes    []string // to request at login; nil means those of the families
	Stations  Filter
	Favorites bool

	Measured             bool          // each measurement once, at its own time
	RefreshInterval      time.Duration // 0: follow the stations; else at least a minute
	RequestsPerHour      int           // 20 to 500
	AgeStale             time.Duration
	Backfill             time.Duration // 0: off
	NetatmoExporterNames bool          // names and labels of netatmo-exporter

	LogLevel  slog.Level
	LogFormat string // "text" or "json"
	APIURL    string // without a trailing slash

	Push Push

	// Warnings are about settings that work but deserve attention. They
	// are logged once at start.
	Warnings []Problem
}

// Need says which settings a command requires.
type Need struct {
	Login bool // client ID and client secret
	Push  bool // where to push; if false, Config.Push stays empty
}

// Load reads the settings. flags has the flags that the user set, by name; they
// win over the environment. The error is of type Problems and lists everything
// that is wrong. The Config then holds the valid settings, for commands that
// continue anyway.
func Load(flags map[string]string, need Need) (*Config, error) {
	return load(flags, need, os.DirFS("/"))
}

// load is Load; root is the file system at /, for paths that are fixed.
func load(flags map[string]string, need Need, root fs.FS) (*Config, error) {
	l, s := &loader{root: root}, read(flags)

	c := new(Config)
	c.ClientID, c.ClientSecret = l.credentials(s, need.Login)
	c.TokenFile, c.StateDir = l.tokenFile(s.TokenFile)
	c.IgnoreExpired = l.choice(s.ExpiredToken) == "ignore"
	c.ListenAddr = l.listenAddr(s.ListenAddr)
	c.External = l.external(s.ExternalURL, c.ListenAddr)
	c.Families = l.families(s.Devices)
	c.Scopes = l.scopes(s.Scopes)
	c.Stations = l.filter(s.Stations)
	c.Favorites = l.boolean(s.Favorites)
	c.RequestsPerHour = l.number(s.RequestsPerHour, 20, 500)
	c.RefreshInterval, c.AgeStale, c.Backfill = l.times(s)
	if c.Measured = l.choice(s.Timestamps) == "measured"; c.Measured && zero(s.Backfill.text) {
		l.problem(s.Timestamps, "is measured, but "+s.Backfill.name+" is 0: measurements come from Netatmo's history", "set "+s.Backfill.Variable+" to 24h or more, or leave it unset")
	}
	c.NetatmoExporterNames = l.choice(s.MetricNames) == "netatmo-exporter"
	for _, family := range []string{"energy", "control", "security"} {
		if c.NetatmoExporterNames && slices.Contains(c.Families, family) {
			l.warn(s.Devices, "includes "+family+", for which NETATMO_METRIC_NAMES=netatmo-exporter has no names: its devices are not pushed", "remove "+family+", or use the names otel")
		}
	}
	c.LogLevel = l.logLevel(s.LogLevel)
	c.LogFormat = l.choice(s.LogFormat)
	c.APIURL = l.apiURL(s.APIURL)
	if need.Push {
		c.Push = l.push(s)
	}
	l.unknown(os.Environ())

	c.Warnings = l.warnings
	if len(l.problems) > 0 {
		return c, l.problems
	}
	return c, nil
}

// loader collects what is wrong with the settings.
type loader struct {
	root     fs.FS
	problems Problems
	warnings []Problem
}

func (l *loader) problem(v variable, what, remedy string) {
	l.problems = append(l.problems, Problem{v.Variable, v.name, what, remedy})
}

func (l *loader) warn(v variable, what, remedy string) {
	l.warnings = append(l.warnings, Problem{v.Variable, v.name, what, remedy})
}
