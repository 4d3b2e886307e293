package e2e

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"netatmo-agent/agent/simcloud"
)

// whole is a way to a Collector that limits the size of requests.
type whole struct {
	overlay string                                      // of the Collector
	front   func(transport string, c *Collector) string // starts what is before it, and returns its address; nil: nothing
	env     Env
	since   time.Duration // how much history is pushed; default 5 days
}

// History arrives whole through whatever limits the size of a request, over both
// transports: nginx, with its default of 1 MiB and with a limit that is much smaller,
// which answers gRPC with a page of HTML; a Collector's own limit; a line on which a
// large request takes longer than the timeout.
func TestHistoryArrivesWhole(t *testing.T) {
	t.Parallel()
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		t.Fatal("nginx is not installed; .ci/run installs it")
	}
	for name, w := range map[string]whole{
		"nginx": {front: func(transport string, c *Collector) string { return startNginx(t, nginx, transport, "", c) }},
		"nginx, 16 KiB": {front: func(transport string, c *Collector) string {
			return startNginx(t, nginx, transport, "client_max_body_size 16k;", c)
		}},
		"a Collector's 16 KiB": {overlay: "receivers: {otlp: {protocols: {http: {max_request_body_size: 16384}}}}"},
		"20 kB in a second": {
			front: func(transport string, c *Collector) string { return slowLine(t, c.address(transport), 20_000) },
			env:   Env{"OTEL_EXPORTER_OTLP_TIMEOUT": "3000"}, since: 12 * time.Hour,
		},
	} {
		for _, transport := range []string{"gRPC", "HTTP"} {
			t.Run(name+" "+transport, func(t *testing.T) {
				t.Parallel()
				arrivesWhole(t, w, transport)
			})
		}
	}
}

func (c *Collector) address(transport string) string {
	if transport == "HTTP" {
		return c.HTTP
	}
	return c.GRPC
}

func arrivesWhole(t *testing.T, w whole, transport string) {
	t.Helper()
	c := NewCollector(t)
	if w.overlay != "" {
		c.Overlay(w.overlay)
	}
	c.Start()
	addr := c.address(transport)
	if w.front != nil {
		addr = w.front(transport, c)
	}
	env := Env{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + addr, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "NETATMO_DEVICES": "homecoach"}
	if transport == "HTTP" {
		env["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf"
	}
	cloud := NewCloud(t, simcloud.Options{})
	agent := NewAgent(t, cloud.Env().With(env, w.env))
	cloud.LogIn(agent, allScopes...)
	if w.since == 0 {
		w.since = 5 * 24 * time.Hour
	}
	until := time.Now().Add(-2 * time.Hour).Truncate(time.Second)
	since := until.Add(-w.since)
	begin := time.Now()
	got := agent.Command("backfill", "--since", since.UTC().Format(time.RFC3339), "--until", until.UTC().Format(time.RFC3339))
	took := time.Since(begin)
	if got.Code != 0 || strings.Contains(got.Log, "refused") {
		t.Errorf("backfill ends with %d:\n%s", got.Code, got.Log)
	}
	expected, missing, requests := 0, 0, 0
	c.Eventually("has written every sample", func() bool {
		expected, missing, requests = lacks(c, cloud, since, until)
		return missing == 0
	})
	t.Logf("%d samples expected, %d missing, in %d requests and %s", expected, missing, requests, took.Round(time.Second))
	if least := int(w.since / time.Hour * 12 * 2); expected < least*9/10 {
		t.Errorf("%d samples, want about %d", expected, least)
	}
}

// lacks counts the samples of the home coach's temperature and CO2 that have not
// arrived, and the requests that have.
func lacks(c *Collector, cloud *Cloud, since, until time.Time) (expected, missing, requests int) {
	const coach = "70:ee:50:00:20:01" // alone, so that nothing but the limit divides its history
	arrived := map[string]map[int64]bool{"netatmo.temperature": {}, "netatmo.co2": {}}
	for _, p := range c.Points() {
		requests = max(requests, p.Request+1)
		if times := arrived[p.Metric]; times != nil {
			times[p.Time.Unix()] = true
		}
	}
	for typ, metric := range map[string]string{"Temperature": "netatmo.temperature", "CO2": "netatmo.co2"} {
		for _, x := range cloud.Held(coach, typ, since, until) {
			expected++
			if !arrived[metric][x.Time.Unix()] {
				missing++
			}
		}
	}
	return expected, missing, requests
}

// startNginx starts an nginx before a Collector, and returns its address.
func startNginx(t *testing.T, nginx, transport, limit string, c *Collector) (addr string) {
	t.Helper()
	addr, dir := FreeAddr(t), t.TempDir()
	listen, pass := addr+" http2", "grpc_pass grpc://"+c.GRPC
	if transport == "HTTP" {
		listen, pass = addr, "proxy_pass http://"+c.HTTP
	}
	config := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf(`
pid %[1]s/pid; error_log %[1]s/error.log; daemon off; user root;
events {}
http {
  access_log off; client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy;
  server { listen %[2]s; %[3]s location / { %[4]s; } }
}
`, dir, listen, limit, pass)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	startProcess(t, Env{}, nginx, "-c", config, "-p", dir).WaitListening(addr)
	return addr
}

// slowLine forwards connections, and passes on so many bytes in a second to the
// server.
func slowLine(t *testing.T, to string, perSecond int) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				server, err := net.Dial("tcp", to)
				if err != nil {
					return
				}
				defer server.Close()
				go func() { _, _ = io.Copy(conn, server); conn.Close() }()
				part := make([]byte, perSecond/20)
				for {
					n, err := conn.Read(part)
					if _, e := server.Write(part[:n]); err != nil || e != nil {
						return
					}
					time.Sleep(time.Duration(n) * time.Second / time.Duration(perSecond))
				}
			}()
		}
	}()
	return l.Addr().String()
}
