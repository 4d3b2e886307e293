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
	"netatmo-agent/agent/otlp"
	"netatmo-agent/agent/poll"
	"netatmo-agent/agent/record"
	"netatmo-agent/agent/telemetry"
)

// outside is what an agent communicates with. Everything that hangs ends when
// hang is closed.
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

// TestOnlyAHangingLoopIsUnhealthy runs the real loops for more than a day. A
// restart helps if a loop hangs, not if something outside the agent fails.
func TestOnlyAHangingLoopIsUnhealthy(t *testing.T) {
	for _, tc := range []struct {
		name  string
		world outside
		hangs string        // empty: nothing hangs
		after time.Duration // since the start, at most two minutes before it is noticed
	}{
		{"all is well", outside{taken, station, true}, "", 0},
		{"backend away", outside{func(<-chan struct{}) error { return errors.New("connection refused") }, station, true}, "", 0},
		{"backend asks to wait for an hour", outside{func(<-chan struct{}) error {
			return &otlp.Failure{Reason: "throttled", What: "wait", RetryAfter: time.Hour}
		}, station, true}, "", 0},
		{"Netatmo out of reach", outside{taken, func(<-chan struct{}) (*http.Response, error) { return nil, errors.New("no route to host") }, true}, "", 0},
		{"Netatmo down", outside{taken, func(<-chan struct{}) (*http.Response, error) { return reply(503, "<html>") }, true}, "", 0},
		{"quota reached", outside{taken, func(<-chan struct{}) (*http.Response, error) { return reply(429, `{"error":{"code":26}}`) }, true}, "", 0},
		{"Netatmo asks for a day and is granted an hour", outside{taken, func(<-chan struct{}) (*http.Response, error) {
			resp, err := reply(429, `{"error":{"code":11}}`)
			resp.Header.Set("Retry-After", "86400")
			return resp, err
		}, true}, "", 0},
		{"waiting for a login", outside{taken, station, false}, "", 0},
		{"push hangs", outside{func(hang <-chan struct{}) error { <-hang; return nil }, station, true}, "the push is late by", 5 * time.Minute},
		{"poll hangs", outside{taken, func(hang <-chan struct{}) (*http.Response, error) { <-hang; return reply(503, "") }, true}, "the answer about weather is late by", 3 * time.Hour},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { liveADay(t, tc.world, tc.hangs, tc.after) })
		})
	}
}

func liveADay(t *testing.T, o outside, hangs string, after time.Duration) {
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
			if took := time.Since(started); took < after || took > after+2*time.Minute {
				t.Errorf("noticed after %s, want %s", took, after)
			}
			return
		}
	}
	if hangs != "" {
		t.Errorf("nothing says %q", hangs)
	}
}

// loops returns the loops of an agent.
func loops(t *testing.T, w world, log *slog.Logger) Loops {
	t.Helper()
	const stale, exportTimeout = 20 * time.Minute, 30 * time.Second
	families := []netatmo.Family{netatmo.Weather}
	state, err := record.OpenState(filepath.Join(t.TempDir(), "state.json"), log)
	if err != nil {
		t.Fatal(err)
	}
	gate := netatmo.NewGate(400)
	client := netatmo.NewClient(netatmo.Options{BaseURL: "http://netatmo.test", HTTP: &http.Client{Transport: w}, Tokens: w, Gate: gate})
	known := record.New(record.Config{Stale: stale, History: catalogue.History, Logger: log}, state)
	poller := poll.New(poll.Config{
		Families: families,
		Login: func() uint64 {
			if w.login {
				return 1
			}
			return 0
		}, Changed: func() <-chan struct{} { return nil }, Logger: log,
	}, client, known)
	pusher, err := telemetry.NewPusher(telemetry.Options{
		Exporter: w, Push: config.Push{Interval: time.Minute, ExportTimeout: exportTimeout, Timeout: 10 * time.Second, URL: &url.URL{}}, Stale: stale,
		Readings: known.Readings, Changed: known.Changed(), Clock: known.Clock, Delivered: known.Delivered, Logger: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	return Loops{Poller: poller, Families: families, Gate: gate, Pusher: pusher, ExportTimeout: exportTimeout, Authorized: func() bool { return w.login }}
}

// TestHeartbeatFile follows the file from its first to its last write.
func TestHeartbeatFile(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("RUNTIME_DIRECTORY", dir)
	const tokenFile = "token.json"
	path := paths(tokenFile)[0]
	victim := filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(victim, []byte("untouched"), 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		l := loops(t, world{outside{taken, station, true}, nil}, slog.New(slog.DiscardHandler))
		if _, err := Read(tokenFile); err == nil || !strings.Contains(err.Error(), "no agent has written") {
			t.Errorf("before the start: %v", err)
		}
		// In the temporary directory, any user can create this link.
		if err := os.Symlink(victim, path+".tmp"); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		var ended sync.WaitGroup
		ended.Go(func() { l.Beat(ctx, tokenFile, slog.New(slog.DiscardHandler)) })
		ended.Go(func() { l.Pusher.Run(ctx) })
		ended.Go(func() { l.Poller.Run(ctx) })
		time.Sleep(time.Hour + time.Second)
		h, err := Read(tokenFile)
		if err != nil || h.PID != os.Getpid() || time.Since(h.Pushed) > 2*time.Minute || time.Since(h.Polled) > 15*time.Minute {
			t.Errorf("%+v, %v", h, err)
		}
		stop()
		ended.Wait()
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
		// A process that stops working leaves its last heartbeat.
		if err := h.Write(tokenFile); err != nil {
			t.Fatal(err)
		}
		time.Sleep(4 * time.Minute)
		if _, err := Read(tokenFile); err != nil {
			t.Errorf("4 minutes after a heartbeat: %v", err)
		}
		time.Sleep(2 * time.Minute)
		if _, err := Read(tokenFile); err == nil || !strings.Contains(err.Error(), "its last heartbeat was") {
			t.Errorf("6 minutes after a heartbeat: %v", err)
		}
		if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(tokenFile); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("damaged: %v", err)
		}
	})
	if content, _ := os.ReadFile(victim); string(content) != "untouched" {
		t.Error("the heartbeat was written through a link")
	}
}

// TestHeartbeatFollowsTheStart reads the heartbeat a second after the start, and
// counts heartbeats for an hour.
func TestHeartbeatFollowsTheStart(t *testing.T) {
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
			const tokenFile = "token.json"
			synctest.Test(t, func(t *testing.T) {
				l := loops(t, world{tc.world, nil}, slog.New(slog.DiscardHandler))
				var ended sync.WaitGroup
				defer ended.Wait()
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				ended.Go(func() { l.Beat(ctx, tokenFile, slog.New(slog.DiscardHandler)) })
				ended.Go(func() { l.Pusher.Run(ctx) })
				ended.Go(func() { l.Poller.Run(ctx) })
				time.Sleep(glance + time.Millisecond)
				h, err := Read(tokenFile)
				if err != nil || h.progress() != (progress{tc.polled, tc.pushed, tc.failing}) {
					t.Errorf("after the start: %+v, %v", h, err)
				}
				beats := map[time.Time]bool{}
				for range 3600 {
					time.Sleep(time.Second)
					if h, err = Read(tokenFile); err != nil {
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

// TestHeartbeatThatCannotBeWritten expects one warning from a running agent.
func TestHeartbeatThatCannotBeWritten(t *testing.T) {
	t.Setenv("RUNTIME_DIRECTORY", filepath.Join(os.Args[0], "no-directory"))
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		log := slog.New(slog.NewTextHandler(&said, nil))
		l := loops(t, world{outside{taken, station, true}, nil}, log)
		ctx, stop := context.WithTimeout(t.Context(), 50*time.Minute)
		defer stop()
		l.Beat(ctx, "token.json", log)
		if n := strings.Count(said.String(), "check --live"); n != 1 {
			t.Errorf("%d warnings:\n%s", n, said.String())
		}
	})
}

// An agent that was killed leaves its heartbeat behind.
func TestKilledAgentIsNotAlive(t *testing.T) {
	t.Setenv("RUNTIME_DIRECTORY", t.TempDir())
	ended := exec.Command("true")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	const tokenFile = "token.json"
	h := Heartbeat{PID: ended.Process.Pid, Written: time.Now()}
	if err := h.Write(tokenFile); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(tokenFile); err == nil || !strings.Contains(err.Error(), "has ended") {
		t.Errorf("of a killed agent: %v", err)
	}
}
