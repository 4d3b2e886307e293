package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"netatmo-agent/agent/catalogue"
	"netatmo-agent/agent/config"
	"netatmo-agent/agent/history"
	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/otlp"
	"netatmo-agent/agent/poll"
	"netatmo-agent/agent/record"
	"netatmo-agent/agent/simcloud"
	"netatmo-agent/agent/telemetry"
)

// BenchmarkAccount is one poll and one push of an account, from the bytes of
// Netatmo's answer to those for the backend: decode, snapshot, collect, encode,
// send.
func BenchmarkAccount(b *testing.B) {
	for _, devices := range []int{10, 100, 1000, 10_000} {
		b.Run(fmt.Sprint(devices, " devices"), func(b *testing.B) {
			turn := account(b, devices)
			turn()
			allocs, size := allocated(func() {
				for b.Loop() {
					turn()
				}
			})
			each := float64(b.N) * float64(devices)
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/each, "ns/device")
			b.ReportMetric(float64(allocs)/each, "allocs/device")
			b.ReportMetric(float64(size)/each, "B/device")
		})
	}
}

// TestCostIsLinear compares the cost of a device in a large account with that
// in a small one, by measures that do not depend on the machine.
func TestCostIsLinear(t *testing.T) {
	cost := func(devices int) (allocs, size float64) {
		turn := account(t, devices)
		turn()
		n, bytes := allocated(turn)
		return float64(n) / float64(devices), float64(bytes) / float64(devices)
	}
	fewAllocs, fewBytes := cost(100)
	allocs, size := cost(10_000)
	t.Logf("a device of 100: %.0f allocations, %.0f bytes; of 10 000: %.0f, %.0f", fewAllocs, fewBytes, allocs, size)
	if allocs > 1.5*fewAllocs || size > 1.5*fewBytes {
		t.Error("a device costs more in a large account")
	}
}

// allocated counts what f allocates.
func allocated(f func()) (allocs, size uint64) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.Mallocs - before.Mallocs, after.TotalAlloc - before.TotalAlloc
}

// account returns a function that polls an account of at least this many
// devices, and pushes the readings over HTTP.
func account(tb testing.TB, devices int) (turn func()) {
	tb.Helper()
	cloud := simcloud.New(simcloud.Options{Scenario: simcloud.Large((devices + 6) / 7), QuotaPer10s: -1, QuotaPerHour: -1})
	asked := httptest.NewRequest("GET", "/api/getstationsdata", http.NoBody)
	asked.Header.Set("Authorization", "Bearer "+cloud.Auth().Grant("read_station").Access)
	answer := httptest.NewRecorder()
	cloud.ServeHTTP(answer, asked)
	src := &gated{
		Client: netatmo.NewClient(netatmo.Options{
			BaseURL: "http://netatmo.test", HTTP: &http.Client{Transport: always(answer.Body.Bytes())}, Tokens: loggedIn{}, Gate: netatmo.NewGate(unlimited),
		}),
		asked: make(chan struct{}), admit: make(chan struct{}),
	}

	log := slog.New(slog.DiscardHandler)
	push := toBackend(tb, httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })))
	exporter, err := otlp.New(tb.Context(), push, otlp.Options{Logger: log})
	if err != nil {
		tb.Fatal(err)
	}
	state, err := record.OpenState(filepath.Join(tb.TempDir(), "state.json"), log)
	if err != nil {
		tb.Fatal(err)
	}
	const stale = time.Hour // the answer is always the same
	known := record.New(record.Config{Stale: stale, MaxGap: time.Hour, History: catalogue.History, Logger: log}, state)
	poller := poll.New(poll.Config{Families: []netatmo.Family{netatmo.Weather}, Interval: time.Nanosecond, Logger: log}, src, known)
	pusher, err := telemetry.NewPusher(telemetry.Options{
		Exporter: exporter, Push: push, Stale: stale, Readings: known.Readings, Delivered: known.Delivered, Logger: log,
	})
	if err != nil {
		tb.Fatal(err)
	}
	ctx, stop := context.WithCancel(tb.Context())
	var ended sync.WaitGroup
	ended.Go(func() { poller.Run(ctx) })
	tb.Cleanup(func() { stop(); ended.Wait() })
	<-src.asked
	return func() {
		src.admit <- struct{}{}
		<-src.asked // the previous poll has ended
		before := pusher.Stats().Points
		if err := pusher.PushNow(ctx); err != nil {
			tb.Fatal(err)
		}
		if points := pusher.Stats().Points - before; points < int64(5*devices) {
			tb.Fatalf("only %d points", points)
		}
	}
}

const unlimited = 1 << 30 // requests an hour

// toBackend returns the settings of a push over HTTP to a server, which stops
// with the test.
func toBackend(tb testing.TB, server *httptest.Server) config.Push {
	tb.Helper()
	tb.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	if err != nil {
		tb.Fatal(err)
	}
	return config.Push{
		Exporter: config.OTLP, Protocol: config.HTTP, URL: u,
		Timeout: time.Minute, ExportTimeout: time.Minute, Interval: time.Minute, ServiceName: "netatmo-agent",
	}
}

// gated holds back every request for weather data until it is admitted.
type gated struct {
	*netatmo.Client
	asked, admit chan struct{}
}

func (g *gated) Weather(ctx context.Context, favorites bool) (netatmo.Answer, error) {
	select {
	case g.asked <- struct{}{}:
	case <-ctx.Done():
		return netatmo.Answer{}, ctx.Err()
	}
	select {
	case <-g.admit:
	case <-ctx.Done():
		return netatmo.Answer{}, ctx.Err()
	}
	return g.Client.Weather(ctx, favorites)
}

// always answers every request with the same bytes.
type always []byte

func (a always) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(a))}, nil
}

// loggedIn has a token that is never rejected.
type loggedIn struct{}

func (loggedIn) Token(context.Context) (string, error) { return "token", nil }
func (loggedIn) Reject(string)                         {}

// BenchmarkBackfill pushes the history of a home over gRPC as fast as possible.
// The cloud and the backend, in the same process, need part of the time. Its
// memory should not depend on the length of the history.
func BenchmarkBackfill(b *testing.B) {
	for _, days := range []int{30, 365} {
		b.Run(fmt.Sprint(days, " days"), func(b *testing.B) {
			cloud := simcloud.New(simcloud.Options{Start: time.Now().AddDate(-2, 0, 0), QuotaPer10s: -1, QuotaPerHour: -1})
			server := httptest.NewServer(cloud)
			defer server.Close()
			client := netatmo.NewClient(netatmo.Options{
				BaseURL: server.URL, Gate: netatmo.NewGate(unlimited),
				Tokens: bearer(cloud.Auth().Grant("read_station", "read_homecoach", "read_thermostat").Access),
			})
			points, most := 0, uint64(0)
			for b.Loop() {
				p, heap := pushAll(b, client, days)
				points, most = points+p, max(most, heap)
			}
			b.ReportMetric(float64(points)/float64(b.N), "points")
			b.ReportMetric(float64(points)/b.Elapsed().Seconds(), "points/s")
			b.ReportMetric(float64(most)/(1<<20), "MiB-held")
		})
	}
}

type bearer string

func (t bearer) Token(context.Context) (string, error) { return string(t), nil }
func (t bearer) Reject(string)                         {}

// pushAll pushes the history of this many days and returns the number of points
// and the highest memory use after a delivery.
func pushAll(b *testing.B, client *netatmo.Client, days int) (points int, most uint64) {
	b.Helper()
	log := slog.New(slog.DiscardHandler)
	receiver, err := otlp.Listen("127.0.0.1:0", func(otlp.Point) {})
	if err != nil {
		b.Fatal(err)
	}
	defer receiver.Close()
	push := config.Push{
		Exporter: config.OTLP, Protocol: config.GRPC, URL: &url.URL{Scheme: "http", Host: receiver.Addr()},
		Timeout: time.Minute, ExportTimeout: time.Minute, ServiceName: "netatmo-agent",
	}
	exporter, err := otlp.New(b.Context(), push, otlp.Options{Logger: log})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = exporter.Shutdown(b.Context()) }()
	pusher, err := telemetry.NewPusher(telemetry.Options{Exporter: exporter, Push: push, Logger: log})
	if err != nil {
		b.Fatal(err)
	}
	fill, err := history.OpenBackfill(b.Context(), history.BackfillConfig{
		Families: []netatmo.Family{netatmo.Weather, netatmo.HomeCoach, netatmo.Energy},
		History:  catalogue.History, Since: time.Now().AddDate(0, 0, -days), File: filepath.Join(b.TempDir(), "backfill.json"), Logger: log,
	}, client)
	if err != nil {
		b.Fatal(err)
	}
	if err := fill.Run(b.Context(), pusher, func(p history.Progress) {
		points = p.Points
		b.StopTimer()
		var now runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&now)
		most = max(most, now.HeapAlloc)
		b.StartTimer()
	}); err != nil {
		b.Fatal(err)
	}
	return points, most
}
