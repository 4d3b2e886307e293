package otlp

import (
	"context"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	colmetricpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"netatmo-agent/agent/config"
	"netatmo-agent/agent/logtest"
)

// A server that sends without end costs little memory and causes short lines.
func TestTalkativeServers(t *testing.T) {
	much := strings.Repeat("0123456789abcde ", 8<<20/16)
	const ok = "HTTP/1.1 200 OK\r\n"
	overGRPC := func(answer *colmetricpb.ExportMetricsServiceResponse, err error) func(*testing.T) config.Push {
		return func(t *testing.T) config.Push {
			t.Helper()
			return grpcServer(t, nil, func(context.Context, *colmetricpb.ExportMetricsServiceRequest) (*colmetricpb.ExportMetricsServiceResponse, error) {
				return answer, err
			})
		}
	}
	over := func(protocol string, texts ...string) func(*testing.T) config.Push {
		return func(t *testing.T) config.Push {
			t.Helper()
			p := testPush()
			u, err := url.Parse(speaks(t, texts...))
			if err != nil {
				t.Fatal(err)
			}
			p.Protocol, p.URL = protocol, u
			return p
		}
	}
	partial := func(rejected int64) *colmetricpb.ExportMetricsServiceResponse {
		return &colmetricpb.ExportMetricsServiceResponse{PartialSuccess: &colmetricpb.ExportMetricsPartialSuccess{
			RejectedDataPoints: rejected, ErrorMessage: much[:900<<10]}}
	}
	for name, push := range map[string]func(*testing.T) config.Push{
		"http: status line":      over(config.HTTP, "HTTP/1.1 400 ", much, "\r\n\r\n"),
		"http: long status line": over(config.HTTP, "HTTP/1.1 400 ", much[:60<<10], "\r\nContent-Length: 0\r\n\r\n"),
		"http: header":           over(config.HTTP, ok, "X: ", much, "\r\n\r\n"),
		"http: headers":          over(config.HTTP, ok, strings.Repeat("X: y\r\n", 1<<20), "\r\n"),
		"http: location":         over(config.HTTP, "HTTP/1.1 307 Moved\r\nLocation: http://x/", strings.ReplaceAll(much[:60<<10], " ", "/"), "\r\nContent-Length: 0\r\n\r\n"),
		"http: junk":             over(config.HTTP, much),
		"http: error body":       over(config.HTTP, "HTTP/1.1 500 Oh\r\n\r\n", much),
		"http: body":             over(config.HTTP, ok, "Content-Type: application/x-protobuf\r\n\r\n", much),
		"http: partial success":  over(config.HTTP, ok, "\r\n", marshal(t, partial(1))),
		"http: remark":           over(config.HTTP, ok, "\r\n", marshal(t, partial(0))),
		"grpc: junk":             over(config.GRPC, much),
		"grpc: status":           overGRPC(nil, status.Error(codes.Internal, much)),
		"grpc: long status":      overGRPC(nil, status.Error(codes.Internal, much[:40<<10])),
		"grpc: partial success":  overGRPC(partial(1), nil),
		"grpc: remark":           overGRPC(partial(0), nil),
	} {
		t.Run(name, func(t *testing.T) {
			p, log := push(t), &logtest.Log{}
			p.Timeout = 5 * time.Second
			e := newTestExporter(t, p, log)
			peak, stop := watchMemory()
			f := Classify(e.Export(t.Context(), onePoint()))
			stop()
			if f != nil && len(f.Error()) > 2048 {
				t.Errorf("%d bytes: %.100s", len(f.Error()), f)
			}
			if f == nil && !strings.Contains(name, "remark") {
				t.Error("success")
			}
			for line := range strings.Lines(log.String()) {
				if len(line) > 4096 {
					t.Errorf("a line of %d bytes: %.100s", len(line), line)
				}
			}
			if n := peak(); n > 40<<20 {
				t.Errorf("%d MiB", n>>20)
			}
		})
	}
}

// watchMemory measures by how much memory use grows.
func watchMemory() (peak func() uint64, stop func()) {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	start, most := m.HeapAlloc, m.HeapAlloc
	ended, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-ended:
				return
			case <-time.After(time.Millisecond):
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapAlloc)
			}
		}
	}()
	return func() uint64 { return most - start }, func() { close(ended); <-done }
}
