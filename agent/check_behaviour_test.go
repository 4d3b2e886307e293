package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"netatmo-agent/agent/check"
	"netatmo-agent/agent/config"
	"netatmo-agent/agent/heartbeat"
	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/simcloud"
	"netatmo-agent/store"
)

func TestCheckOfAHealthySetup(t *testing.T) {
	r := newCheckRig(t)
	const instance = "0a1b2c3d-0000-4000-8000-000000000001"
	r.write("state.json", `{"instance_id":"`+instance+`","marks":{"70:ee:50:00:10:01":"`+time.Now().Add(-3*time.Minute).Format(time.RFC3339)+`"}}`)
	before := r.tokenFile()

	code, findings := r.check()
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	var areas []string
	for _, f := range findings {
		if f.Level != check.OK {
			t.Errorf("%+v", f)
		}
		if len(areas) == 0 || areas[len(areas)-1] != f.Area {
			areas = append(areas, f.Area)
		}
	}
	if got, want := strings.Join(areas, " "), "settings files agent netatmo clock login weather module homecoach module push"; got != want {
		t.Errorf("areas %s, want %s", got, want)
	}
	if after := r.tokenFile(); after != before {
		t.Error("check changed the token file")
	}
	if r.refreshes() != 0 {
		t.Error("check renewed the token")
	}
	if len(r.points) != 1 || r.points[0].Metric != "netatmo.agent.info" || r.points[0].Resource["service.instance.id"] != instance {
		t.Errorf("the backend got %+v, want one point of the agent's series", r.points)
	}
	if entries, _ := filepath.Glob(filepath.Join(r.dir, "*")); len(entries) != 3 { // token.json, token.lock, state.json
		t.Errorf("check created %v", entries)
	}
}

func (r *checkRig) tokenFile() string {
	content, err := os.ReadFile(filepath.Join(r.dir, "token.json"))
	if err != nil {
		r.Fatal(err)
	}
	return string(content)
}

// TestCheckKnowsEveryModule checks a household with every device.
func TestCheckKnowsEveryModule(t *testing.T) {
	r := newCheckRig(t)
	r.Setenv("NETATMO_DEVICES", "weather,homecoach,energy")
	r.account(simcloud.Default(), nil)
	_, findings := r.check()
	var said strings.Builder
	for _, f := range findings {
		said.WriteString(f.Text + "\n")
	}
	for _, want := range []string{
		"Living room (station): measured", "Garden (outdoor) of Home (Living room): measured", "Bedroom (indoor)", "Roof (wind)", "Lawn (rain)",
		"Nursery (home coach): measured", "Thermostat (thermostat): battery", "Valve (valve): battery", "Relay (relay): Wi-Fi", "Hall (room)", "Study (room)",
	} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("nothing says %q:\n%s", want, said.String())
		}
	}
}

// An id in NETATMO_STATIONS need not have a device with values: a home is also
// known if Netatmo does not send its state, or if it is excluded, and then not
// requested.
func TestCheckOfNamedHomes(t *testing.T) {
	const first, second, bare = "5f00000000000000000000a1", "5f00000000000000000000a2", "5f00000000000000000000a3"
	heated := func(id string) simcloud.Home {
		return simcloud.Home{ID: id, Name: id, Place: simcloud.Place{Zone: "UTC"},
			Gateways: []simcloud.Station{{
				Device:  simcloud.Device{ID: "70:ee:50:00:" + id[22:] + ":09", Name: "Relay", Type: simcloud.TypeRelay},
				Modules: []simcloud.Device{{ID: "04:00:00:00:" + id[22:] + ":01", Name: "Thermostat", Type: simcloud.TypeThermostat}},
			}}}
	}
	silent := heated(bare)
	silent.Quirks = simcloud.EmptyBody
	for _, tt := range []struct {
		stations string
		asked    string // homes
		want     brokenSetup
		code     int
	}{
		{"", "a1 a2 a3", brokenSetup{level: check.OK, area: "energy", text: "Netatmo reports 4 devices"}, 0},
		{bare + "," + first, "a1 a3", brokenSetup{level: check.OK, area: "energy", text: "Netatmo reports"}, 0},
		{"!" + second, "a1 a3", brokenSetup{level: check.OK, area: "energy", text: "Netatmo reports"}, 0},
		{"!" + bare, "a1 a2", brokenSetup{level: check.OK, area: "energy", text: "Netatmo reports"}, 0},
		{"!" + first + ",!" + second + ",!" + bare, "", brokenSetup{level: check.Warn, area: "energy", text: "NETATMO_STATIONS excludes every home that has energy devices", next: second}, 2},
		{"!home9", "a1 a2 a3", brokenSetup{level: check.Warn, area: "settings", text: "NETATMO_STATIONS contains !home9 (which has no effect)", next: bare}, 0},
		{"home9," + first, "a1", brokenSetup{level: check.Warn, area: "settings", text: "NETATMO_STATIONS contains home9, but no station or home has this id", next: second}, 0},
	} {
		t.Run(tt.stations, func(t *testing.T) {
			r := newCheckRig(t)
			r.Setenv("NETATMO_DEVICES", "energy")
			r.Setenv("NETATMO_STATIONS", tt.stations)
			r.account(&simcloud.Scenario{Homes: []simcloud.Home{heated(first), heated(second), silent}}, nil)
			var asked []string
			r.observe = func(req *http.Request) {
				if id := req.URL.Query().Get("home_id"); id != "" {
					asked = append(asked, id[22:])
				}
			}
			code, findings := r.check()
			if _, ok := tt.want.find(findings); !ok || code != tt.code {
				t.Errorf("exit code %d: %+v", code, findings)
			}
			if got := strings.Join(asked, " "); got != tt.asked {
				t.Errorf("requested %q, want %q", got, tt.asked)
			}
			for _, f := range findings {
				if strings.Contains(f.Text, "no station or home has this id") && !strings.Contains(tt.stations, "home9") {
					t.Errorf("%+v", f)
				}
			}
		})
	}
}

func TestCheckOfAnAccountWithoutDevices(t *testing.T) {
	r := newCheckRig(t)
	r.Setenv("NETATMO_DEVICES", "weather,homecoach,energy")
	r.account(&simcloud.Scenario{}, nil)
	code, findings := r.check()
	for _, want := range []brokenSetup{
		{level: check.OK, area: "weather", text: "the account has no weather station"},
		{level: check.OK, area: "homecoach", text: "the account has no home coach"},
		{level: check.OK, area: "energy", text: "the account has no heating"},
	} {
		if _, ok := want.find(findings); !ok {
			t.Errorf("nothing says %q: %+v", want.text, findings)
		}
	}
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestCheckOfflineMakesNoRequests(t *testing.T) {
	r := newCheckRig(t)
	code, findings := r.check("--offline")
	if code != 0 || r.requests.Load() != 0 || len(r.points) != 0 {
		t.Errorf("exit code %d, %d requests, %d points: %+v", code, r.requests.Load(), len(r.points), findings)
	}
	if code, _, stderr := r.run("check", "--offline", "--refresh"); code != 2 || !strings.Contains(stderr, "--refresh") {
		t.Errorf("--offline --refresh: exit code %d, %q", code, stderr)
	}
}

func TestCheckRefreshes(t *testing.T) {
	r := newCheckRig(t)
	r.token(-time.Hour, true)
	code, findings := r.check("--refresh")
	if code != 0 || r.refreshes() != 1 {
		t.Errorf("exit code %d, %d refreshes: %+v", code, r.refreshes(), findings)
	}
	if pair := r.cloud.Auth().Current(); !strings.Contains(r.tokenFile(), pair.Refresh) {
		t.Error("the new refresh token is not saved")
	}
	// A valid token needs no renewal.
	if code, _ := r.check("--refresh"); code != 0 || r.refreshes() != 1 {
		t.Errorf("exit code %d, %d refreshes", code, r.refreshes())
	}
}

// TestCheckWhileTheTokenIsRenewed has a running agent renew the token after
// check has read it.
func TestCheckWhileTheTokenIsRenewed(t *testing.T) {
	r := newCheckRig(t)
	var once sync.Once
	r.observe = func(req *http.Request) {
		if strings.HasPrefix(req.URL.Path, "/api/") {
			once.Do(func() {
				r.pair = r.cloud.Auth().Grant("read_station", "read_homecoach")
				r.token(2*time.Hour, true)
			})
		}
	}
	code, findings := r.check()
	if code != 0 {
		t.Errorf("exit code %d: %+v", code, findings)
	}
	if n := r.refreshes(); n != 0 {
		t.Errorf("%d refreshes", n)
	}
}

// TestCheckSendsNoCredentialsUnencrypted checks that check does not send a header that
// config refuses to send.
func TestCheckSendsNoCredentialsUnencrypted(t *testing.T) {
	r := newCheckRig(t)
	r.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://backend.invalid:4318")
	r.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "Authorization="+checkLogin)
	_, findings := r.check()
	want := brokenSetup{level: check.Warn, area: "push", text: "not tried, because its settings are wrong"}
	if _, ok := want.find(findings); !ok {
		t.Errorf("%+v", findings)
	}
}

func TestCheckForPeople(t *testing.T) {
	r := newCheckRig(t)
	r.Setenv("NETATMO_CLIENT_ID", "")
	r.write("token.json", "")
	code, stdout, stderr := r.run("check", "--offline")
	if code != 2 || stderr != "" {
		t.Errorf("exit code %d, standard error %q", code, stderr)
	}
	endpoint := os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT")
	want := `fail  settings   NETATMO_CLIENT_ID is empty
                 → sign in at https://dev.netatmo.com, open My apps → Create (or an app you have) and copy its client ID. To see the agent at work without an account, run: netatmo-agent demo
ok    settings   pushing to ` + endpoint + ` (OTLP, grpc)
ok    settings   the redirect URI is http://localhost:9210/auth/callback
                 → register exactly this URI in your app at https://dev.netatmo.com, if you have not yet
ok    files      the token file ` + filepath.Join(r.dir, "token.json") + ` can be saved
ok    agent      no agent has run here yet
fail  login      There is no login yet. Log in to Netatmo once
                 → run: netatmo-agent login; or start the agent and open the link that it logs

Some settings are wrong: 2 failures, no warnings, 4 ok.
`
	if stdout != want {
		t.Errorf("check prints\n%s\nwant\n%s", stdout, want)
	}
}

// TestCheckBesideARunningAgent runs both in one directory.
func TestCheckBesideARunningAgent(t *testing.T) {
	r := newCheckRig(t)
	cfg, err := config.Load(nil, config.Need{Login: true, Push: true})
	if err != nil {
		t.Fatal(err)
	}
	a, err := newAgent(t.Context(), cfg, netatmo.NewGate(400), io.Discard, config.NewLogger(io.Discard, 0, "text"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		a.run(ctx)
	}()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if h, err := heartbeat.Read(cfg.TokenFile); err == nil && !h.Pushed.IsZero() && a.poller.Stats().Success {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the agent does not push")
		}
	}
	before := r.tokenFile()

	code, findings := r.check()
	want := brokenSetup{level: check.OK, area: "agent", text: "an agent runs here (process "}
	if _, ok := want.find(findings); !ok || code != 0 {
		t.Errorf("exit code %d: %+v", code, findings)
	}
	if code, stdout, _ := r.run("check", "--live"); code != 0 || !strings.Contains(stdout, "is alive") {
		t.Errorf("check --live: exit code %d, %q", code, stdout)
	}
	if r.tokenFile() != before || r.refreshes() != 0 {
		t.Error("check disturbed the login of the running agent")
	}
	if login := a.source.Status(); !login.Authorized {
		t.Errorf("the running agent lost its login: %s", login.Problem)
	}
	stop()
	<-ended
	if code, _, stderr := r.run("check", "--live"); code != 1 || strings.Count(stderr, "\n") != 1 {
		t.Errorf("check --live after the agent: exit code %d, %q", code, stderr)
	}
}

// TestCheckWaitsForItsTurn with the token file, but not for ever, and not
// longer than the user does.
func TestCheckWaitsForItsTurn(t *testing.T) {
	r := newCheckRig(t)
	lock, err := store.TryLock(filepath.Join(r.dir, "token.lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lock.Unlock() }()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		check := func(ctx context.Context) (code int, said string, took time.Duration) {
			var out bytes.Buffer
			code = execute(ctx, []string{"check", "--offline"}, nil, &out, &out)
			return code, out.String(), time.Since(start)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if code, said, took := check(ctx); code != 1 || !strings.Contains(said, "interrupted") || took > 2*time.Second {
			t.Errorf("interrupted after a second: exit code %d after %s: %s", code, took, said)
		}
		want := fmt.Sprintf("fail  files      process %d holds the lock %s and does not release it", os.Getpid(), filepath.Join(r.dir, "token.lock"))
		if code, said, took := check(t.Context()); code != 1 || !strings.Contains(said, want) || took > 2*time.Minute {
			t.Errorf("exit code %d after %s: %s", code, took, said)
		}
		r.write("token.lock", "") // like flock(1)
		if _, said, _ := check(t.Context()); !strings.Contains(said, "another process holds the lock "+filepath.Join(r.dir, "token.lock")) {
			t.Errorf("held by an unknown process: %s", said)
		}
	})
}

func TestFindingsAsJSON(t *testing.T) {
	r := newCheckRig(t)
	_, stdout, _ := r.run("check", "--json", "--offline")
	var raw []map[string]string
	if err := json.Unmarshal([]byte(stdout), &raw); err != nil {
		t.Fatal(err)
	}
	for _, f := range raw {
		for _, key := range []string{"area", "level", "text", "next"} {
			if _, ok := f[key]; !ok || len(f) != 4 {
				t.Errorf("%v has no %s, or other keys", f, key)
			}
		}
	}
}
