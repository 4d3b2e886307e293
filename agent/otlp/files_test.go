package otlp

import (
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	colmetricpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/grpc"

	"netatmo-agent/agent/config"
	"netatmo-agent/agent/logtest"
)

// Reading a large file would fill the memory.
func TestAFileThatBecomesLargeIsNotRead(t *testing.T) {
	spoilFiles(t, "larger than 1 MiB", func(path string) error {
		return errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, 400<<20))
	})
}

// spoilFiles damages all files of the settings while they are in use. The
// exporter continues with what it has read from them, and a new one fails.
func spoilFiles(t *testing.T, reason string, spoil func(path string) error) {
	t.Helper()
	ca := newAuthority(t)
	cert, key := ca.issue("client", "", time.Now().Add(time.Hour))
	headers := filepath.Join(t.TempDir(), "headers")
	if err := os.WriteFile(headers, []byte("X-Scope-OrgID: home\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := newTLSServer(t)
	server.use(ca.serverTLS("", time.Now().Add(time.Hour), true))
	p := server.push(t, config.HTTP)
	p.CAFile, p.CertFile, p.KeyFile, p.HeadersFile = ca.File, cert, key, headers
	log := &logtest.Log{}
	e := newTestExporter(t, p, log)
	for _, file := range []string{ca.File, cert, key, headers} {
		if err := errors.Join(os.Remove(file), spoil(file)); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		judged(t, exportSettled(t, e, ""), "", "")
		server.CloseClientConnections()
	}
	if log.Count("level=WARN") != 3 || log.Count(reason) < 3 {
		t.Errorf("log:\n%s", log)
	}
	if _, err := New(t.Context(), p, Options{Logger: log.Logger()}); err == nil || !strings.Contains(err.Error(), reason) {
		t.Errorf("at the start: %v", err)
	}
}

// The authorities are those in the file when a connection is made: renewed ones
// count without a restart, old ones no longer, and broken ones not yet.
func TestRenewedAuthorities(t *testing.T) {
	for _, protocol := range []string{config.HTTP, config.GRPC} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			was, is := newAuthority(t), newAuthority(t)
			later := time.Now().Add(time.Hour)
			file := filepath.Join(t.TempDir(), "ca.pem")
			write := func(content []byte) {
				t.Helper()
				if err := errors.Join(os.WriteFile(file+".new", content, 0o600), os.Rename(file+".new", file)); err != nil {
					t.Fatal(err)
				}
			}
			pem := func(a *authority) []byte {
				content, err := os.ReadFile(a.File)
				if err != nil {
					t.Fatal(err)
				}
				return content
			}
			server, log := newTLSServer(t), &logtest.Log{}
			write(pem(was))
			p := server.push(t, protocol)
			p.CAFile = file
			e := newTestExporter(t, p, log)
			for _, step := range []struct {
				name   string
				signer *authority
				file   []byte
				reason Reason
				text   string
			}{
				{"at the start", was, pem(was), "", ""},
				{"the backend's authority is new", is, pem(was), TLS, "unknown authority"},
				{"and so is the file", is, pem(is), "", ""},
				{"which is being written", is, []byte("-----BEGIN"), "", ""},
				{"the old authority signs still", was, []byte("-----BEGIN"), TLS, "set OTEL_EXPORTER_OTLP_CERTIFICATE"},
				{"or again", was, pem(is), TLS, "set OTEL_EXPORTER_OTLP_CERTIFICATE"},
				{"both count", was, append(pem(is), pem(was)...), "", ""},
			} {
				server.use(step.signer.serverTLS("", later, false))
				write(step.file)
				if judged(t, exportSettled(t, e, step.reason), step.reason, step.text); t.Failed() {
					t.Fatal(step.name)
				}
			}
			if log.Count("level=WARN") != 1 || log.Count(`works again`) != 1 {
				t.Errorf("log:\n%s", log)
			}
		})
	}
}

// exportSettled exports until no earlier connection remains: a request may
// still use the old one, and after a failure gRPC makes a new one only after a
// pause.
func exportSettled(t *testing.T, e Exporter, reason Reason) error {
	t.Helper()
	for tries := 0; ; tries++ {
		err := e.Export(t.Context(), onePoint())
		if f := Classify(err); f == nil || f.Reason == reason || tries == 100 {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// tlsServer is a backend that accepts everything, over HTTP and gRPC.
type tlsServer struct {
	*httptest.Server
	secure atomic.Pointer[tls.Config]
}

func newTLSServer(t *testing.T) *tlsServer {
	t.Helper()
	rpc := grpc.NewServer()
	colmetricpb.RegisterMetricsServiceServer(rpc, handler{handle: accept})
	s := &tlsServer{Server: httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor == 2 {
			rpc.ServeHTTP(w, r)
		}
	}))}
	s.Config.ErrorLog, s.EnableHTTP2 = silent, true
	s.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.secure.Load(), nil }}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// use ends the connections; the next ones use another configuration.
func (s *tlsServer) use(c *tls.Config) {
	c.NextProtos = []string{"h2", "http/1.1"}
	s.secure.Store(c)
	s.CloseClientConnections()
}

func (s *tlsServer) push(t *testing.T, protocol string) config.Push {
	t.Helper()
	p := httpPush(t, s.Server)
	p.Protocol = protocol
	return p
}
