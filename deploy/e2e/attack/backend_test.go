package attack

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"google.golang.org/grpc"
	_ "google.golang.org/grpc/encoding/gzip" // what a Collector understands
)

// backend accepts OTLP over gRPC and HTTP and remembers when the newest value
// was measured. Both protocols can be made hostile.
type backend struct {
	pmetricotlp.UnimplementedGRPCServer
	grpc, http *door

	onGRPC atomic.Pointer[func() (pmetricotlp.ExportResponse, error)] // instead of accepting a request
	onHTTP atomic.Pointer[http.HandlerFunc]
	date   atomic.Pointer[func() int64] // what it tells for the time, over HTTP

	mu       sync.Mutex
	measured time.Time
	requests int
}

func newBackend(t *testing.T) *backend {
	t.Helper()
	b := &backend{grpc: newDoor(t), http: newDoor(t)}
	g := b.grpcServer()
	h := &http.Server{Handler: http.HandlerFunc(b.post), ReadHeaderTimeout: patience}
	go func() { _ = g.Serve(b.grpc) }()
	go func() { _ = h.Serve(b.http) }()
	t.Cleanup(g.Stop)
	t.Cleanup(func() { h.Close() })
	return b
}

// grpcServer returns a new server for b.
func (b *backend) grpcServer() *grpc.Server {
	g := grpc.NewServer()
	pmetricotlp.RegisterGRPCServer(g, b)
	return g
}

func (b *backend) url(protocol string) string {
	if protocol == "grpc" {
		return "http://" + b.grpc.Addr().String()
	}
	return "http://" + b.http.Addr().String()
}

// honest makes both protocols work again.
func (b *backend) honest() {
	b.onGRPC.Store(nil)
	b.onHTTP.Store(nil)
	b.date.Store(nil)
	b.grpc.turn(nil)
	b.http.turn(nil)
}

// Export implements the gRPC service.
func (b *backend) Export(_ context.Context, r pmetricotlp.ExportRequest) (pmetricotlp.ExportResponse, error) {
	if hostile := b.onGRPC.Load(); hostile != nil {
		return (*hostile)()
	}
	b.take(r.Metrics())
	return pmetricotlp.NewExportResponse(), nil
}

func (b *backend) post(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if at := b.date.Load(); at != nil {
		w.Header().Set("Date", time.Unix((*at)(), 0).UTC().Format(http.TimeFormat))
	}
	if hostile := b.onHTTP.Load(); hostile != nil {
		(*hostile)(w, r)
		return
	}
	request := pmetricotlp.NewExportRequest()
	if err := request.UnmarshalProto(body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	b.take(request.Metrics())
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// take notes the newest measurement time: of live points the value of
// netatmo.measurement.time, of history the timestamp.
func (b *backend) take(md pmetric.Metrics) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if md.DataPointCount() > 0 { // others only ask for the time
		b.requests++
	}
	own, said := time.Time{}, time.Time{}
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				if m.Type() != pmetric.MetricTypeGauge || strings.HasPrefix(m.Name(), "netatmo.agent.") {
					continue
				}
				for _, p := range m.Gauge().DataPoints().All() {
					own = later(own, p.Timestamp().AsTime())
					if m.Name() == "netatmo.measurement.time" {
						said = later(said, time.Unix(int64(p.DoubleValue()), 0), time.Unix(p.IntValue(), 0))
					}
				}
			}
		}
	}
	if said.IsZero() {
		said = own
	}
	b.measured = later(b.measured, said)
}

// later returns the latest of times.
func later(times ...time.Time) (latest time.Time) {
	for _, at := range times {
		if at.Unix() > 0 && at.After(latest) {
			latest = at
		}
	}
	return latest
}

// newest returns when the newest received value was measured.
func (b *backend) newest() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.measured
}

// taken returns the number of accepted requests.
func (b *backend) taken() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.requests
}

// door is a listener on loopback that passes its connections to its server or
// to a hostile handler.
type door struct {
	net.Listener
	honest chan net.Conn
	closed chan struct{}
	close  func()

	mu     sync.Mutex
	turned func(net.Conn) // nil: honest
	open   map[net.Conn]bool
}

func newDoor(t *testing.T) *door {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &door{Listener: l, honest: make(chan net.Conn), closed: make(chan struct{}), open: map[net.Conn]bool{}}
	d.close = sync.OnceFunc(func() { close(d.closed); l.Close(); d.turn(nil) })
	t.Cleanup(d.close)
	go d.serve()
	return d
}

func (d *door) serve() {
	for {
		c, err := d.Listener.Accept()
		if err != nil {
			return
		}
		d.mu.Lock()
		turned := d.turned
		d.open[c] = true
		d.mu.Unlock()
		if turned != nil {
			go func() {
				defer d.forget(c)
				turned(c)
			}()
			continue
		}
		select {
		case d.honest <- doorConn{c, d}:
		case <-d.closed:
			c.Close()
			return
		}
	}
}

func (d *door) forget(c net.Conn) {
	c.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.open, c)
}

// turn passes new connections to h, or to the server if h is nil, and closes the
// open ones.
func (d *door) turn(h func(net.Conn)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.turned = h
	for c := range d.open {
		c.Close()
		delete(d.open, c)
	}
}

// Accept returns the next honest connection.
func (d *door) Accept() (net.Conn, error) {
	select {
	case c := <-d.honest:
		return c, nil
	case <-d.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (d *door) Close() error { d.close(); return nil }

// doorConn leaves its door's list when it is closed.
type doorConn struct {
	net.Conn
	door *door
}

func (c doorConn) Close() error {
	c.door.forget(c.Conn)
	return nil
}
