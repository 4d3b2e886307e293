package telemetry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	colmetricpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	"netatmo-agent/agent/config"
	"netatmo-agent/agent/netatmo"
)

// testLog is a log that can be read while it is written.
type testLog struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *testLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *testLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// lines returns how many lines hold text.
func (l *testLog) lines(text string) int {
	n := 0
	for line := range strings.Lines(l.String()) {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

func (l *testLog) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// backend is an OTLP server that keeps what it gets as Prometheus does: a
// series takes nothing older than its newest sample, unless an out-of-order
// window allows it, and one sample that cannot be taken costs the request.
type backend struct {
	colmetricpb.UnimplementedMetricsServiceServer

	mu       sync.Mutex
	window   time.Duration // out of order
	bounded  bool          // refuse what is too old; else everything is taken
	partial  bool          // take what can be taken, as Mimir does
	mute     bool          // do not say why, as a Collector before the backend
	answer   func(*colmetricpb.ExportMetricsServiceRequest) (*colmetricpb.ExportMetricsServiceResponse, error)
	delay    time.Duration
	lost     int // answers that get lost after the request took effect
	newest   time.Time
	series   map[string]*series
	requests []*colmetricpb.ExportMetricsServiceRequest
	times    []time.Time
}

type series struct {
	newest time.Time
	points map[int64]float64 // by Unix milliseconds
}

func (b *backend) Export(ctx context.Context, r *colmetricpb.ExportMetricsServiceRequest) (*colmetricpb.ExportMetricsServiceResponse, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.requests = append(b.requests, r)
	b.times = append(b.times, time.Now())
	if b.delay > 0 {
		select {
		case <-time.After(b.delay):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if b.answer != nil {
		if resp, err := b.answer(r); resp != nil || err != nil {
			return resp, err
		}
	}
	rejected, err := b.store(r)
	if err != nil && b.mute {
		err = errors.New("Permanent error: responded with HTTP Status Code 400")
	}
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	if rejected > 0 {
		return &colmetricpb.ExportMetricsServiceResponse{PartialSuccess: &colmetricpb.ExportMetricsPartialSuccess{
			RejectedDataPoints: int64(rejected), ErrorMessage: "err-mimir-sample-timestamp-too-old",
		}}, nil
	}
	if b.lost > 0 {
		b.lost--
		return nil, status.Error(codes.DeadlineExceeded, "the answer got lost")
	}
	return &colmetricpb.ExportMetricsServiceResponse{}, nil
}

type sample struct {
	series string
	at     time.Time
	value  float64
}

func samples(r *colmetricpb.ExportMetricsServiceRequest) []sample {
	var all []sample
	for _, rm := range r.GetResourceMetrics() {
		sender := stringMap(rm.GetResource().GetAttributes())
		by := " by " + sender["service.name"] + "/" + sender["service.instance.id"]
		for _, m := range rm.GetScopeMetrics()[0].GetMetrics() {
			for _, p := range append(m.GetGauge().GetDataPoints(), m.GetSum().GetDataPoints()...) {
				all = append(all, sample{seriesName(m.GetName(), p.GetAttributes()) + by, timeOf(p), numberOf(p)})
			}
		}
	}
	return all
}

func seriesName(metric string, attributes []*commonpb.KeyValue) string {
	var b strings.Builder
	b.WriteString(metric + "{")
	for i, a := range attributes { // sorted by key
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(a.GetKey() + "=" + a.GetValue().GetStringValue())
	}
	b.WriteByte('}')
	return b.String()
}

func (b *backend) store(r *colmetricpb.ExportMetricsServiceRequest) (rejected int, err error) {
	all := samples(r)
	newest := b.newest
	for _, s := range all {
		if s.at.After(newest) {
			newest = s.at
		}
	}
	if b.series == nil {
		b.series = map[string]*series{}
	}
	if b.bounded {
		if now := time.Now(); now.After(newest) {
			newest = now // it scrapes itself
		}
		tops := map[string]sample{}
		var good []sample
		for _, s := range all {
			if err = b.appendable(s, tops, newest); err != nil {
				if !b.partial {
					return 0, err
				}
				continue
			}
			good = append(good, s)
			if s.at.After(tops[s.series].at) {
				tops[s.series] = s
			}
		}
		if rejected = len(all) - len(good); len(good) == 0 {
			return 0, fmt.Errorf("too old sample")
		}
		all = good
	}
	for _, s := range all {
		if b.series[s.series] == nil {
			b.series[s.series] = &series{points: map[int64]float64{}}
		}
		ser := b.series[s.series]
		ser.points[s.at.UnixMilli()] = s.value
		if s.at.After(ser.newest) {
			ser.newest = s.at
		}
	}
	b.newest = newest
	return rejected, nil
}

func (b *backend) appendable(s sample, tops map[string]sample, newest time.Time) error {
	inBounds := !s.at.Before(newest.Add(-time.Hour))
	if !inBounds && b.window == 0 {
		return fmt.Errorf("out of bounds")
	}
	top, value := tops[s.series].at, tops[s.series].value
	if ser := b.series[s.series]; ser != nil && ser.newest.After(top) {
		top, value = ser.newest, ser.points[ser.newest.UnixMilli()]
	}
	switch {
	case inBounds && s.at.After(top):
		return nil
	case inBounds && s.at.Equal(top) && value == s.value:
		return nil
	case inBounds && s.at.Equal(top):
		return fmt.Errorf("duplicate sample for timestamp %d", s.at.UnixMilli())
	case b.window > 0 && !s.at.Before(newest.Add(-b.window)):
		return nil
	case b.window > 0:
		return fmt.Errorf("too old sample")
	}
	return fmt.Errorf("out of order sample")
}

// held returns what the backend has of the series whose name begins with
// prefix and holds part, by Unix time.
func (b *backend) held(prefix, part string) map[time.Time]float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := map[time.Time]float64{}
	for name, s := range b.series {
		if strings.HasPrefix(name, prefix+"{") && strings.Contains(name, part) {
			for ms, v := range s.points {
				all[time.UnixMilli(ms)] = v
			}
		}
	}
	return all
}

func (b *backend) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.requests)
}

// serve starts the backend on an in-memory listener and returns an exporter
// for it.
func (b *backend) serve(t testing.TB, p config.Push, log *slog.Logger) Exporter {
	t.Helper()
	l := bufconn.Listen(1 << 20)
	s := grpc.NewServer()
	colmetricpb.RegisterMetricsServiceServer(s, b)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	p.URL = &url.URL{Scheme: "http", Host: "127.0.0.1:4317"}
	e, err := NewExporter(t.Context(), p, ExporterOptions{
		UserAgent: "netatmo-agent/v1", Logger: log,
		Dial: func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Shutdown(context.Background()) })
	return e
}

func testPush() config.Push {
	return config.Push{
		Exporter: config.OTLP, Protocol: config.GRPC,
		Timeout: 10 * time.Second, Interval: time.Minute, ExportTimeout: 30 * time.Second,
		ServiceName: "netatmo-agent",
	}
}

// newTestPusher returns a pusher to b; adjust changes its options.
func newTestPusher(t testing.TB, b *backend, log *testLog, adjust func(*Options)) *Pusher {
	t.Helper()
	o := Options{Push: testPush(), InstanceID: "an-instance", Version: "v1", Stale: 20 * time.Minute, Logger: log.logger()}
	if adjust != nil {
		adjust(&o)
	}
	o.Exporter = b.serve(t, o.Push, o.Logger)
	p, err := NewPusher(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// outdoor returns a reading of an outdoor module measured at a time.
func outdoor(id string, at time.Time, temperature float64) netatmo.Reading {
	return netatmo.Reading{
		Family: netatmo.Weather, ModuleID: id, ModuleName: "Garden " + id, ModuleType: netatmo.TypeOutdoor,
		StationID: "70:ee:50:00:00:01", StationName: "Home", HomeID: "5f01", HomeName: "Villa",
		Wire:     netatmo.WireNames{Module: "Garden " + id, Station: "Home", Home: "Villa"},
		Measured: at, Seen: at, Answered: at,
		Values: netatmo.Values{
			{Field: netatmo.Temperature, Number: temperature},
			{Field: netatmo.Humidity, Number: 61},
			{Field: netatmo.Reachable, Number: 1},
		},
	}
}

// truth is the temperature that a module has at a time.
func truth(module int, at time.Time) float64 {
	return math.Round(10*(float64(module)+float64(at.Unix()%100_000)/1000)) / 10
}

func encodedSize(r *colmetricpb.ExportMetricsServiceRequest) int { return proto.Size(r) }
