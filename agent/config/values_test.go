package config

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestListenAndExternal(t *testing.T) {
	const addr, external = "NETATMO_LISTEN_ADDR", "NETATMO_EXTERNAL_URL"
	for _, test := range []struct {
		env              map[string]string
		listen, external string
	}{
		{with(), "127.0.0.1:9210", "http://localhost:9210"},
		{with(addr, ":9210"), ":9210", "http://localhost:9210"},
		{with(addr, "0.0.0.0:8080"), "0.0.0.0:8080", "http://localhost:8080"},
		{with(addr, "[::]:8080"), "[::]:8080", "http://localhost:8080"},
		{with(addr, "[::1]:8080"), "[::1]:8080", "http://localhost:8080"},
		{with(addr, "pi.lan:9210"), "pi.lan:9210", "http://pi.lan:9210"},
		{with(addr, "Off"), "", "http://localhost:9210"},
		{with(addr, `":9210"`), ":9210", "http://localhost:9210"},
		{with(external, "http://192.168.1.10:9210/"), "127.0.0.1:9210", "http://192.168.1.10:9210"},
		{with(external, "https://home.example/netatmo/"), "127.0.0.1:9210", "https://home.example/netatmo"},
		{with(external, " HTTPS://home.example "), "127.0.0.1:9210", "https://home.example"},
		{with("NETATMO_EXPORTER_ADDR", "0.0.0.0:9210"), "0.0.0.0:9210", "http://localhost:9210"},
		{with("NETATMO_EXPORTER_ADDR", "0.0.0.0:9210", addr, "127.0.0.1:1"), "127.0.0.1:1", "http://localhost:1"},
		{with("NETATMO_EXPORTER_EXTERNAL_URL", "http://nas:9210"), "127.0.0.1:9210", "http://nas:9210"},
		{with("NETATMO_EXPORTER_EXTERNAL_URL", "http://nas:9210", external, "http://pi"), "127.0.0.1:9210", "http://pi"},
	} {
		c, problems := loadEnv(t, test.env, nil, Need{})
		if problems != nil || c.ListenAddr != test.listen || c.External.String() != test.external {
			t.Errorf("%v: listen %q, external %v, problems %v; want %q, %q", test.env, c.ListenAddr, c.External, problems, test.listen, test.external)
		}
	}
}

func TestValuesRefused(t *testing.T) {
	for _, test := range []struct{ variable, value, what, remedy string }{
		{"NETATMO_LISTEN_ADDR", "9210", "not an address", ":9210"},
		{"NETATMO_LISTEN_ADDR", "localhost", "not an address", "host:port"},
		{"NETATMO_LISTEN_ADDR", ":http", "not an address", "host:port"},
		{"NETATMO_LISTEN_ADDR", ":70000", "not an address", "host:port"},
		{"NETATMO_EXPORTER_ADDR", "9210", "not an address", "host:port"},
		{"NETATMO_EXTERNAL_URL", "home.example:9210", "does not begin with http://", "https://home.example"},
		{"NETATMO_EXTERNAL_URL", "ftp://home.example", "ftp://", "http"},
		{"NETATMO_EXTERNAL_URL", "http://", "not a valid URL", "http://"},
		{"NETATMO_EXTERNAL_URL", "http://h:99999", "not a valid URL", "http://"},
		{"NETATMO_EXTERNAL_URL", "http://u:hush-hush@h", "user name or password", "http://"},
		{"NETATMO_EXTERNAL_URL", "http://h/?a=hush-hush", "query (?)", "http://"},
		{"NETATMO_EXTERNAL_URL", "http://h/base/auth/callback", "adds itself", "set it to http://h/base"},
		{"NETATMO_EXTERNAL_URL", "http://0.0.0.0:9210", "no browser can open", "name or address"},
		{"NETATMO_EXPORTER_EXTERNAL_URL", "nas:9210", "does not begin with http://", "http://"},
		{"NETATMO_DEVICES", "home_coach", "not a device family", "homecoach"},
		{"NETATMO_SCOPES", "read_station;read_homecoach", "not a scope", "read_station read_homecoach"},
		{"NETATMO_REQUESTS_PER_HOUR", "19", "not a number from 20 to 500", "400"},
		{"NETATMO_REQUESTS_PER_HOUR", "501", "not a number from 20 to 500", "400"},
		{"NETATMO_REQUESTS_PER_HOUR", "many", "not a number from 20 to 500", "400"},
		{"NETATMO_STATIONS", "70:ee:50:00:00:01,!", "without an id", "!70:ee"},
		{"NETATMO_FAVORITES", "maybe", "neither true nor false", "true or false"},
		{"NETATMO_REFRESH_INTERVAL", "8", "no unit", "8m"},
		{"NETATMO_REFRESH_INTERVAL", "-8m", "must be a duration", "30m"},
		{"NETATMO_AGE_STALE", "0", "is 0", "20m"},
		{"NETATMO_AGE_STALE", "long", "must be a duration", "30m"},
		{"NETATMO_BACKFILL", "7days", "must be a duration", "7d"},
		{"NETATMO_EXPIRED_TOKEN", "keep", "not a valid value", "refresh or ignore"},
		{"NETATMO_METRIC_NAMES", "prometheus", "not a valid value", "otel or netatmo-exporter"},
		{"NETATMO_LOG_LEVEL", "verbose", "not a log level", "debug"},
		{"NETATMO_LOG_FORMAT", "logfmt", "not a valid value", "text or json"},
		{"NETATMO_API_URL", "api.netatmo.com", "does not begin with http://", "https://api.netatmo.com"},
		{"NETATMO_TOKEN_FILE", "/data/", "a directory", "/data/token.json"},
	} {
		_, problems := loadEnv(t, with(test.variable, test.value), nil, Need{})
		if len(problems) != 1 {
			t.Errorf("%s=%s: %d problems: %v", test.variable, test.value, len(problems), problems)
			continue
		}
		p := problems[0]
		if p.Setting != test.variable || !strings.Contains(p.What, test.what) || !strings.Contains(p.Remedy, test.remedy) {
			t.Errorf("%s=%s: %+v", test.variable, test.value, p)
		}
		if strings.Contains(problems.Error(), hush) {
			t.Errorf("%s: shows the value: %v", test.variable, problems)
		}
	}
}

func TestValues(t *testing.T) {
	for _, test := range []struct {
		variable, value string
		ok              func(*Config) bool
	}{
		{"NETATMO_EXPIRED_TOKEN", "ignore", func(c *Config) bool { return c.IgnoreExpired }},
		{"NETATMO_DEVICES", " Energy , weather,energy,", func(c *Config) bool { return slices.Equal(c.Families, []string{"energy", "weather"}) }},
		{"NETATMO_DEVICES", `"homecoach"`, func(c *Config) bool { return slices.Equal(c.Families, []string{"homecoach"}) }},
		{"NETATMO_DEVICES", "weather,all", func(c *Config) bool {
			return slices.Equal(c.Families, []string{"weather", "homecoach", "energy", "control", "security"})
		}},
		{"NETATMO_SCOPES", "read_station, read_thermostat read_station", func(c *Config) bool { return slices.Equal(c.Scopes, []string{"read_station", "read_thermostat"}) }},
		{"NETATMO_REQUESTS_PER_HOUR", "20", func(c *Config) bool { return c.RequestsPerHour == 20 }},
		{"NETATMO_REQUESTS_PER_HOUR", "500", func(c *Config) bool { return c.RequestsPerHour == 500 }},
		{"NETATMO_STATIONS", "all", func(c *Config) bool { return c.Stations.Keep == nil }},
		{"NETATMO_FAVORITES", "1", func(c *Config) bool { return c.Favorites }},
		{"NETATMO_FAVORITES", "TRUE", func(c *Config) bool { return c.Favorites }},
		{"NETATMO_REFRESH_INTERVAL", "8m", func(c *Config) bool { return c.RefreshInterval == 8*time.Minute }},
		{"NETATMO_REFRESH_INTERVAL", "0s", func(c *Config) bool { return c.RefreshInterval == 0 }},
		{"NETATMO_AGE_STALE", "1h", func(c *Config) bool { return c.AgeStale == time.Hour }},
		{"NETATMO_BACKFILL", "0", func(c *Config) bool { return c.Backfill == 0 }},
		{"NETATMO_BACKFILL", "7d", func(c *Config) bool { return c.Backfill == 7*24*time.Hour }},
		{"NETATMO_BACKFILL", "1d12h", func(c *Config) bool { return c.Backfill == 36*time.Hour }},
		{"NETATMO_METRIC_NAMES", "netatmo-exporter", func(c *Config) bool { return c.NetatmoExporterNames }},
		{"NETATMO_LOG_LEVEL", "DEBUG", func(c *Config) bool { return c.LogLevel == slog.LevelDebug }},
		{"NETATMO_LOG_LEVEL", "warning", func(c *Config) bool { return c.LogLevel == slog.LevelWarn }},
		{"NETATMO_LOG_LEVEL", "trace", func(c *Config) bool { return c.LogLevel == slog.LevelDebug }},
		{"NETATMO_LOG_LEVEL", "fatal", func(c *Config) bool { return c.LogLevel == slog.LevelError }},
		{"NETATMO_LOG_LEVEL", "panic", func(c *Config) bool { return c.LogLevel == slog.LevelError }},
		{"NETATMO_LOG_FORMAT", "json", func(c *Config) bool { return c.LogFormat == "json" }},
		{"NETATMO_API_URL", "https://cloud.example/sim/", func(c *Config) bool { return c.APIURL == "https://cloud.example/sim" }},
		{"NETATMO_API_URL", "http://localhost:8000", func(c *Config) bool { return c.APIURL == "http://localhost:8000" }},
	} {
		c, problems := loadEnv(t, with(test.variable, test.value), nil, Need{})
		if problems != nil || c.Warnings != nil || !test.ok(c) {
			t.Errorf("%s=%s: problems %v, warnings %q, %+v", test.variable, test.value, problems, c.Warnings, c)
		}
	}
}

func TestValuesWithWarnings(t *testing.T) {
	for _, test := range []struct {
		env     map[string]string
		warning []string
	}{
		{with("NETATMO_REFRESH_INTERVAL", "10s"), []string{"NETATMO_REFRESH_INTERVAL is 10s, raised to 1m"}},
		{with("NETATMO_AGE_STALE", "5m"), []string{"NETATMO_AGE_STALE is 5m, but", "ten minutes"}},
		{with("NETATMO_AGE_STALE", "20m", "NETATMO_REFRESH_INTERVAL", "30m"), []string{"NETATMO_AGE_STALE (20m) is shorter than NETATMO_REFRESH_INTERVAL (30m)"}},
		{with("NETATMO_STATIONS", "70:ee:50:00:00:01 70:ee:50:00:00:02"), []string{"NETATMO_STATIONS", "longer than any id", "commas"}},
		{with("NETATMO_API_URL", "http://cloud.example"), []string{"NETATMO_API_URL", "plain http"}},
	} {
		c, problems := loadEnv(t, test.env, nil, Need{})
		if problems != nil || len(c.Warnings) != 1 {
			t.Errorf("%v: problems %v, warnings %q", test.env, problems, c.Warnings)
		}
		mention(t, texts(c.Warnings), test.warning...)
	}
	if c, _ := loadEnv(t, with("NETATMO_REFRESH_INTERVAL", "10s"), nil, Need{}); c.RefreshInterval != time.Minute {
		t.Errorf("a refresh interval of 10s became %v, want 1m", c.RefreshInterval)
	}
}

func TestParseDurationRefuses(t *testing.T) {
	for _, text := range []string{"", "d", "-1d", "1.5d", "1d-1h", "1d1d", "99999d", "7 d", "1w", "NaN", "9223372036s9223372036s"} {
		if d, err := ParseDuration(text); err == nil {
			t.Errorf("%q was read as %v", text, d)
		}
	}
	_, err := ParseDuration("300")
	if err == nil || err.Error() != `"300" has no unit: write 300s or 300m` {
		t.Errorf("ParseDuration: %v", err)
	}
}

func TestFilter(t *testing.T) {
	const a, b, home = "70:ee:50:00:00:01", "70:ee:50:00:00:02", "5f0000000000000000000009"
	for _, test := range []struct {
		setting         string
		station, homeID string
		want            bool
	}{
		{"all", a, home, true},
		{a, a, home, true},
		{a, b, home, false},
		{a, "70 :EE: 50:00:00:01", "", true},
		{"70:EE:50:00 :00:01", a, "", true},
		{"70-EE-50-00-00-01", a, "", true},
		{"!" + a, a, home, false},
		{"! " + a, a, home, false},
		{"!" + a, b, home, true},
		{home, a, home, true},
		{home + ",!" + a, a, home, false},
		{home + ",!" + a, b, home, true},
		{"!" + home, a, home, false},
		{a + "," + b, b, "", true},
		{a, "", home, false},
		{"!" + a, "", home, true},
	} {
		c, problems := loadEnv(t, with("NETATMO_STATIONS", test.setting), nil, Need{})
		if problems != nil {
			t.Error(problems)
		}
		if got := c.Stations.Allows(test.station, test.homeID); got != test.want {
			t.Errorf("%q allows station %q of home %q: %v, want %v", test.setting, test.station, test.homeID, got, test.want)
		}
	}
	if !(Filter{}).Allows("", "") {
		t.Error("the zero Filter does not allow everything")
	}
}

func TestHeatingHasNoNamesInNetatmoExporter(t *testing.T) {
	for names, warned := range map[string]bool{"otel": false, "netatmo-exporter": true} {
		c, problems := loadEnv(t, with("NETATMO_METRIC_NAMES", names, "NETATMO_DEVICES", "weather,energy"), nil, Need{})
		if problems != nil || slices.ContainsFunc(c.Warnings, func(w Problem) bool { return w.Setting == "NETATMO_DEVICES" }) != warned {
			t.Errorf("%s: %v, %v", names, problems, c.Warnings)
		}
	}
}

func TestTimestamps(t *testing.T) {
	for value, measured := range map[string]bool{"": false, "push": false, "Measured": true} {
		if c, problems := loadEnv(t, with("NETATMO_TIMESTAMPS", value), nil, Need{}); problems != nil || c.Measured != measured {
			t.Errorf("%q: %v, problems %v", value, c.Measured, problems)
		}
	}
	for _, env := range []map[string]string{
		with("NETATMO_TIMESTAMPS", "wire"),
		with("NETATMO_TIMESTAMPS", "measured", "NETATMO_BACKFILL", "0"),
		with("NETATMO_TIMESTAMPS", "measured", "NETATMO_BACKFILL", "0h"),
	} {
		if _, problems := loadEnv(t, env, nil, Need{}); len(problems) != 1 || problems[0].Setting != "NETATMO_TIMESTAMPS" || problems[0].Remedy == "" {
			t.Errorf("%v: problems %v", env, problems)
		}
	}
}
