package telemetry

import (
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	colmetricpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/grpc"

	"netatmo-agent/agent/config"
)

// A file on a mount whose server is away delays one request, and no other until
// it can be read again.
func TestFileSystemThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, answers := &testLog{}, make(chan string, 1)
		defer close(answers)
		read := func() (string, error) { return <-answers, nil }
		answers <- "one"
		r, err := newRenewed("THE_FILE", log.logger(), read)
		if err != nil {
			t.Fatal(err)
		}
		for _, longest := range []time.Duration{patience, 0, 0} {
			start := time.Now()
			if got := r.current(); got != "one" {
				t.Errorf("%q while the file system hangs", got)
			}
			if took := time.Since(start); took != longest {
				t.Errorf("waited for %s, want %s", took, longest)
			}
		}
		answers <- "two"
		synctest.Wait()
		if got := r.current(); got != "two" {
			t.Errorf("%q once the file system answers", got)
		}
		if log.lines("level=WARN") != 1 || log.lines("reading the file of THE_FILE works again") != 1 {
			t.Errorf("log:\n%s", log)
		}
		if _, err := newRenewed("THE_FILE", log.logger(), read); err == nil || !strings.HasPrefix(err.Error(), "THE_FILE: the file system does not answer") {
			t.Errorf("at the start: %v", err)
		}
	})
}

// To open a pipe would wait for who writes into it, for ever.
func TestFileThatBecomesAPipe(t *testing.T) {
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
	log := &testLog{}
	e := newTestExporter(t, p, log)
	for _, file := range []string{ca.File, cert, key, headers} {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mkfifo(file, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		judged(t, exportSettled(t, e, ""), "", "")
		server.CloseClientConnections()
	}
	if log.lines("level=WARN") != 3 || log.lines("is a directory, a device or a pipe: name a regular file") < 3 {
		t.Errorf("log:\n%s", log)
	}
	if _, err := NewExporter(t.Context(), p, ExporterOptions{Logger: log.logger()}); err == nil || !strings.Contains(err.Error(), "name a regular file") {
		t.Errorf("at the start: %v", err)
	}
}

// The authorities are those of the file as it is when a connection is made: a
// renewed one counts without a restart, the old one no more, and what is broken
// not yet.
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
			server, log := newTLSServer(t), &testLog{}
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
				{"the backend's authority is new", is, pem(was), reasonTLS, "unknown authority"},
				{"and so is the file", is, pem(is), "", ""},
				{"which is being written", is, []byte("-----BEGIN"), "", ""},
				{"the old authority signs still", was, []byte("-----BEGIN"), reasonTLS, "set OTEL_EXPORTER_OTLP_CERTIFICATE"},
				{"or again", was, pem(is), reasonTLS, "set OTEL_EXPORTER_OTLP_CERTIFICATE"},
				{"both count", was, append(pem(is), pem(was)...), "", ""},
			} {
				server.use(step.signer.serverTLS("", later, false))
				write(step.file)
				if judged(t, exportSettled(t, e, step.reason), step.reason, step.text); t.Failed() {
					t.Fatal(step.name)
				}
			}
			if log.lines("level=WARN") != 1 || log.lines(`works again`) != 1 {
				t.Errorf("log:\n%s", log)
			}
		})
	}
}

// exportSettled exports until nothing is left of an earlier connection: a
// request may still go over the old one, and after a failure gRPC makes a new
// one only when a pause is over.
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

// tlsServer is a backend that takes everything, over HTTP and gRPC.
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

// use ends the connections; the next ones are made with another configuration.
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
