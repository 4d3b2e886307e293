package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"netatmo-agent/agent/simcloud"
	"netatmo-agent/auth/authtest"
)

// day is a complete agent with its command line, a simulated Netatmo in memory
// and a backend on loopback. Its clock is synctest's.
type day struct {
	t       *testing.T
	cloud   *simcloud.Cloud
	backend *dayBackend
	out     io.Writer
	log     bytes.Buffer
	cancel  context.CancelFunc
	ended   chan int
}

const dayHost = "127.0.0.1:9"

// start begins a day with a login that is valid for three hours.
func (d *day) start() {
	d.serve()
	d.logIn(3 * time.Hour)
	d.begin()
}

// begin starts the agent.
func (d *day) begin() {
	ctx, cancel := context.WithCancel(d.t.Context())
	d.cancel, d.ended = cancel, make(chan int, 1)
	go func() { d.ended <- execute(ctx, []string{"run"}, strings.NewReader(""), d.out, &d.log) }()
}

// serve starts the cloud.
func (d *day) serve() {
	d.cloud = simcloud.New(simcloud.Options{ClientID: checkID, ClientSecret: checkSecret})
	listener := authtest.NewListener()
	server := &http.Server{Handler: d.cloud}
	served := make(chan struct{})
	go func() { defer close(served); _ = server.Serve(listener) }()
	usual := http.DefaultTransport
	transport := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		if addr == dayHost {
			return listener.Dial(ctx, network, addr)
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}}
	http.DefaultTransport = transport
	d.t.Cleanup(func() {
		http.DefaultTransport = usual
		transport.CloseIdleConnections()
		server.Close()
		<-served
	})
}

// logIn writes a token file whose access token is valid for left. It
// has all scopes unless some are given.
func (d *day) logIn(left time.Duration, scopes ...string) {
	if len(scopes) == 0 {
		scopes = []string{"read_station", "read_homecoach", "read_thermostat", "read_smarther"}
	}
	pair := d.cloud.Auth().Grant(scopes...)
	token, err := json.Marshal(map[string]any{"access_token": pair.Access, "refresh_token": pair.Refresh, "expiry": time.Now().Add(left)})
	if err != nil {
		d.t.Fatal(err)
	}
	if err := os.WriteFile(os.Getenv("NETATMO_TOKEN_FILE"), token, 0o600); err != nil {
		d.t.Fatal(err)
	}
}

// stop ends the day like SIGTERM.
func (d *day) stop() {
	d.cancel()
	if code := <-d.ended; code != exitDone {
		d.t.Errorf("exit code %d:\n%s", code, d.log.String())
	}
	log := d.log.String()
	for _, issued := range d.cloud.Auth().Stats().Issued {
		if strings.Contains(log, issued.Access) || strings.Contains(log, issued.Refresh) {
			d.t.Error("a token is in the log")
		}
	}
	if strings.Contains(log, checkSecret) || strings.Contains(log, "open-sesame") {
		d.t.Error("a secret is in the log")
	}
}

// dayBackend accepts every push over HTTP while it is up. It is outside of the
// bubble and keeps no connection open, so that time passes between pushes.
type dayBackend struct {
	addr     string
	switched chan bool
	done     chan struct{}
}

func newDayBackend(t *testing.T) *dayBackend {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &dayBackend{addr: l.Addr().String(), switched: make(chan bool), done: make(chan struct{})}
	go func() {
		server := b.serve(l)
		for up := range b.switched {
			server.Close()
			if up {
				if l, err = net.Listen("tcp", b.addr); err != nil {
					panic(err)
				}
				server = b.serve(l)
			}
			b.done <- struct{}{}
		}
		server.Close()
	}()
	t.Cleanup(func() { close(b.switched) })
	return b
}

func (b *dayBackend) serve(l net.Listener) *http.Server {
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/x-protobuf")
	})}
	server.SetKeepAlivesEnabled(false)
	go func() { _ = server.Serve(l) }()
	return server
}

func (b *dayBackend) up(up bool) {
	b.switched <- up
	<-b.done
}

// newDay prepares a day: the settings of the agent, and a backend.
func newDay(t *testing.T, format, devices string) *day {
	t.Helper()
	d := &day{backend: newDayBackend(t), out: io.Discard}
	dir := t.TempDir()
	for name, value := range map[string]string{
		"NETATMO_CLIENT_ID": checkID, "NETATMO_CLIENT_SECRET": checkSecret,
		"NETATMO_API_URL":             "http://" + dayHost,
		"NETATMO_TOKEN_FILE":          filepath.Join(dir, "token.json"),
		"NETATMO_LISTEN_ADDR":         "off",
		"NETATMO_DEVICES":             devices,
		"NETATMO_LOG_FORMAT":          format,
		"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + d.backend.addr + "/otlp",
		"OTEL_EXPORTER_OTLP_HEADERS":  "Authorization=" + checkLogin,
		"OTEL_METRIC_EXPORT_INTERVAL": "300000", // fewer pushes, to the same effect
		"TMPDIR":                      dir, "RUNTIME_DIRECTORY": "",
	} {
		t.Setenv(name, value)
	}
	return d
}

// turnBad injects every fault once, one after another.
func (d *day) turnBad() {
	const garden = "02:00:00:00:10:02"
	// So that simultaneous events have an order.
	d.cloud.Inject(simcloud.Fault{Endpoint: "getstationsdata", Kind: simcloud.Late, Delay: time.Second})
	d.cloud.Inject(simcloud.Fault{Endpoint: "getmeasure", Kind: simcloud.Late, Delay: time.Second, Times: -1})
	d.cloud.Inject(simcloud.Fault{Endpoint: "getroommeasure", Kind: simcloud.Late, Delay: time.Second, Times: -1})
	for _, turn := range []struct {
		happens func()
		lasts   time.Duration
	}{
		{func() {}, 2 * time.Hour},
		{func() { d.cloud.Auth().Inject(authtest.Fault{Kind: authtest.HTML503, Times: -1}) }, 90 * time.Minute},
		{d.cloud.Auth().Heal, 2 * time.Hour},
		{func() { d.cloud.Inject(simcloud.Fault{Endpoint: "getstationsdata", Kind: simcloud.QuotaReached}) }, 2 * time.Hour},
		{func() { d.backend.up(false) }, 90 * time.Minute},
		{func() { d.backend.up(true) }, time.Hour},
		{func() { d.cloud.SetUnreachable(garden, true) }, 2 * time.Hour},
		{func() { d.cloud.SetUnreachable(garden, false) }, time.Hour},
	} {
		turn.happens()
		time.Sleep(turn.lasts)
	}
}

// pass begins a day, injects the faults, and ends the day. It returns the log.
func (d *day) pass(t *testing.T) (lines []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d.t = t
		d.start()
		d.turnBad()
		d.stop()
	})
	lines = strings.Split(strings.TrimSpace(d.log.String()), "\n")
	if len(lines) >= 25 {
		t.Errorf("%d lines, want fewer than 25:\n%s", len(lines), d.log.String())
	}
	return lines
}

// varying matches what differs between two days: paths, ports, and random
// delays before retries.
var varying = []struct {
	text *regexp.Regexp
	by   string
}{
	{regexp.MustCompile(`^time=\S+ `), ""},
	{regexp.MustCompile(`(commit|version)=\S+`), "$1=…"},
	{regexp.MustCompile(`/\S+/token\.json`), "/…/token.json"},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "127.0.0.1:4318"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`), "…"},
	{regexp.MustCompile(`(failures|samples|points|after)=\w+`), "$1=…"},
}

// TestBadDay is the log of a day on which the token endpoint fails, the quota
// is reached, the collector is down and a module is lost, and all recover. Read
// it: every line should say what has changed and what to do.
//
// go test ./agent -run TestBadDay -update writes it.
func TestBadDay(t *testing.T) {
	lines := newDay(t, "text", "weather").pass(t)
	for i, line := range lines {
		for _, v := range varying {
			line = v.text.ReplaceAllString(line, v.by)
		}
		lines[i] = line + "\n"
		// History has its own retries, and may be the first to succeed.
		if i > 0 && strings.Contains(line, "push works again") && strings.Contains(lines[i-1], "gap filled") {
			lines[i-1], lines[i] = lines[i], lines[i-1]
		}
	}
	const path = "testdata/badday.txt"
	got := strings.Join(lines, "")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("this differs from %s (run with -update if that is meant):\n%s", path, got)
	}
}

// The same with every device family, in the machine-readable format.
func TestBadDayInJSON(t *testing.T) {
	said := map[string]int{}
	for _, line := range newDay(t, "json", "weather,homecoach,energy").pass(t) {
		var entry struct {
			Time       time.Time
			Level, Msg string
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Time.IsZero() || entry.Level == "" || entry.Msg == "" {
			t.Errorf("%v in %s", err, line)
		}
		said[entry.Msg]++
	}
	for _, once := range []string{
		"renewing the access token works again", "polling failed", "polling works again", "push failed", "push works again",
		"modules are within reach again", "stopped",
	} {
		if said[once] != 1 {
			t.Errorf("%q is logged %d times", once, said[once])
		}
	}
}
