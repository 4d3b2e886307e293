package telemetry

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"netatmo-agent/agent/config"
	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/otlp"
)

// station returns n readings with the values of an indoor module.
func station(n int) []netatmo.Reading {
	now := time.Now()
	readings := make([]netatmo.Reading, n)
	for i := range readings {
		readings[i] = outdoor(moduleID(i), now, truth(i, now))
		for f := netatmo.TemperatureMin; f <= netatmo.CO2; f++ {
			if f != netatmo.Humidity {
				readings[i].Values = append(readings[i].Values, netatmo.Value{Field: f, Number: 20.8})
			}
		}
		readings[i].Values = append(readings[i].Values, netatmo.Value{Field: netatmo.BatteryPercent, Number: 80}, netatmo.Value{Field: netatmo.RadioRSSI, Number: -70})
	}
	return readings
}

type nowhere struct{}

func (nowhere) Export(context.Context, *metricdata.ResourceMetrics) error { return nil }
func (nowhere) Shutdown(context.Context) error                            { return nil }

// One operation is a whole push: only collecting, and with encoding and a
// server that reads (HTTP) or decodes (gRPC) in the same process.
func BenchmarkPush(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	defer server.Close()
	r, err := otlp.Listen("127.0.0.1:0", func(otlp.Point) {})
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	grpcPush, httpPush := testPush(), testPush()
	grpcPush.URL = &url.URL{Scheme: "http", Host: r.Addr()}
	httpPush.Protocol, httpPush.URL = config.HTTP, &url.URL{Scheme: "http", Host: server.Listener.Addr().String(), Path: "/v1/metrics"}
	for _, way := range []struct {
		name     string
		exporter otlp.Exporter
	}{
		{"collect", nowhere{}},
		{"grpc", newTestExporter(b, grpcPush)},
		{"http", newTestExporter(b, httpPush)},
	} {
		for _, n := range []int{10, 100, 1000, 10_000} {
			b.Run(fmt.Sprintf("%s/%d", way.name, n), func(b *testing.B) {
				readings := station(n)
				p, err := NewPusher(Options{Exporter: way.exporter, Push: testPush(), Stale: time.Hour,
					Readings: func() []netatmo.Reading { return readings }, Logger: slog.New(slog.DiscardHandler)})
				if err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				for b.Loop() {
					if err := p.PushNow(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(p.Stats().Points)/b.Elapsed().Seconds(), "points/s")
			})
		}
	}
}

// One operation is a day of history of a house with ten modules.
func BenchmarkHistory(b *testing.B) {
	p, err := NewPusher(Options{Exporter: nowhere{}, Push: testPush(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	points := past(10, 24*time.Hour, 0)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := pushHistory(b.Context(), p, points); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(p.Stats().BackfillPoints)/b.Elapsed().Seconds(), "points/s")
}
