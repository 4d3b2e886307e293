package telemetry

import (
	"context"
	"log/slog"
	"net"
	"net/url"
	"runtime"
	"testing"
	"time"

	"google.golang.org/grpc/test/bufconn"

	"netatmo-agent/agent/netatmo"
)

// An agent pushes half a million times a year, so nothing may stay of a push.
func TestAPushLeavesNothingBehind(t *testing.T) {
	const pushes, most = 4000, 128 // bytes for each, which is the noise of the runtime and of gRPC
	l := bufconn.Listen(1 << 20)
	receiver := ReceiveFrom(l, func(ReceivedPoint) {})
	defer receiver.Close()
	push, log := testPush(), slog.New(slog.DiscardHandler)
	push.URL = &url.URL{Scheme: "http", Host: "127.0.0.1:4317"}
	exporter, err := NewExporterOver(t.Context(), push, func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }, log)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = exporter.Shutdown(context.Background()) }()
	readings := station(2)
	p, err := NewPusher(Options{Exporter: exporter, Push: push, Stale: time.Hour, Readings: func() []netatmo.Reading { return readings }, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	heapAfter := func(pushes int) int64 {
		for range pushes {
			if err := p.PushNow(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		runtime.GC()
		runtime.GC() // what finalisers held back
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heapAfter(pushes / 10) // buffers have their size then
	if grown := heapAfter(pushes) - before; grown > pushes*most {
		t.Errorf("after %d pushes the heap has %d bytes more", pushes, grown)
	}
	runtime.KeepAlive(p)
}
