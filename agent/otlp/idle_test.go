package otlp

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	colmetricpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/grpc"

	"netatmo-agent/agent/config"
	"netatmo-agent/agent/logtest"
)

// A gateway forgets connections that are idle for a minute, the time between
// two pushes, and resets them at the next byte. The push succeeds at once.
func TestConnectionThatWasForgotten(t *testing.T) {
	for _, protocol := range []string{config.HTTP, config.GRPC} {
		t.Run(protocol, func(t *testing.T) {
			var requests atomic.Int64
			rpc := grpc.NewServer()
			colmetricpb.RegisterMetricsServiceServer(rpc, handler{handle: accept})
			protocols := &http.Protocols{}
			protocols.SetHTTP1(true)
			protocols.SetUnencryptedHTTP2(true)
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				if r.ProtoMajor == 2 {
					rpc.ServeHTTP(w, r)
				}
			}))
			server.Config.Protocols = protocols
			server.Start()
			defer server.Close()
			p, log := httpPush(t, server), &logtest.Log{}
			p.Protocol = protocol
			forget := gateway(t, p.URL.Host, &p.URL.Host)
			e := newTestExporter(t, p, log)
			for range 3 {
				judged(t, e.Export(t.Context(), onePoint()), "", "")
				forget()
			}
			if requests.Load() != 3 || log.String() != "" {
				t.Errorf("%d requests, want 3; log:\n%s", requests.Load(), log)
			}
		})
	}
}

// gateway forwards connections to another address, and sets addr to its own.
// After forget it resets each existing one at the client's next byte.
func gateway(t *testing.T, to string, addr *string) (forget func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	*addr = l.Addr().String()
	var forgotten atomic.Int64 // connections up to this one
	var accepted atomic.Int64
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			number := accepted.Add(1)
			server, err := net.Dial("tcp", to)
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(client, server) }()
			go func() {
				defer server.Close()
				defer client.Close()
				for buffer := make([]byte, 64<<10); ; {
					n, err := client.Read(buffer)
					if err != nil {
						return
					}
					if number <= forgotten.Load() {
						_ = client.(*net.TCPConn).SetLinger(0)
						return
					}
					if _, err := server.Write(buffer[:n]); err != nil {
						return
					}
				}
			}()
		}
	}()
	return func() { forgotten.Store(accepted.Load()) }
}
