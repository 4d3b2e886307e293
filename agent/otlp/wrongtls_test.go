package otlp

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"netatmo-agent/agent/config"
	"netatmo-agent/agent/logtest"
)

// greeting returns the address of a server that reads something, sends text and
// closes the connection.
func greeting(t *testing.T, text string) string {
	t.Helper()
	return listen(t, func(conn net.Conn) {
		_, _ = conn.Read(make([]byte, 1<<16))
		_, _ = io.WriteString(conn, text)
		_ = conn.(*net.TCPConn).CloseWrite() // a reset would lose the text
		_, _ = io.Copy(io.Discard, conn)
	})
}

func mustParse(t *testing.T, address string) *url.URL {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// tlsPort serves TLS, and answers plain text with the given words before it closes
// the connection.
func tlsPort(t *testing.T, secure *tls.Config, answer string) (addr string) {
	t.Helper()
	return listen(t, func(conn net.Conn) {
		first := make([]byte, 1)
		if _, err := io.ReadFull(conn, first); err != nil {
			return
		}
		if first[0] != 22 { // no handshake
			_, _ = io.WriteString(conn, answer)
			return
		}
		_ = tls.Server(&begun{Conn: conn, first: first}, secure).Handshake()
	})
}

// begun is a connection of which the first bytes were read already.
type begun struct {
	net.Conn
	first []byte
}

func (b *begun) Read(p []byte) (int, error) {
	if len(b.first) == 0 {
		return b.Conn.Read(p)
	}
	n := copy(p, b.first)
	b.first = b.first[n:]
	return n, nil
}

// A port that speaks TLS is always found out, over HTTP and gRPC: whatever the
// server says, if it says anything, and whether its words arrive or not.
func TestPlainTextToATLSPort(t *testing.T) {
	page := func(kind, body string) string {
		return fmt.Sprintf("HTTP/1.1 400 Bad Request\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", kind, len(body), body)
	}
	secure := newAuthority(t).serverTLS("", time.Now().Add(time.Hour), false)
	for name, answer := range map[string]string{
		"Go":      "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n",
		"nginx":   page("text/html", "<html>\r\n<head><title>400 The plain HTTP request was sent to HTTPS port</title></head>\r\n<body></body></html>"),
		"Apache":  page("text/html; charset=iso-8859-1", "<!DOCTYPE HTML>\n<html><body><p>Reason: You're speaking plain HTTP to an SSL-enabled server port.<br /></p></body></html>"),
		"OpenSSL": "\x15\x03\x01\x00\x02\x02\x46",
		"silence": "",
	} {
		for _, protocol := range []string{config.HTTP, config.GRPC} {
			t.Run(fmt.Sprint(name, " over ", protocol), func(t *testing.T) {
				p := testPush()
				p.Protocol, p.URL = protocol, mustParse(t, "http://"+tlsPort(t, secure, answer)+"/v1/metrics")
				for range 5 { // what arrives is a matter of luck
					judged(t, newTestExporter(t, p, &logtest.Log{}).Export(t.Context(), manyPoints()), TLS, "the port speaks TLS: begin the endpoint with https://")
				}
			})
		}
	}
}

// A gRPC port is always found out over HTTP, too, however much is sent.
func TestHTTPToAGRPCPort(t *testing.T) {
	r, err := Listen("127.0.0.1:0", func(Point) {})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p := testPush()
	p.Protocol, p.URL = config.HTTP, mustParse(t, "http://"+r.Addr()+"/v1/metrics")
	for range 20 {
		judged(t, newTestExporter(t, p, &logtest.Log{}).Export(t.Context(), manyPoints()), NotOTLP, speaksGRPC)
	}
}

// manyPoints fill the buffers of a connection.
func manyPoints() *metricdata.ResourceMetrics {
	rm := onePoint()
	m := rm.ScopeMetrics[0].Metrics[0]
	m.Description = strings.Repeat("a long description ", 10_000)
	for range 15 {
		rm.ScopeMetrics[0].Metrics = append(rm.ScopeMetrics[0].Metrics, m)
	}
	return rm
}

var instants = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)

// Errors about a certificate are the same over HTTP and gRPC, and complete.
func TestCertificateErrorsAreWhole(t *testing.T) {
	ca, namesake := newAuthority(t), newAuthority(t)
	later := time.Now().Add(time.Hour)
	many := &x509.Certificate{SerialNumber: big.NewInt(3), NotBefore: time.Now().Add(-time.Hour), NotAfter: later}
	for i := range byte(60) {
		many.IPAddresses = append(many.IPAddresses, net.IPv4(10, 0, 0, i))
	}
	key, cert := ca.make(many, ca.cert)
	for name, tt := range map[string]struct {
		tls    *tls.Config
		caFile string
		want   string
	}{
		"many names": {&tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}}}, ca.File,
			"x509: certificate is valid for 10.0.0.0, 10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.4, …, not 127.0.0.1)"},
		"an authority of the same name": {ca.serverTLS("", later, false), namesake.File,
			`(possibly because of "x509: ECDSA verification failure" while trying to verify candidate authority certificate "test authority"))`},
		"expired": {ca.serverTLS("", time.Now().Add(-time.Minute), false), ca.File, "certificate has expired or is not yet valid: current time "},
	} {
		t.Run(name, func(t *testing.T) {
			said := map[string]bool{}
			server := httptest.NewUnstartedServer(nil)
			server.Config.ErrorLog, server.TLS, server.EnableHTTP2 = silent, tt.tls, true
			server.StartTLS()
			defer server.Close()
			for _, protocol := range []string{config.HTTP, config.GRPC} {
				p := testPush()
				p.Protocol, p.CAFile = protocol, tt.caFile
				p.URL = mustParse(t, server.URL+"/v1/metrics")
				f := Classify(newTestExporter(t, p, &logtest.Log{}).Export(t.Context(), onePoint()))
				if f == nil || f.Reason != TLS || !strings.Contains(f.What, tt.want) || !strings.HasSuffix(f.What, ")") {
					t.Errorf("%s: %v", protocol, f)
					continue
				}
				said[instants.ReplaceAllString(strings.Replace(f.What, "Unavailable: ", "", 1), "…")] = true
			}
			if len(said) != 1 {
				t.Errorf("HTTP and gRPC say %v", said)
			}
		})
	}
}
