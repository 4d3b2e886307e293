package telemetry

import (
	"context"
	"log/slog"
	"net"
	"net/url"
	"runtime"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/test/bufconn"

	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/otlp"
)

// An agent pushes half a million times a year, so a push must not leave memory
// behind.
func TestAPushLeavesNothingBehind(t *testing.T) {
	const pushes, most = 600, 128 // bytes for each; without a leak the value varies around 0
	l := bufconn.Listen(1 << 20)
	receiver := otlp.Receive(l, func(otlp.Point) {})
	defer receiver.Close()
	push, log := testPush(), slog.New(slog.DiscardHandler)
	push.URL = &url.URL{Scheme: "http", Host: "127.0.0.1:4317"}
	exporter, err := otlp.New(t.Context(), push, otlp.Options{
		Logger: log,
		Dial:   func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = exporter.Shutdown(context.Background()) }()
	readings := []netatmo.Reading{outdoor("02:00", time.Now(), 4)}
	p, err := NewPusher(Options{Exporter: exporter, Push: push, Stale: time.Hour, Readings: func() []netatmo.Reading { return readings }, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	heap := func() int64 {
		for range pushes {
			if err := p.PushNow(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		runtime.GC()
		runtime.GC() // objects that finalizers kept alive
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	var grown []int64 // the first value also has buffers that find their size, minus what earlier tests left
	for before := heap(); len(grown) < 5; {
		now := heap()
		grown, before = append(grown, now-before), now
	}
	runtime.KeepAlive(p)
	slices.Sort(grown)
	if median := grown[len(grown)/2]; median > pushes*most {
		t.Errorf("after %d pushes, %d more bytes are in use", pushes, median)
	}
}
