package heartbeat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata" //nolint:depguard // a backend without a network, so that a fake clock works

	"netatmo-agent/agent/catalogue"
	"netatmo-agent/agent/config"
	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/poll"
	"netatmo-agent/agent/telemetry"
)

// outside is the world around an agent. What hangs ends when hang is closed.
type outside struct {
	backend func(hang <-chan struct{}) error
	netatmo func(hang <-chan struct{}) (*http.Response, error)
	login   bool
}

type world struct {
	outside
	hang chan struct{}
}

func (w world) Export(context.Context, *metricdata.ResourceMetrics) error { return w.backend(w.hang) }
func (w world) Shutdown(context.Context) error                            { return nil }
func (w world) RoundTrip(*http.Request) (*http.Response, error)           { return w.netatmo(w.hang) }
func (w world) Token(context.Context) (string, error)                     { return "token", nil }
func (w world) Reject(string)                                             {}

func taken(<-chan struct{}) error { return nil }

// station answers as Netatmo does, with a measurement every ten minutes.
func station(<-chan struct{}) (*http.Response, error) {
	now := time.Now()
	return reply(200, fmt.Sprintf(`{"status":"ok","time_server":%d,"body":{"devices":[{"_id":"70:ee:50:00:10:01","type":"NAMain","reachable":true,
		"dashboard_data":{"time_utc":%d,"Temperature":20.8}}]}}`, now.Unix(), now.Truncate(10*time.Minute).Unix()))
}

func reply(status int, body string) (*http.Response, error) {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}, nil
}

// TestOnlyAHangingLoopIsUnhealthy runs the real loops for a day and more. Where
// something is wrong outside of the agent, no restart helps; a loop that does
// not turn is what --live is for.
func TestOnlyAHangingLoopIsUnhealthy(t *testing.T) {
	for _, tc := range []struct {
		name  string
		world outside
		hangs string // in words; empty: nothing does
	}{
		{"all is well", outside{taken, station, true}, ""},
		{"backend away", outside{func(<-chan struct{}) error { return errors.New("connection refused") }, station, true}, ""},
		{"backend asks to wait for an hour", outside{func(<-chan struct{}) error {
			return &telemetry.Failure{Reason: "throttled", What: "wait", RetryAfter: time.Hour}
		}, station, true}, ""},
		{"Netatmo out of reach", outside{taken, func(<-chan struct{}) (*http.Response, error) { return nil, errors.New("no route to host") }, true}, ""},
		{"Netatmo down", outside{taken, func(<-chan struct{}) (*http.Response, error) { return reply(503, "<html>") }, true}, ""},
		{"quota reached", outside{taken, func(<-chan struct{}) (*http.Response, error) { return reply(429, `{"error":{"code":26}}`) }, true}, ""},
		{"Netatmo asks for a day and is granted an hour", outside{taken, func(<-chan struct{}) (*http.Response, error) {
			resp, err := reply(429, `{"error":{"code":11}}`)
			resp.Header.Set("Retry-After", "86400")
			return resp, err
		}, true}, ""},
		{"waiting for a login", outside{taken, station, false}, ""},
		{"push hangs", outside{func(hang <-chan struct{}) error { <-hang; return nil }, station, true}, "the push is late by"},
		{"poll hangs", outside{taken, func(hang <-chan struct{}) (*http.Response, error) { <-hang; return reply(503, "") }, true}, "the answer about weather is late by"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { liveADay(t, tc.world, tc.hangs) })
		})
	}
}

func liveADay(t *testing.T, o outside, hangs string) {
	t.Helper()
	w := world{o, make(chan struct{})}
	l := loops(t, w, slog.New(slog.DiscardHandler))
	started := time.Now()
	if h := l.look(started); len(h.Hanging) > 0 {
		t.Fatalf("before the first push and poll: %v", h.Hanging)
	}
	ctx, stop := context.WithCancel(t.Context())
	var ended sync.WaitGroup
	ended.Go(func() { l.Poller.Run(ctx) })
	ended.Go(func() { l.Pusher.Run(ctx) })
	defer ended.Wait()
	defer close(w.hang)
	defer stop()

	for time.Since(started) < 30*time.Hour {
		time.Sleep(time.Minute)
		h := l.look(started)
		if len(h.Hanging) > 0 && hangs == "" {
			t.Fatalf("after %s: %v", time.Since(started), h.Hanging)
		}
		if said := strings.Join(h.Hanging, " "); strings.Contains(said, hangs) && hangs != "" {
			return
		}
	}
	if hangs != "" {
		t.Errorf("nothing says %q", hangs)
	}
}

// loops are those of an agent, without the agent.
func loops(t *testing.T, w world, log *slog.Logger) Loops {
	t.Helper()
	const stale, exportTimeout = 20 * time.Minute, 30 * time.Second
	families := []netatmo.Family{netatmo.Weather}
	state, err := poll.OpenState(filepath.Join(t.TempDir(), "state.json"), log)
	if err != nil {
		t.Fatal(err)
	}
	gate := netatmo.NewGate(400)
	client := netatmo.NewClient(netatmo.Options{BaseURL: "http://netatmo.test", HTTP: &http.Client{Transport: w}, Tokens: w, Gate: gate})
	sink := new(sink)
	poller := poll.New(poll.Config{
		Families: families, Stale: stale, History: catalogue.History,
		Authorized: func() bool { return w.login }, Changed: func() <-chan struct{} { return nil }, Logger: log,
	}, client, sink, state)
	sink.Pusher, err = telemetry.NewPusher(telemetry.Options{
		Exporter: w, Push: config.Push{Interval: time.Minute, ExportTimeout: exportTimeout, Timeout: 10 * time.Second, URL: &url.URL{}}, Stale: stale,
		Readings: poller.Readings, ClockOK: poller.ClockOK, Delivered: poller.Delivered, Logger: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	return Loops{Poller: poller, Families: families, Gate: gate, Pusher: sink.Pusher, ExportTimeout: exportTimeout}
}

// sink is a Pusher that is made after the Poller.
type sink struct{ *telemetry.Pusher }

// TestHeartbeatFile goes through the life of the file.
func TestHeartbeatFile(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("RUNTIME_DIRECTORY", dir)
	path := Path("token.json")
	victim := filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(victim, []byte("untouched"), 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		l := loops(t, world{outside{taken, station, true}, nil}, slog.New(slog.DiscardHandler))
		if _, err := Read(path); err == nil || !strings.Contains(err.Error(), "no heartbeat") {
			t.Errorf("before the start: %v", err)
		}
		// Somebody else's file, in a directory that is everybody's.
		if err := os.Symlink(victim, path+".tmp"); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		var ended sync.WaitGroup
		ended.Go(func() { l.Beat(ctx, path, slog.New(slog.DiscardHandler)) })
		ended.Go(func() { l.Pusher.Run(ctx) })
		ended.Go(func() { l.Poller.Run(ctx) })
		time.Sleep(time.Hour + time.Second)
		h, err := Read(path)
		if err != nil || h.PID != os.Getpid() || time.Since(h.Pushed) > 2*time.Minute || time.Since(h.Polled) > 15*time.Minute {
			t.Errorf("%+v, %v", h, err)
		}
		stop()
		ended.Wait()
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
		// A process that stops without ado leaves its last beat.
		if err := h.Write(path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(patience + time.Minute)
		if _, err := Read(path); err == nil || !strings.Contains(err.Error(), "last sign of life was") {
			t.Errorf("after a crash: %v", err)
		}
		if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(path); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("damaged: %v", err)
		}
	})
	if content, _ := os.ReadFile(victim); string(content) != "untouched" {
		t.Error("the heartbeat was written through a link")
	}
}

// TestHeartbeatTellsOfTheStart looks a second after each thing that a user
// would ask "check" about, and counts the heartbeats of a quiet hour.
func TestHeartbeatTellsOfTheStart(t *testing.T) {
	for _, tc := range []struct {
		name                    string
		world                   outside
		polled, pushed, failing bool
	}{
		{"all is well", outside{taken, station, true}, true, true, false},
		{"backend away", outside{func(<-chan struct{}) error { return errors.New("connection refused") }, station, true}, true, false, true},
		{"Netatmo down", outside{taken, func(<-chan struct{}) (*http.Response, error) { return reply(503, "<html>") }, true}, false, false, true},
		{"no login", outside{taken, station, false}, false, false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Setenv("RUNTIME_DIRECTORY", t.TempDir())
			path := Path("token.json")
			synctest.Test(t, func(t *testing.T) {
				l := loops(t, world{tc.world, nil}, slog.New(slog.DiscardHandler))
				var ended sync.WaitGroup
				defer ended.Wait()
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				ended.Go(func() { l.Beat(ctx, path, slog.New(slog.DiscardHandler)) })
				ended.Go(func() { l.Pusher.Run(ctx) })
				ended.Go(func() { l.Poller.Run(ctx) })
				time.Sleep(glance + time.Millisecond)
				h, err := Read(path)
				if err != nil || h.progress() != (progress{tc.polled, tc.pushed, tc.failing}) {
					t.Errorf("after the start: %+v, %v", h, err)
				}
				beats := map[time.Time]bool{}
				for range 3600 {
					time.Sleep(time.Second)
					if h, err = Read(path); err != nil {
						t.Fatal(err)
					}
					beats[h.Written] = true
				}
				if len(beats) < 59 || len(beats) > 63 {
					t.Errorf("%d heartbeats in an hour", len(beats))
				}
			})
		})
	}
}

// TestHeartbeatThatCannotBeWritten warns once, and the agent goes on.
func TestHeartbeatThatCannotBeWritten(t *testing.T) {
	t.Setenv("RUNTIME_DIRECTORY", filepath.Join(os.Args[0], "no-directory"))
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		log := slog.New(slog.NewTextHandler(&said, nil))
		l := loops(t, world{outside{taken, station, true}, nil}, log)
		ctx, stop := context.WithTimeout(t.Context(), 50*time.Minute)
		defer stop()
		l.Beat(ctx, Path("token.json"), log)
		if n := strings.Count(said.String(), "check --live"); n != 1 {
			t.Errorf("%d warnings:\n%s", n, said.String())
		}
	})
}

// An agent that was killed leaves its heartbeat behind; that is no sign of life.
func TestKilledAgentIsNotAlive(t *testing.T) {
	t.Setenv("RUNTIME_DIRECTORY", t.TempDir())
	ended := exec.Command("true")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	path := Path("token.json")
	h := Heartbeat{PID: ended.Process.Pid, Written: time.Now()}
	if err := h.Write(path); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path); err == nil || !strings.Contains(err.Error(), "has ended") {
		t.Errorf("of a killed agent: %v", err)
	}
}
