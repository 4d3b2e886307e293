package telemetry

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	colmetricpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"netatmo-agent/agent/logtest"
	"netatmo-agent/agent/netatmo"
)

// Whatever a backend answers to a request that is too large, even nothing,
// history arrives if a few points can, nothing is dropped, and the size is
// determined once.
func TestSizeIsFoundOut(t *testing.T) {
	for _, limit := range []int{1, 3, 100} { // values
		for name, tooLarge := range map[string]error{
			"grpc-go":               status.Error(codes.ResourceExhausted, "grpc: received message larger than max (1 vs. 0)"),
			"tonic":                 status.Error(codes.OutOfRange, "Error, decoded message length too large"),
			"a Collector's 413":     status.Error(codes.Unknown, "Permanent error: responded with HTTP Status Code 413"),
			"nginx before gRPC":     status.Error(codes.Unknown, "unexpected HTTP status code received from server: 413 (Request Entity Too Large)"),
			"refused without words": status.Error(codes.InvalidArgument, "Permanent error: responded with HTTP Status Code 400"),
			"a fault":               status.Error(codes.Internal, "boom"),
			"a reset":               status.Error(codes.Unavailable, "connection reset by peer"),
			"no answer":             status.Error(codes.DeadlineExceeded, "late"),
			"in words of its own":   status.Error(codes.Unknown, "trop grand"),
		} {
			t.Run(fmt.Sprintf("%s/%d", name, limit), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b, log := &backend{}, &logtest.Log{}
					p := newTestPusher(t, b, log, nil)
					failed := 0
					b.answer = func(r *colmetricpb.ExportMetricsServiceRequest) (*colmetricpb.ExportMetricsServiceResponse, error) {
						if len(samples(r)) > limit {
							failed++
							return nil, tooLarge
						}
						return nil, nil
					}
					points := past(1, 24*time.Hour, 0)
					if limit == 1 { // as small as one time of one sensor
						for i := range points {
							points[i].Values = points[i].Values[:1]
						}
					}
					push := func() {
						t.Helper()
						if done, refused, err := pushHistory(t.Context(), p, points); err != nil || done != len(points) || refused != 0 {
							t.Fatalf("%d of %d done, %d refused, %v", done, len(points), refused, err)
						}
					}
					push()
					if failed > 12 {
						t.Errorf("%d requests failed to find the size", failed)
					}
					before := failed
					push()
					if failed != before {
						t.Errorf("%d more requests failed to find the same size", failed-before)
					}
					for _, m := range points {
						if v := b.held("netatmo.temperature", "module.id="+m.Reading.ModuleID+",")[m.Time]; v != m.Values[0].Number {
							t.Fatalf("%v at %s, want %v", v, m.Time, m.Values[0].Number)
						}
					}
					if log.Count("level=WARN") > 0 {
						t.Errorf("log:\n%s", log)
					}
				})
			})
		}
	}
}

// Live requests that are too large are made smaller once, not at every push.
func TestLiveSizeIsFoundOut(t *testing.T) {
	b := &backend{}
	var readings []netatmo.Reading
	for i := range 200 {
		readings = append(readings, outdoor(moduleID(i), time.Now(), 4))
	}
	p := newTestPusher(t, b, &logtest.Log{}, func(o *Options) {
		o.Readings = func() []netatmo.Reading { return readings }
	})
	failed := 0
	b.answer = func(r *colmetricpb.ExportMetricsServiceRequest) (*colmetricpb.ExportMetricsServiceResponse, error) {
		if len(samples(r)) > 100 {
			failed++
			return nil, status.Error(codes.ResourceExhausted, "grpc: received message larger than max (1 vs. 0)")
		}
		return nil, nil
	}
	for range 5 {
		if err := p.PushNow(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if failed > 15 {
		t.Errorf("%d of %d requests were too large", failed, b.count())
	}
}
