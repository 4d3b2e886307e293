package otlp

import (
	"context"
	"net"
	"time"

	colmetricpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	metricpb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/grpc"
)

// Point is a point as it arrived over OTLP.
type Point struct {
	Metric, Unit string
	Counter      bool
	Attributes   map[string]string
	Resource     map[string]string
	Time         time.Time
	Value        float64
}

// Receiver accepts metrics over OTLP/gRPC, for the demo and for tests, within a
// Collector's limits.
type Receiver struct {
	listener net.Listener
	server   *grpc.Server
}

// Listen listens at addr (host:port, port 0 for any) and calls each for
// every number that arrives, from several goroutines if there are several
// senders.
func Listen(addr string, each func(Point)) (*Receiver, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, err
	}
	return Receive(l, each), nil
}

// Receive is Listen with a listener, which Close closes.
func Receive(l net.Listener, each func(Point)) *Receiver {
	r := &Receiver{listener: l, server: grpc.NewServer()}
	colmetricpb.RegisterMetricsServiceServer(r.server, metricsService{each: each})
	go func() { _ = r.server.Serve(l) }() // until Close
	return r
}

// Addr returns host:port.
func (r *Receiver) Addr() string { return r.listener.Addr().String() }

// Close ends the receiver and every connection to it.
func (r *Receiver) Close() { r.server.Stop() }

type metricsService struct {
	colmetricpb.UnimplementedMetricsServiceServer
	each func(Point)
}

func (s metricsService) Export(_ context.Context, request *colmetricpb.ExportMetricsServiceRequest) (*colmetricpb.ExportMetricsServiceResponse, error) {
	for _, p := range Points(request) {
		s.each(p)
	}
	return &colmetricpb.ExportMetricsServiceResponse{}, nil
}

// Points returns the numbers of a request.
func Points(request *colmetricpb.ExportMetricsServiceRequest) (all []Point) {
	for _, rm := range request.GetResourceMetrics() {
		resource := stringMap(rm.GetResource().GetAttributes())
		for _, sm := range rm.GetScopeMetrics() {
			for _, m := range sm.GetMetrics() {
				points := m.GetGauge().GetDataPoints()
				if sum := m.GetSum(); sum != nil {
					points = sum.GetDataPoints()
				}
				for _, p := range points {
					all = append(all, Point{
						Metric: m.GetName(), Unit: m.GetUnit(), Counter: m.GetSum().GetIsMonotonic(),
						Attributes: stringMap(p.GetAttributes()), Resource: resource,
						Time: timeOf(p), Value: numberOf(p),
					})
				}
			}
		}
	}
	return all
}

func timeOf(p *metricpb.NumberDataPoint) time.Time {
	return time.Unix(0, int64(p.GetTimeUnixNano())) //nolint:gosec // reaches to the year 2262
}

func numberOf(p *metricpb.NumberDataPoint) float64 {
	if i, ok := p.GetValue().(*metricpb.NumberDataPoint_AsInt); ok {
		return float64(i.AsInt)
	}
	return p.GetAsDouble()
}

func stringMap(list []*commonpb.KeyValue) map[string]string {
	m := make(map[string]string, len(list))
	for _, kv := range list {
		m[kv.GetKey()] = kv.GetValue().GetStringValue()
	}
	return m
}
