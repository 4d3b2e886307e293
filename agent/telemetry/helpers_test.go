package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	colmetricpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	"netatmo-agent/agent/config"
	"netatmo-agent/agent/logtest"
	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/otlp"
)

// backend is an OTLP server that stores points as Prometheus does: a series
// accepts nothing older than its newest sample, unless an out-of-order window
// allows it, and one unacceptable sample fails the whole request.
type backend struct {
	colmetricpb.UnimplementedMetricsServiceServer

	mu       sync.Mutex
	window   time.Duration // out of order
	bounded  bool          // refuse points that are too old; else accept all
	partial  bool          // accept what is acceptable, as Mimir does
	mute     bool          // do not say why, like a Collector in front of the backend
	answer   func(*colmetricpb.ExportMetricsServiceRequest) (*colmetricpb.ExportMetricsServiceResponse, error)
	delay    time.Duration
	lost     int // answers that are lost after the request took effect
	newest   time.Time
	series   map[string]*series
	requests []*colmetricpb.ExportMetricsServiceRequest
	times    []time.Time

	changed chan struct{} // Options.Changed of its pusher
}

// wake announces a new reading.
func (b *backend) wake() {
	select {
	case b.changed <- struct{}{}:
	default:
	}
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
	for _, p := range otlp.Points(r) {
		var attributes []string
		for _, key := range slices.Sorted(maps.Keys(p.Attributes)) {
			attributes = append(attributes, key+"="+p.Attributes[key])
		}
		name := fmt.Sprintf("%s{%s} by %s/%s", p.Metric, strings.Join(attributes, ","), p.Resource["service.name"], p.Resource["service.instance.id"])
		all = append(all, sample{name, p.Time, p.Value})
	}
	return all
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

// held returns the backend's samples in series whose name begins with prefix
// and contains part, by Unix time.
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
func (b *backend) serve(t testing.TB, p config.Push, log *slog.Logger) otlp.Exporter {
	t.Helper()
	l := bufconn.Listen(1 << 20)
	s := grpc.NewServer()
	colmetricpb.RegisterMetricsServiceServer(s, b)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	p.URL = &url.URL{Scheme: "http", Host: "127.0.0.1:4317"}
	e, err := otlp.New(t.Context(), p, otlp.Options{
		UserAgent: "netatmo-agent/v1", Logger: log,
		Dial: func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Shutdown(context.Background()) })
	return e
}

// newTestExporter returns the exporter for the settings.
func newTestExporter(t testing.TB, p config.Push) otlp.Exporter {
	t.Helper()
	e, err := otlp.New(t.Context(), p, otlp.Options{UserAgent: "netatmo-agent/v1", Logger: slog.New(slog.DiscardHandler)})
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
func newTestPusher(t testing.TB, b *backend, log *logtest.Log, adjust func(*Options)) *Pusher {
	t.Helper()
	b.changed = make(chan struct{}, 1)
	o := Options{Push: testPush(), InstanceID: "an-instance", Version: "v1", Stale: 20 * time.Minute, Changed: b.changed, Logger: log.Logger()}
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

// measurement is a sample of a module.
type measurement struct {
	Reading netatmo.Reading
	Time    time.Time
	Values  netatmo.Values
}

// now is one current measurement of a module.
func now(id string) []measurement {
	at := time.Now()
	return []measurement{{Reading: outdoor(id, at, 1), Time: at, Values: netatmo.Values{{Field: netatmo.Temperature, Number: 1}}}}
}

// pushHistory pushes the history of several modules, one module after the other.
func pushHistory(ctx context.Context, p *Pusher, points []measurement) (done, refused int, err error) {
	var modules []netatmo.Reading
	samples := map[netatmo.Key][]netatmo.Sample{}
	for _, m := range points {
		key := m.Reading.Key()
		if samples[key] == nil {
			modules = append(modules, m.Reading)
		}
		samples[key] = append(samples[key], netatmo.Sample{Time: m.Time, Values: m.Values})
	}
	for _, module := range modules {
		d, err := p.PushHistory(ctx, module, samples[module.Key()])
		done, refused = done+d.Done(), refused+d.Refused
		if err != nil {
			return done, refused, err
		}
	}
	return done, refused, nil
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

// truth is the temperature of a module at a time.
func truth(module int, at time.Time) float64 {
	return math.Round(10*(float64(module)+float64(at.Unix()%100_000)/1000)) / 10
}

func encodedSize(r *colmetricpb.ExportMetricsServiceRequest) int { return proto.Size(r) }
