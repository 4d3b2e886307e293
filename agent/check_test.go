package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"netatmo-agent/agent/check"
	"netatmo-agent/agent/heartbeat"
	"netatmo-agent/agent/simcloud"
	"netatmo-agent/auth/authtest"
)

// brokenSetup is a setup with one fault, and the finding that check must
// report.
type brokenSetup struct {
	name  string
	brk   func(*checkRig)
	args  string
	level check.Level
	area  string
	text  string // is in the finding
	next  string // is in its next step
	code  int
}

func env(pairs ...string) func(*checkRig) {
	return func(r *checkRig) {
		for i := 0; i < len(pairs); i += 2 {
			r.Setenv(pairs[i], pairs[i+1])
		}
	}
}

var brokenSettings = []brokenSetup{
	{"client ID missing", env("NETATMO_CLIENT_ID", ""), "", check.Fail, "settings", "NETATMO_CLIENT_ID is empty", "dev.netatmo.com", 2},
	{"client secret in quotes", env("NETATMO_CLIENT_SECRET", `"`+checkSecret+`"`), "", check.Fail, "settings", "NETATMO_CLIENT_SECRET begins or ends with spaces or quotes", "--env-file", 2},
	{"setting misspelt", env("NETATMO_CLIENT_SECERT", checkSecret), "", check.Warn, "settings", "NETATMO_CLIENT_SECERT is not a known setting", "did you mean NETATMO_CLIENT_SECRET?", 0},
	{"callback in the external URL", env("NETATMO_EXTERNAL_URL", "https://home.example/auth/callback"), "", check.Fail, "settings", "which the agent adds itself", "https://home.example", 2},
	{"unknown device family", env("NETATMO_DEVICES", "wether"), "", check.Fail, "settings", `"wether" is not a device family`, "weather,homecoach,energy", 2},
	{"endpoint without scheme", env("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"), "", check.Fail, "settings", "OTEL_EXPORTER_OTLP_ENDPOINT", "http", 2},
	{"login over plain http", env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector.example:4318", "OTEL_EXPORTER_OTLP_HEADERS", "Authorization="+checkLogin),
		"", check.Fail, "settings", "would be sent unencrypted", "use https", 2},
	{"Basic login with a line break", env("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Basic dXNlcjpvcGVuLXNlc2FtZQo="), "", check.Warn, "settings", "line break", "base64", 0},
	{"Grafana Cloud with a user name", env("OTEL_EXPORTER_OTLP_ENDPOINT", "https://otlp-gateway-prod.grafana.net/otlp", "OTEL_EXPORTER_OTLP_HEADERS", "Authorization="+checkLogin),
		"--offline", check.Warn, "settings", "user is not a number", "access token", 0},
	{"ids separated by semicolons", env("NETATMO_STATIONS", "70:ee:50:00:00:01; 70:ee:50:00:00:02"), "--offline", check.Warn, "settings",
		`NETATMO_STATIONS has "70:ee:50:00:00:01; 70:ee:50:00:00:02", which is longer than any id`, "separate ids by commas", 0},
	{"port of the login pages taken", (*checkRig).takePort, "", check.Warn, "login", "another program listens", "NETATMO_LISTEN_ADDR", 0},
	{"that, and no login", func(r *checkRig) { r.takePort(); r.write("token.json", "") }, "", check.Fail, "login", "another program listens", "NETATMO_LISTEN_ADDR", 2},
	{"filter leaves nothing at all", env("NETATMO_STATIONS", "70:ee:50:ff:ff:ff"), "", check.Fail, "settings", "NETATMO_STATIONS excludes everything", "70:ee:50:00:10:01 (Home (Living room))", 2},
	{"station that the account has not", env("NETATMO_STATIONS", "70:ee:50:00:10:01,70:ee:50:00:20:01,70:ee:50:ff:ff:ff"), "", check.Warn, "settings", "NETATMO_STATIONS contains 70:ee:50:ff:ff:ff, but no station or home has this id", "the ids are 5f1e2d3c4b5a69788796a5b4 (Home), 70:ee:50:00:10:01 (Home (Living room)), 70:ee:50:00:20:01 (Nursery)", 0},
	{"name instead of an id", env("NETATMO_STATIONS", "nursery,70:ee:50:00:10:01"), "", check.Warn, "settings", "NETATMO_STATIONS contains nursery, but no station or home has this id", "these are ids, not names: use 70:ee:50:00:20:01 (Nursery)", 0},
	{"excluded station that the account has not", env("NETATMO_STATIONS", "!70:ee:50:ff:ff:ff"), "", check.Warn, "settings", "NETATMO_STATIONS contains !70:ee:50:ff:ff:ff (which has no effect), but no station or home has this id", "70:ee:50:00:10:01", 0},
}

var brokenFiles = []brokenSetup{
	{"token directory is a file", func(r *checkRig) { r.Setenv("NETATMO_TOKEN_FILE", filepath.Join(r.dir, "token.json", "token.json")) },
		"", check.Fail, "files", "not a directory", "NETATMO_TOKEN_FILE", 2},
	{"token file is a directory", func(r *checkRig) { r.Setenv("NETATMO_TOKEN_FILE", r.dir) }, "", check.Fail, "files", "is a directory", "NETATMO_TOKEN_FILE", 2},
	{"token file is a device", env("NETATMO_TOKEN_FILE", "/dev/null"), "", check.Fail, "files", "device", "NETATMO_TOKEN_FILE", 2},
	{"token file readable by others", func(r *checkRig) {
		if err := os.Chmod(filepath.Join(r.dir, "token.json"), 0o644); err != nil {
			r.Fatal(err)
		}
	}, "", check.Warn, "files", "others could read the token file", "log in again", 0},
	{"state file damaged", func(r *checkRig) { r.write("state.json", `{"marks":`) }, "", check.Warn, "files", "state file is damaged", "login is not affected", 0},
	{"state file is a directory", func(r *checkRig) {
		if err := os.Mkdir(filepath.Join(r.dir, "state.json"), 0o700); err != nil {
			r.Fatal(err)
		}
	}, "", check.Warn, "files", "state file cannot be used", "move", 0},
	{"running agent hangs", func(r *checkRig) {
		h := alive(time.Minute, time.Minute)
		h.Hanging = []string{"the push is late by 20 min"}
		r.runs(h)
	}, "", check.Fail, "agent", "the push is late by 20 min", "restart", 1},
	{"running agent without a sign of life", func(r *checkRig) {
		h := alive(2*time.Hour, 2*time.Hour)
		h.Written = h.Pushed
		r.runs(h)
	}, "", check.Fail, "agent", "its last heartbeat was 2 h ago", "restart", 1},
	{"running agent has not polled", func(r *checkRig) { r.runs(alive(3*time.Hour, time.Minute)) }, "", check.Warn, "agent", "last successful poll: 3 h ago", "log", 0},
	{"running agent has just started", func(r *checkRig) { r.runs(heartbeat.Heartbeat{Started: time.Now(), Written: time.Now()}) },
		"", check.OK, "agent", "started 0 s ago); last successful poll: none yet, last push: none yet", "", 0},
	{"running agent has just started, and fails", func(r *checkRig) {
		r.runs(heartbeat.Heartbeat{Started: time.Now(), Written: time.Now(), Failing: true})
	},
		"", check.Warn, "agent", "last successful poll: none yet", "log", 0},
	{"running agent has not pushed", func(r *checkRig) { r.runs(alive(time.Minute, 3*time.Hour)) }, "", check.Warn, "agent", "last push: 3 h ago", "log", 0},
}

var brokenLogins = []brokenSetup{
	{"no login", func(r *checkRig) { _ = os.Remove(filepath.Join(r.dir, "token.json")) }, "", check.Fail, "login", "There is no login yet", "netatmo-agent login", 3},
	{"token file empty", func(r *checkRig) { r.write("token.json", "") }, "", check.Fail, "login", "There is no login yet", "netatmo-agent login", 3},
	{"token file damaged", func(r *checkRig) { r.write("token.json", `{"access_token":`) }, "", check.Fail, "login", "cannot be read", "netatmo-agent login", 3},
	{"no refresh token", func(r *checkRig) { r.token(time.Hour, false) }, "", check.Warn, "login", "no refresh token", "netatmo-agent login", 0},
	{"no refresh token, expired", func(r *checkRig) { r.token(-time.Hour, false) }, "", check.Fail, "login", "no refresh token", "netatmo-agent login", 3},
	{"expired, offline", func(r *checkRig) { r.token(-3*time.Hour, true) }, "--offline", check.Warn, "login", "expired 3 h ago", "start the agent", 0},
	{"expired, permission withdrawn", func(r *checkRig) { r.token(-time.Hour, true); r.cloud.Auth().Revoke() }, "", check.Fail, "login", "invalid_grant", "netatmo-agent login", 3},
	{"expired, and the token endpoint refuses", func(r *checkRig) {
		r.token(-time.Hour, true)
		r.cloud.Auth().Inject(authtest.Fault{Kind: authtest.InvalidRequest, Times: -1})
	}, "", check.Fail, "login", "invalid_request", "netatmo-agent login", 3},
	{"expired a minute ago, agent running", func(r *checkRig) { r.token(-time.Minute, true); r.runs(alive(time.Minute, time.Minute)) },
		"", check.Warn, "login", "the running agent renews it", "nothing", 0},
	{"expired for hours, agent running", func(r *checkRig) { r.token(-3*time.Hour, true); r.runs(alive(time.Minute, time.Minute)) },
		"", check.Fail, "login", "has not been able to renew it", "netatmo-agent login", 3},
	{"wrong secret, before it is needed", env("NETATMO_CLIENT_SECRET", "another"), "", check.Fail, "login", "invalid_client", "dev.netatmo.com", 2},
	{"wrong secret, no login", func(r *checkRig) {
		_ = os.Remove(filepath.Join(r.dir, "token.json"))
		r.Setenv("NETATMO_CLIENT_SECRET", "another")
	}, "", check.Fail, "login", "invalid_client", "dev.netatmo.com", 2},
	{"the app cannot be tried", func(r *checkRig) { r.cloud.Auth().Inject(authtest.Fault{Kind: authtest.HTML503, Times: -1}) },
		"", check.Warn, "login", "does not show whether it accepts", "nothing", 0},
	{"expired and to be ignored", func(r *checkRig) { r.token(-time.Hour, true); r.Setenv("NETATMO_EXPIRED_TOKEN", "ignore") },
		"", check.Fail, "login", "NETATMO_EXPIRED_TOKEN=ignore prevents its renewal", "netatmo-agent login", 3},
	{"expiry missing", func(r *checkRig) {
		r.write("token.json", fmt.Sprintf(`{"access_token":%q,"refresh_token":%q}`, r.pair.Access, r.pair.Refresh))
	},
		"", check.Warn, "files", "does not say when its access token expires", "the agent renews it", 0},
	{"only a refresh token", func(r *checkRig) { r.write("token.json", fmt.Sprintf(`{"refresh_token":%q}`, r.pair.Refresh)) },
		"--offline", check.Warn, "login", "no access token yet", "start the agent", 0},
	{"permission withdrawn", func(r *checkRig) { r.cloud.Auth().Revoke() }, "", check.Fail, "login", "does not accept the access token", "check --refresh", 1},
	{"permission withdrawn, no refresh token", func(r *checkRig) { r.token(time.Hour, false); r.cloud.Auth().Revoke() },
		"", check.Fail, "login", "does not accept the access token", "netatmo-agent login", 3},
	{"refresh token refused", func(r *checkRig) { r.token(-time.Hour, true); r.cloud.Auth().Revoke() }, "--refresh", check.Fail, "login", "invalid_grant", "can be temporary", 3},
	{"wrong client", func(r *checkRig) { r.token(-time.Hour, true); r.Setenv("NETATMO_CLIENT_SECRET", "another") },
		"--refresh", check.Fail, "login", "invalid_client", "dev.netatmo.com", 2},
	{"token endpoint has a fault", func(r *checkRig) {
		r.token(-time.Hour, true)
		r.cloud.Auth().Inject(authtest.Fault{Kind: authtest.HTML503})
	}, "--refresh", check.Fail, "login", "503", "usually temporary", 1},
}

var brokenNetatmo = []brokenSetup{
	{"Netatmo out of reach", env("NETATMO_API_URL", "http://127.0.0.1:1"), "", check.Fail, "netatmo", "no complete answer from Netatmo (dial tcp 127.0.0.1:1", "DNS", 1},
	{"Netatmo down", func(r *checkRig) { r.cloud.Down(true) }, "", check.Fail, "weather", "HTTP 503", "wait", 1},
	{"Netatmo down, without a login", func(r *checkRig) { r.cloud.Down(true); r.write("token.json", "") }, "", check.Warn, "netatmo", "HTTP 503", "wait", 3},
	{"certificate expired", func(r *checkRig) { r.certificate("127.0.0.1", -2, -1) }, "", check.Fail, "netatmo", "certificate has expired", "clock", 1},
	{"clock behind", func(r *checkRig) { r.skew = 10*time.Minute + 10*time.Second }, "", check.Fail, "clock", "10 min behind", "NTP", 1},
	{"clock ahead", func(r *checkRig) { r.skew = -140 * time.Minute }, "", check.Fail, "clock", "2 h ahead of", "NTP", 1},
	{"clock a little off", func(r *checkRig) { r.skew = -time.Minute }, "", check.Warn, "clock", "ahead of", "NTP", 0},
	{"scope missing", func(r *checkRig) { r.account(mains(), []string{"read_station"}) }, "", check.Fail, "homecoach", "scope read_homecoach", "to grant it, run: netatmo-agent login", 3},
	{"quota reached", func(r *checkRig) { r.cloud.Inject(simcloud.Fault{Kind: simcloud.QuotaReached}) }, "", check.Fail, "weather", "request limit is reached", "wait an hour", 1},
	{"others not asked after that", func(r *checkRig) { r.cloud.Inject(simcloud.Fault{Kind: simcloud.QuotaReached}) }, "", check.Warn, "homecoach", "backing off from Netatmo", "", 1},
	{"app deactivated", func(r *checkRig) { r.cloud.Inject(simcloud.Fault{Kind: simcloud.AppDeactivated, Times: -1}) }, "", check.Fail, "weather", "refused the registered app", "dev.netatmo.com", 1},
	{"HTML instead of an answer", func(r *checkRig) { r.cloud.Inject(simcloud.Fault{Kind: simcloud.HTML}) }, "", check.Fail, "weather", "HTML page", "proxy or hotspot", 1},
	{"answer breaks off", func(r *checkRig) { r.cloud.Inject(simcloud.Fault{Kind: simcloud.Cut}) }, "", check.Fail, "weather", "broke off", "check network", 1},
	{"API URL of something else", func(r *checkRig) { r.Setenv("NETATMO_API_URL", r.backend(http.NotFound)) }, "", check.Fail, "weather", "HTTP 404", "NETATMO_API_URL", 1},
	{"filter leaves nothing", env("NETATMO_STATIONS", "70:ee:50:00:10:01"), "", check.Warn, "homecoach", "NETATMO_STATIONS excludes all of the account's homecoach devices", "70:ee:50:00:20:01", 0},
}

var brokenModules = []brokenSetup{
	{"module dead", func(r *checkRig) { r.quirky(simcloud.Dead) }, "", check.Warn, "module", "Garden (outdoor) of Home (Living room) is not reachable and was never seen", "batteries", 0},
	{"module out of reach", func(r *checkRig) { r.quirky(simcloud.Unreachable) }, "", check.Warn, "module", "Garden (outdoor) of Home (Living room) is not reachable, last seen", "closer to its station", 0},
	{"delivered before", func(r *checkRig) {
		r.quirky(simcloud.Unreachable)
		r.write("state.json", `{"instance_id":"0a1b2c3d-0000-4000-8000-000000000001","marks":{"02:00:00:00:10:02":"`+time.Now().Add(-5*time.Hour).Format(time.RFC3339)+`"}}`)
	}, "", check.Warn, "module", ", last value delivered 5 h ago", "batteries", 0},
	{"module without values", func(r *checkRig) { r.quirky(simcloud.NoData) }, "", check.Warn, "module", "Netatmo has no values", "Netatmo app", 0},
	{"battery nearly empty", func(r *checkRig) { r.quirky(simcloud.BatteryLow) }, "", check.Warn, "module", "battery very low (2 %)", "change the batteries", 0},
	{"values stale", func(r *checkRig) { r.before(time.Hour, func() { r.cloud.Freeze(true) }) }, "", check.Warn, "module", "Values older than 20 min are not pushed", "station is online", 0},
	{"station offline", func(r *checkRig) { r.before(6*time.Hour, func() { r.cloud.SetOffline("70:ee:50:00:10:01", true) }) }, "", check.Warn, "module", "Living room (station) is not reachable, last seen 6 h ago", "Wi-Fi", 0},
	{"two modules of one name", func(r *checkRig) {
		s := mains()
		for i, name := range []string{"Cellar", "Attic"} {
			s.Homes[0].Stations = append(s.Homes[0].Stations, simcloud.Station{
				Device:  simcloud.Device{ID: fmt.Sprintf("70:ee:50:00:1%d:01", i+1), Name: name, Type: simcloud.TypeStation},
				Modules: []simcloud.Device{{ID: fmt.Sprintf("02:00:00:00:1%d:02", i+1), Name: "Garden", Type: simcloud.TypeOutdoor, Quirks: simcloud.Unreachable}},
			})
		}
		r.account(s, nil)
	}, "", check.Warn, "module", "Garden (outdoor) of Home (Attic) is not reachable", "batteries", 0},
	{"gateway away", func(r *checkRig) {
		r.heated(simcloud.TypeThermostat, 0)
		r.cloud.SetOffline("70:ee:50:00:30:09", true)
	}, "", check.Warn, "module", "Relay (relay) is not reachable", "its power and its Wi-Fi", 0},
	{"module of a gateway that is away", func(r *checkRig) {
		r.heated(simcloud.TypeThermostat, 0)
		r.cloud.SetOffline("70:ee:50:00:30:09", true)
	}, "", check.Warn, "module", "Heater (thermostat) is not reachable", "gateway", 0},
	{"valve out of reach", func(r *checkRig) { r.heated(simcloud.TypeValve, simcloud.Unreachable) }, "", check.Warn, "module", "Heater (valve) is not reachable", "gateway", 0},
	{"device of a home without a state", func(r *checkRig) { r.heated(simcloud.TypeValve, simcloud.NoStatus) }, "", check.Warn, "energy", `"Heater" is a device of the home, but Netatmo reports nothing about it`, "", 0},
}

var brokenBackends = []brokenSetup{
	{"nobody listens", env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"), "", check.Fail, "push", "cannot be reached", "nothing listens there", 1},
	{"401", func(r *checkRig) {
		r.backendAnswers(401, "X", "", "wrong login")
		r.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "Authorization="+checkLogin)
	}, "", check.Fail, "push", "rejects the credentials", "Authorization", 1},
	{"redirect", func(r *checkRig) { r.backendAnswers(302, "Location", "https://backend.example/v1/metrics", "") }, "", check.Fail, "push", "https://backend.example/v1/metrics", "OTEL_EXPORTER_OTLP_ENDPOINT", 1},
	{"login page", func(r *checkRig) {
		r.backendAnswers(200, "Content-Type", "text/html", "<!DOCTYPE html><title>Log in</title>")
	}, "", check.Fail, "push", "HTML page", "path and port", 1},
	{"wrong path", func(r *checkRig) { r.backendAnswers(404, "X", "", "404 page not found") }, "", check.Fail, "push", "404", "path and port", 1},
	{"TLS to a plain gRPC port", func(r *checkRig) {
		r.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", strings.Replace(os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT"), "http", "https", 1))
	}, "", check.Fail, "push", "no TLS connection", "http://", 1},
	{"TLS to a plain HTTP port", func(r *checkRig) {
		url := r.backend(http.NotFound)
		r.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", strings.Replace(url, "http", "https", 1)+"/v1/metrics")
	}, "", check.Fail, "push", "no TLS connection", "http://", 1},
	{"gRPC to an HTTP port", func(r *checkRig) { r.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", r.backend(http.NotFound)) }, "", check.Fail, "push", "not an OTLP receiver", "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", 1},
	{"HTTP to a gRPC port", env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"), "", check.Fail, "push", "not an OTLP receiver", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc", 1},
	{"backend asks to wait", func(r *checkRig) { r.backendAnswers(429, "Retry-After", "60", "") }, "", check.Fail, "push", "asks the agent to wait", "this is usually temporary", 1},
}

// TestCheckNamesTheFault breaks a setup in one way after another. With -v it
// prints what check says about each.
func TestCheckNamesTheFault(t *testing.T) {
	var table strings.Builder
	for _, group := range [][]brokenSetup{brokenSettings, brokenFiles, brokenLogins, brokenNetatmo, brokenModules, brokenBackends} {
		for _, tc := range group {
			t.Run(tc.name, func(t *testing.T) {
				r := newCheckRig(t)
				tc.brk(r)
				code, findings := r.check(strings.Fields(tc.args)...)
				f, named := tc.find(findings)
				if !named {
					t.Errorf("the fault is not named in %+v", findings)
				}
				if code != tc.code {
					t.Errorf("exit code %d, want %d: %+v", code, tc.code, findings)
				}
				if n := r.refreshes(); n > 0 && !strings.Contains(tc.args, "--refresh") {
					t.Errorf("check renewed the token %d times", n)
				}
				fmt.Fprintf(&table, "%-38s exit %d  %-4s %-9s %s\n", tc.name, code, f.Level, f.Area, f.Text)
				if f.Next != "" {
					fmt.Fprintf(&table, "%61s→ %s\n", "", f.Next)
				}
			})
		}
	}
	t.Logf("what check says:\n\n%s", table.String())
}

func (tc brokenSetup) find(findings []check.Finding) (check.Finding, bool) {
	for _, f := range findings {
		if f.Level == tc.level && f.Area == tc.area && strings.Contains(f.Text, tc.text) && strings.Contains(f.Next, tc.next) {
			return f, true
		}
	}
	return check.Finding{}, false
}
