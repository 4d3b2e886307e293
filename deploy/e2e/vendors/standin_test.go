package vendors

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip" // which servers read
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// standIn is a proxy that answers for a vendor's host, over TLS or not, as the
// vendor documents.
type standIn struct {
	pmetricotlp.UnimplementedGRPCServer
	*httptest.Server        // the proxy
	CAFile           string // of the certificate of the vendor's host

	t        *testing.T
	backend  Backend
	cert     tls.Certificate
	tunnels  *tunnels
	grpc     *grpc.Server
	mu       sync.Mutex
	host     string // of the requests
	live     int    // current points, accepted
	history  int    // older points, accepted
	counters int    // points of counters, accepted
	refused  []string
}

func newStandIn(t *testing.T, b Backend) *standIn {
	t.Helper()
	s := &standIn{t: t, backend: b, tunnels: &tunnels{conns: make(chan net.Conn), done: make(chan struct{})}}
	s.issue()
	most := 64 << 20
	if b.Server.Most > 0 {
		most = b.Server.Most
	}
	s.grpc = grpc.NewServer(grpc.MaxRecvMsgSize(most))
	pmetricotlp.RegisterGRPCServer(s.grpc, s)
	vendor := &http.Server{Handler: http.HandlerFunc(s.serve), ReadHeaderTimeout: time.Minute, Protocols: new(http.Protocols)}
	vendor.Protocols.SetHTTP1(true)
	vendor.Protocols.SetHTTP2(true)
	vendor.Protocols.SetUnencryptedHTTP2(true)
	go func() { _ = vendor.Serve(s.tunnels) }()
	s.Server = httptest.NewServer(http.HandlerFunc(s.proxy))
	t.Cleanup(func() { vendor.Close(); s.Close() })
	return s
}

// issue makes a certificate for the vendor's hosts.
func (s *standIn) issue() {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		DNSNames: []string{s.backend.host()},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		s.t.Fatal(err)
	}
	s.cert = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	s.CAFile = filepath.Join(s.t.TempDir(), "ca.pem")
	if err := os.WriteFile(s.CAFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// proxy makes a tunnel to the vendor, or passes a request on.
func (s *standIn) proxy(w http.ResponseWriter, r *http.Request) {
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	s.mu.Lock()
	s.host = host
	s.mu.Unlock()
	if r.Method != http.MethodConnect {
		s.serve(w, r)
		return
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		s.t.Error(err)
		return
	}
	if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		conn.Close()
		return
	}
	peeked := &peekedConn{conn, buffered.Reader}
	first, err := peeked.r.Peek(1)
	if err != nil {
		conn.Close()
		return
	}
	if first[0] != 0x16 { // not TLS
		s.tunnels.add(peeked)
		return
	}
	s.tunnels.add(tls.Server(peeked, &tls.Config{Certificates: []tls.Certificate{s.cert}, NextProtos: []string{"h2", "http/1.1"}}))
}

// serve is the vendor's server.
func (s *standIn) serve(w http.ResponseWriter, r *http.Request) {
	d := s.backend.Server
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
		if d.GRPC {
			s.grpc.ServeHTTP(w, r)
			return
		}
		http.NotFound(w, r)
		return
	}
	path := d.Path
	if path == "" {
		path = "/v1/metrics"
	}
	switch {
	case !d.HTTP || r.URL.EscapedPath() != path || r.Method != http.MethodPost:
		http.NotFound(w, r)
		return
	case r.Header.Get("Content-Type") != "application/x-protobuf":
		http.Error(w, "only application/x-protobuf", http.StatusUnsupportedMediaType)
		return
	}
	if missing := s.missing(r.Header.Get); missing != "" {
		http.Error(w, "invalid "+missing+": "+r.Header.Get(missing), http.StatusUnauthorized)
		return
	}
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		var err error
		if body, err = gzip.NewReader(r.Body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	content, err := io.ReadAll(body)
	if err != nil {
		return
	}
	request := pmetricotlp.NewExportRequest()
	switch err := request.UnmarshalProto(content); {
	case d.Most > 0 && len(content) > d.Most:
		http.Error(w, "payload too large", http.StatusRequestEntityTooLarge)
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadRequest)
	default:
		if why := s.take(request.Metrics()); why != "" {
			http.Error(w, why, http.StatusBadRequest)
		}
	}
}

// Export implements the gRPC service.
func (s *standIn) Export(ctx context.Context, r pmetricotlp.ExportRequest) (pmetricotlp.ExportResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	sent := func(name string) string { return strings.Join(md.Get(name), ",") }
	if missing := s.missing(sent); missing != "" {
		return pmetricotlp.NewExportResponse(), status.Error(codes.Unauthenticated, "invalid "+missing+": "+sent(missing))
	}
	if why := s.take(r.Metrics()); why != "" {
		return pmetricotlp.NewExportResponse(), status.Error(codes.InvalidArgument, why)
	}
	return pmetricotlp.NewExportResponse(), nil
}

// missing names a header that is missing or wrong.
func (s *standIn) missing(sent func(name string) string) string {
	for name, value := range s.backend.Server.Headers {
		if sent(name) != value {
			return name
		}
	}
	return ""
}

// take accepts a request, or returns why not.
func (s *standIn) take(md pmetric.Metrics) (why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	live, history, counters := 0, 0, 0
	for _, rm := range md.ResourceMetrics().All() {
		for _, name := range s.backend.Server.Resource {
			if _, ok := rm.Resource().Attributes().Get(name); !ok {
				why = "the resource lacks " + name
			}
		}
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				points := pmetric.NewNumberDataPointSlice()
				switch m.Type() {
				case pmetric.MetricTypeGauge:
					points = m.Gauge().DataPoints()
				case pmetric.MetricTypeSum:
					points = m.Sum().DataPoints()
					counters += points.Len()
					if s.backend.Server.Delta && m.Sum().AggregationTemporality() != pmetric.AggregationTemporalityDelta {
						why = "cumulative monotonic sums are not supported: " + m.Name()
					}
				}
				for _, p := range points.All() {
					if time.Since(p.Timestamp().AsTime()) < time.Minute {
						live++
					} else {
						history++
					}
				}
			}
		}
	}
	if why != "" {
		s.refused = append(s.refused, why)
		return why
	}
	s.live, s.history, s.counters = s.live+live, s.history+history, s.counters+counters
	return ""
}

func (s *standIn) accepted() (live, history, counters int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live, s.history, s.counters
}

func (s *standIn) check() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.host != s.backend.host() {
		return fmt.Errorf("asked for the host %s, want %s", s.host, s.backend.host())
	}
	if len(s.refused) > 0 {
		return fmt.Errorf("refused %d requests: %s", len(s.refused), s.refused[0])
	}
	return nil
}

// tunnels is a listener of the connections that a proxy opens.
type tunnels struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (l *tunnels) add(c net.Conn) {
	select {
	case l.conns <- c:
	case <-l.done:
		c.Close()
	}
}

func (l *tunnels) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, errors.New("closed")
	}
}

func (l *tunnels) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *tunnels) Addr() net.Addr { return &net.TCPAddr{} }

// peekedConn reads what was peeked at first.
type peekedConn struct {
	net.Conn
	r *bufio.Reader
}

func (c *peekedConn) Read(b []byte) (int, error) { return c.r.Read(b) }
