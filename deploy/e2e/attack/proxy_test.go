package attack

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"netatmo-agent/deploy/e2e"
)

// elsewhere is a name that does not resolve, so that only a proxy reaches it.
const elsewhere = "netatmo.test"

// certificate returns a self-signed certificate for loopback and elsewhere, and
// its file.
func certificate(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: elsewhere},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		DNSNames: []string{elsewhere}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}

// tlsDoor is a door for TLS connections.
type tlsDoor struct {
	*door
	config *tls.Config
}

func newTLSDoor(t *testing.T, handler http.Handler, protocols ...string) (d *tlsDoor, caFile string) {
	t.Helper()
	cert, caFile := certificate(t)
	d = &tlsDoor{door: newDoor(t), config: &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: protocols, MinVersion: tls.VersionTLS12}}
	server := &http.Server{Handler: handler, TLSConfig: d.config, ReadHeaderTimeout: patience}
	go func() { _ = server.ServeTLS(d.door, "", "") }()
	t.Cleanup(func() { server.Close() })
	return d, caFile
}

// turn passes connections to h after the handshake.
func (d *tlsDoor) turn(h func(net.Conn)) {
	if h == nil {
		d.door.turn(nil)
		return
	}
	d.door.turn(func(raw net.Conn) {
		conn := tls.Server(raw, d.config)
		if conn.Handshake() == nil {
			h(conn)
		}
	})
}

// overTLS puts the cloud behind TLS and HTTP/2.
func (s *scene) overTLS() {
	s.t.Helper()
	d, ca := newTLSDoor(s.t, s.front, "h2", "http/1.1")
	s.tls = d
	s.cloud.URL = "https://" + d.Addr().String()
	s.set(s.cloud.Env().With(e2e.Env{"SSL_CERT_FILE": ca}))
}

// proxy is an HTTP proxy that connects every CONNECT to the same address.
type proxy struct {
	*door
	to string
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	p := &proxy{door: newDoor(t), to: to}
	p.honest()
	return p
}

func (p *proxy) honest() { p.turn(p.serve) }

func (p *proxy) serve(conn net.Conn) {
	in := bufio.NewReader(conn)
	if _, err := http.ReadRequest(in); err != nil {
		return
	}
	far, err := net.DialTimeout("tcp", p.to, patience)
	if err != nil {
		return
	}
	defer far.Close()
	io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
	var both sync.WaitGroup
	both.Go(func() { _, _ = io.Copy(far, in); far.Close() })
	both.Go(func() { _, _ = io.Copy(conn, far); conn.Close() })
	both.Wait()
}

// says makes the proxy answer tk to every CONNECT.
func (p *proxy) says(s *scene, tk talk) {
	p.turn(func(conn net.Conn) {
		defer s.strikes.Add(1)
		_ = conn.SetDeadline(time.Now().Add(patience))
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
			return
		}
		w := bufio.NewWriter(conn)
		tk.say(w)
		_ = w.Flush() // the agent may have closed the connection
		pause()
	})
}

// proxyAttacks make a proxy answer each of heads to CONNECT, on the way to the
// backend and to Netatmo.
func proxyAttacks() (all []attack) {
	for _, tk := range heads {
		for _, protocol := range []string{"grpc", "http/protobuf"} {
			all = append(all, attack{"proxy before pushes over " + names[protocol], tk.name, func(s *scene) {
				p := s.proxied(protocol)
				s.healthy()
				p.says(s, tk)
				s.struck(2)
				p.honest()
				s.recovers()
			}})
		}
		all = append(all, attack{"proxy before polls", tk.name, func(s *scene) {
			d, ca := newTLSDoor(s.t, s.front, "http/1.1")
			p := newProxy(s.t, d.Addr().String())
			s.cloud.URL = "https://" + elsewhere
			s.set(s.cloud.Env().With(e2e.Env{"SSL_CERT_FILE": ca, "HTTPS_PROXY": "http://" + p.Addr().String()}))
			s.healthy()
			p.says(s, tk)
			s.struck(1)
			p.honest()
			s.recovers()
		}})
	}
	return all
}

var names = map[string]string{"grpc": "gRPC", "http/protobuf": "HTTP"}

// proxied puts the backend behind TLS and a proxy.
func (s *scene) proxied(protocol string) *proxy {
	s.t.Helper()
	var d *tlsDoor
	var ca string
	if protocol == "grpc" {
		d, ca = newTLSDoor(s.t, s.backend.grpcServer(), "h2")
	} else {
		d, ca = newTLSDoor(s.t, http.HandlerFunc(s.backend.post), "http/1.1")
	}
	p := newProxy(s.t, d.Addr().String())
	s.set(e2e.Env{
		"OTEL_EXPORTER_OTLP_PROTOCOL": protocol, "OTEL_EXPORTER_OTLP_ENDPOINT": "https://" + elsewhere,
		"OTEL_EXPORTER_OTLP_CERTIFICATE": ca, "HTTPS_PROXY": "http://" + p.Addr().String(),
	})
	return p
}
