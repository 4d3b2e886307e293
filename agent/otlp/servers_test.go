package otlp

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"

	"netatmo-agent/agent/config"
	"netatmo-agent/agent/logtest"
)

func testPush() config.Push {
	return config.Push{
		Exporter: config.OTLP, Protocol: config.GRPC,
		Timeout: 10 * time.Second, Interval: time.Minute, ExportTimeout: 30 * time.Second,
		ServiceName: "netatmo-agent",
	}
}

// authority signs certificates for tests.
type authority struct {
	t    testing.TB
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	File string // PEM
	Pool *x509.CertPool
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir(), Pool: x509.NewCertPool()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.key, a.cert = a.make(template, nil)
	a.File = a.write("ca.pem", "CERTIFICATE", a.cert.Raw)
	a.Pool.AddCert(a.cert)
	return a
}

func (a *authority) make(template, parent *x509.Certificate) (*ecdsa.PrivateKey, *x509.Certificate) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	signer := a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return key, cert
}

func (a *authority) write(name, kind string, der []byte) string {
	path := filepath.Join(a.dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return path
}

// issue writes a certificate for 127.0.0.1 or, if a name is given, only for
// that.
func (a *authority) issue(file, name string, until time.Time) (certFile, keyFile string) {
	a.t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: file},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: until,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if name == "" {
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	} else {
		template.DNSNames = []string{name}
	}
	key, cert := a.make(template, a.cert)
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.write(file+".pem", "CERTIFICATE", cert.Raw), a.write(file+".key", "EC PRIVATE KEY", der)
}

// serverTLS is the configuration of a server; demandClient requires a client
// certificate.
func (a *authority) serverTLS(name string, until time.Time, demandClient bool) *tls.Config {
	a.t.Helper()
	pair, err := tls.LoadX509KeyPair(a.issue("server", name, until))
	if err != nil {
		a.t.Fatal(err)
	}
	c := &tls.Config{Certificates: []tls.Certificate{pair}}
	if demandClient {
		c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, a.Pool
	}
	return c
}

// httpPush returns the settings for a test server.
func httpPush(t testing.TB, server *httptest.Server) config.Push {
	t.Helper()
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	p := testPush()
	u.Path = "/v1/metrics"
	p.Protocol, p.URL = config.HTTP, u
	return p
}

// newTestExporter returns the exporter for the settings.
func newTestExporter(t testing.TB, p config.Push, log *logtest.Log) Exporter {
	t.Helper()
	e, err := New(t.Context(), p, Options{UserAgent: "netatmo-agent/v1", Logger: log.Logger()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Shutdown(context.Background()) })
	return e
}

// onePoint is the smallest export.
func onePoint() *metricdata.ResourceMetrics {
	return &metricdata.ResourceMetrics{
		Resource: resource.NewSchemaless(attribute.String("service.name", "netatmo-agent")),
		ScopeMetrics: []metricdata.ScopeMetrics{{
			Scope: instrumentation.Scope{Name: "netatmo-agent"},
			Metrics: []metricdata.Metrics{{
				Name: "netatmo.temperature", Unit: "Cel",
				Data: metricdata.Gauge[float64]{DataPoints: []metricdata.DataPoint[float64]{{
					Attributes: attribute.NewSet(attribute.String("module.id", "02:00")), Time: time.Unix(1_760_000_000, 0), Value: 24.6,
				}}},
			}},
		}},
	}
}
