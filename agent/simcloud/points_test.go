package simcloud_test

import (
	"bytes"
	"cmp"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"netatmo-agent/agent/catalogue"
	"netatmo-agent/agent/config"
	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/otlp"
	"netatmo-agent/agent/poll"
	"netatmo-agent/agent/record"
	"netatmo-agent/agent/simcloud"
	"netatmo-agent/agent/telemetry"
	"netatmo-agent/auth/authtest"
)

var update = flag.Bool("update", false, "write the golden file anew")

const pointsFile = "testdata/points.golden"

// pointsTime is a moment at which it rains, no wind blows, a CO2 sensor sends
// null and rooms are heated, so that most quirks have an effect.
var pointsTime = time.Date(2000, 1, 16, 7, 0, 0, 0, time.UTC)

// TestPoints passes the answers of the two accounts through the whole agent to
// a backend: cloud, client, poller, pusher, OTLP. The golden file has every
// point that arrives, for comparison with the contract.
func TestPoints(t *testing.T) {
	var out bytes.Buffer
	fmt.Fprintf(&out, "All points that arrive at a backend, one a line below the attributes that they share.\n"+
		"The quirks of a device, see scenario.go, are named above it. Written by: go test ./agent/simcloud -run TestPoints -update\n")
	play(t, &out, simcloud.Default(), func(s *stage) {
		s.show("An ordinary account", all)
		s.cloud.SetUnreachable(garden, true)
		s.cloud.RemoveModule(bedroom)
		s.cloud.SetOffline("70:ee:50:00:20:01", true)
		s.cloud.SetOffline(relay, true)
		s.pass(time.Hour)
		s.show("An hour later: Garden is out of reach, Bedroom was removed, Nursery and Relay have lost the network", all)
		s.pass(4 * time.Hour)
		s.show("Four hours later: Netatmo has noticed it of Nursery", func(id string) bool { return id == "70:ee:50:00:20:01" })
	})
	play(t, &out, simcloud.Default(), func(s *stage) {
		s.cloud.Freeze(true)
		s.pass(30 * time.Minute)
		s.show("An ordinary account, frozen for half an hour: Netatmo answers 200 with what it had", all)
	})
	play(t, &out, simcloud.Quirks(), func(s *stage) {
		s.show("The account with every quirk, favourites included", all)
		for before := s.answers(); s.answers() < before+2 || s.answers()%2 == 1; { // every second answer is of the past
			s.pass(time.Minute)
		}
		s.show("The same after an answer of the past about Shed: its time does not go back", func(id string) bool { return id == "70:ee:50:00:22:00" })
	})
	play(t, &out, simcloud.Household(), func(s *stage) {
		s.show("A home with devices of every kind", func(id string) bool { return id == simcloud.Household().Homes[0].ID })
	})
	play(t, &out, &simcloud.Scenario{}, func(s *stage) { s.show("An account without devices", all) })

	if *update {
		if err := os.WriteFile(pointsFile, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(pointsFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Bytes(), want) {
		t.Errorf("points differ from %s (go test -update rewrites it):\n%s", pointsFile, firstDifference(out.String(), string(want)))
	}
}

func all(string) bool { return true }

// firstDifference returns a line of got and of want, and the lines before it.
func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	i := 0
	for i < min(len(g), len(w))-1 && g[i] == w[i] {
		i++
	}
	return fmt.Sprintf("line %d, after\n%s\ngot  %q\nwant %q", i+1, strings.Join(g[max(0, i-10):i], "\n"), g[i], w[i])
}

// stage is the inner part of an agent, between a cloud and a backend in memory.
type stage struct {
	t      *testing.T
	out    *bytes.Buffer
	cloud  *simcloud.Cloud
	quirks map[string]string // by id
	pusher *telemetry.Pusher
	log    lines
	points []otlp.Point // of the last push
}

// play runs the agent on an account from pointsTime.
func play(t *testing.T, out *bytes.Buffer, account *simcloud.Scenario, acts func(*stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(pointsTime))
		s := &stage{t: t, out: out, quirks: quirksOf(account)}
		s.cloud = simcloud.New(simcloud.Options{Scenario: account, Start: pointsTime.AddDate(0, 0, -13), TokenLife: 1000 * time.Hour})
		logger := slog.New(slog.NewTextHandler(&s.log, &slog.HandlerOptions{Level: slog.LevelWarn}))
		state, err := record.OpenState(filepath.Join(t.TempDir(), "state.json"), logger)
		if err != nil {
			t.Fatal(err)
		}
		known := record.New(record.Config{Stale: 20 * time.Minute, History: catalogue.History, Logger: logger}, state)
		poller := poll.New(poll.Config{
			Families:  []netatmo.Family{netatmo.Weather, netatmo.HomeCoach, netatmo.Energy},
			Favorites: true, Logger: logger,
		}, s.client(), known)
		s.connect(known.Readings, logger)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); poller.Run(ctx) }()
		synctest.Wait()
		acts(s)
		cancel()
		<-ended
	})
}

// pass lets time pass, until every goroutine waits.
func (s *stage) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// lines is the log.
type lines struct {
	mu  sync.Mutex
	all []string
}

// Write takes one line, as slog's handlers write them.
func (l *lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, said, _ := strings.Cut(string(line), " ") // without the time
	l.all = append(l.all, said)
	return len(line), nil
}

// take returns the lines since the last call, sorted, because families are
// polled concurrently.
func (l *lines) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.all
	l.all = nil
	slices.Sort(all)
	return all
}

func (s *stage) client() *netatmo.Client {
	l := authtest.NewListener()
	server := &http.Server{Handler: s.cloud}
	go func() { _ = server.Serve(l) }()
	transport := &http.Transport{DialContext: l.Dial}
	s.t.Cleanup(func() { transport.CloseIdleConnections(); _ = server.Close() })
	login := s.cloud.Auth().Grant(strings.Fields("read_station read_homecoach " + simcloud.ScopesInHomes)...)
	return netatmo.NewClient(netatmo.Options{BaseURL: "http://cloud", HTTP: &http.Client{Transport: transport}, Tokens: holder(login.Access), Gate: netatmo.NewGate(400)})
}

type holder string

func (h holder) Token(context.Context) (string, error) { return string(h), nil }
func (holder) Reject(string)                           {}

func (s *stage) connect(readings func() []netatmo.Reading, logger *slog.Logger) {
	l := authtest.NewListener()
	receiver := otlp.Receive(l, func(p otlp.Point) { s.points = append(s.points, p) })
	push := config.Push{
		Exporter: config.OTLP, Protocol: config.GRPC, URL: &url.URL{Scheme: "http", Host: "127.0.0.1:4317"},
		Timeout: 10 * time.Second, Interval: time.Minute, ExportTimeout: 30 * time.Second, ServiceName: "netatmo-agent",
	}
	dial := func(ctx context.Context, addr string) (net.Conn, error) { return l.Dial(ctx, "tcp", addr) }
	exporter, err := otlp.New(s.t.Context(), push, otlp.Options{Logger: logger, Dial: dial})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = exporter.Shutdown(context.Background()); receiver.Close() })
	s.pusher, err = telemetry.NewPusher(telemetry.Options{
		Exporter: exporter, Push: push, InstanceID: "i", Stale: 20 * time.Minute, Readings: readings, Logger: logger,
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// answers is how often the cloud answered about its stations.
func (s *stage) answers() int { return s.cloud.Requests()["getstationsdata"] }

// show pushes, and writes what arrived for the stations and homes that wanted
// selects, which of their modules nothing arrived for, and what was logged.
func (s *stage) show(title string, wanted func(id string) bool) {
	s.t.Helper()
	s.points = nil
	if err := s.pusher.PushNow(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	now := time.Now().UTC()
	fmt.Fprintf(s.out, "\n=== %s. %s, Unix time %d\n", title, now.Format(time.DateTime), now.Unix())
	modules := map[string]map[string][]string{} // lines by id and attributes
	for _, p := range s.points {
		id := p.Attributes["module.id"]
		if strings.HasPrefix(p.Metric, "netatmo.agent.") || !wanted(cmp.Or(p.Attributes["station.id"], p.Attributes["home.id"])) {
			continue
		}
		identity, line := s.describe(p)
		if modules[id] == nil {
			modules[id] = map[string][]string{}
		}
		modules[id][identity] = append(modules[id][identity], line)
	}
	shown := s.cloud.Modules()
	for _, m := range shown {
		if home := (simcloud.Module{ID: m.HomeID, HomeID: m.HomeID, Type: "home"}); modules[m.HomeID] != nil && !slices.ContainsFunc(shown, func(x simcloud.Module) bool { return x.ID == m.HomeID }) {
			shown = append(shown, home)
		}
	}
	for _, m := range shown {
		if modules[m.ID] == nil && wanted(cmp.Or(m.StationID, m.HomeID)) {
			fmt.Fprintf(s.out, "\n%snothing of %s %s %q\n", s.quirks[m.ID], m.Type, m.ID, m.Name)
		}
		for _, identity := range slices.Sorted(maps.Keys(modules[m.ID])) {
			fmt.Fprintf(s.out, "\n%s%s\n", s.quirks[m.ID], identity)
			for _, line := range slices.Sorted(slices.Values(modules[m.ID][identity])) {
				fmt.Fprintln(s.out, line)
			}
		}
		delete(modules, m.ID)
	}
	if len(modules) > 0 {
		s.t.Errorf("%s: points of modules that the account does not have: %v", title, modules)
	}
	if warnings := s.log.take(); len(warnings) > 0 {
		fmt.Fprintf(s.out, "\nthe log says\n  %s", strings.Join(warnings, "  "))
	}
}

// describe splits a point into the attributes of its module and the rest.
func (s *stage) describe(p otlp.Point) (identity, line string) {
	line = fmt.Sprintf("  %-29s %s", p.Metric, strings.TrimSpace(strconv.FormatFloat(p.Value, 'f', -1, 64)+" "+p.Unit))
	for _, key := range []string{"module.type", "module.id", "module.name", "station.id", "station.name", "home.id", "home.name", "room.name"} {
		if value, ok := p.Attributes[key]; ok {
			identity += fmt.Sprintf("%s=%q ", key, value)
			delete(p.Attributes, key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(p.Attributes)) {
		line += fmt.Sprintf(" %s=%q", key, p.Attributes[key])
	}
	if !p.Time.Equal(time.Now()) || p.Counter {
		s.t.Errorf("a counter, or a point with another time: %+v", p)
	}
	return strings.TrimSpace(identity), line
}
