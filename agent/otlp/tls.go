package otlp

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"

	"netatmo-agent/agent/config"
	"netatmo-agent/store"
)

// tlsFiles are the certificates of the settings. Each connection uses their current
// content.
type tlsFiles struct {
	authorities *file[*x509.CertPool]   // for the backend's certificate; nil: the system's
	client      *file[*tls.Certificate] // nil: none
}

// newTLSFiles returns nil for a push that is not encrypted.
func newTLSFiles(p config.Push, log *slog.Logger) (*tlsFiles, error) {
	if !p.TLS() {
		return nil, nil
	}
	f := &tlsFiles{}
	var err error
	if p.CAFile != "" {
		f.authorities, err = newFile("OTEL_EXPORTER_OTLP_CERTIFICATE", log, func() (*x509.CertPool, error) {
			return readAuthorities(p.CAFile)
		})
		if err != nil {
			return nil, err
		}
	}
	if p.CertFile != "" {
		f.client, err = newFile("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", log, func() (*tls.Certificate, error) {
			return readPair(p.CertFile, p.KeyFile)
		})
		if err != nil {
			return nil, err
		}
	}
	return f, nil
}

// config returns the next connection's configuration, nil for a nil f.
func (f *tlsFiles) config() *tls.Config {
	if f == nil {
		return nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if f.authorities != nil {
		c.RootCAs = f.authorities.current()
	}
	if f.client != nil {
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return f.client.current(), nil }
	}
	return c
}

func readAuthorities(path string) (*x509.CertPool, error) {
	pem, err := store.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("there is no PEM certificate in %s", path)
	}
	return pool, nil
}

func readPair(certFile, keyFile string) (*tls.Certificate, error) {
	cert, err := store.ReadFile(certFile)
	if err != nil {
		return nil, err
	}
	key, err := store.ReadFile(keyFile)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	return &pair, err
}
