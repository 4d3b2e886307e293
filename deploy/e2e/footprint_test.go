package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"netatmo-agent/agent/simcloud"
)

const mebibyte = 1 << 20

// The cost for a household: a station with four modules, a token refresh and a
// filled gap. Sizes have limits; times are only logged, because they depend on
// the machine.
func TestFootprintOfOneHome(t *testing.T) {
	t.Parallel()
	cloud := NewCloud(t, simcloud.Options{
		Measure: fast.Measure, Upload: fast.Upload, TokenLife: 40 * time.Second, Scenario: oneHome(),
	})
	backend := newTill(t)
	agent := NewAgent(t, cloud.Env().With(backend.env("grpc"), Env{"OTEL_METRIC_EXPORT_INTERVAL": "1000"}))
	cloud.LogIn(agent, allScopes...)
	begin := time.Now()
	agent.Start()
	agent.Eventually("pushes readings", func() bool { return !backend.answered().IsZero() })
	t.Logf("start to first acknowledged push: %v", backend.answered().Sub(begin).Round(time.Millisecond))

	time.Sleep(2 * fast.Upload) // so that there is a gap
	backend.down.Store(true)
	time.Sleep(4 * fast.Upload)
	backend.down.Store(false)
	agent.WaitLog("gap filled from Netatmo's history")
	agent.Eventually("renews the token", func() bool { return cloud.Auth().Stats().Refreshes() > 0 })
	time.Sleep(2 * fast.Upload)

	peak, anonymous := agent.memory("VmHWM"), agent.memory("RssAnon")
	t.Logf("memory: %.1f MiB at most, of it %.1f MiB anonymous; %d threads",
		mib(peak), mib(anonymous), len(dirEntries(t, agent.proc("task"))))
	if peak > 24*mebibyte || anonymous > 8*mebibyte {
		t.Error("want at most 24 MiB, of it 8 MiB anonymous")
	}
	t.Logf("CPU: %v in %v at sixty times the real pace", agent.cpu().Round(time.Millisecond), time.Since(begin).Round(time.Second))
}

// At the pace of a real station, with all default intervals, an agent is almost
// idle. E2E_IDLE is how long to measure.
func TestFootprintAtRest(t *testing.T) {
	t.Parallel()
	cloud := NewCloud(t, simcloud.Options{Scenario: oneHome()})
	backend := newTill(t)
	agent := NewAgent(t, cloud.Env().With(backend.env("grpc")))
	cloud.LogIn(agent, allScopes...)
	agent.Start()
	agent.Eventually("pushes readings", func() bool { return !backend.answered().IsZero() })
	time.Sleep(time.Second) // the start has ended
	atStart, pushes, begin := agent.cpu(), backend.requests.Load(), time.Now()
	time.Sleep(duration(t, "E2E_IDLE", 15*time.Second))
	spent, passed := agent.cpu()-atStart, time.Since(begin)
	t.Logf("CPU: %v to start, then %v in %v with %d pushes: %.4f %% of a core",
		atStart.Round(time.Millisecond), spent.Round(10*time.Microsecond), passed.Round(time.Second),
		backend.requests.Load()-pushes, 100*spent.Seconds()/passed.Seconds())
	t.Logf("memory: %.1f MiB at most, of it %.1f MiB anonymous", mib(agent.memory("VmHWM")), mib(agent.memory("RssAnon")))
}

// The bytes on the network for a push of one home, including all headers.
func TestFootprintOnTheWire(t *testing.T) {
	for _, protocol := range []string{"grpc", "http/protobuf"} {
		for _, compression := range []string{"none", "gzip"} {
			t.Run(strings.ReplaceAll(protocol, "/", " ")+" "+compression, func(t *testing.T) {
				t.Parallel()
				cloud := NewCloud(t, simcloud.Options{Scenario: oneHome()})
				backend := newTill(t)
				agent := NewAgent(t, cloud.Env().With(backend.env(protocol), Env{
					"OTEL_METRIC_EXPORT_INTERVAL": "500", "OTEL_EXPORTER_OTLP_COMPRESSION": compression,
				}))
				cloud.LogIn(agent, allScopes...)
				agent.Start()
				agent.Eventually("has pushed a few times", func() bool { return backend.requests.Load() > 4 })
				const pushes = 10
				before, out, in := backend.requests.Load(), backend.received.Load(), backend.sent.Load()
				agent.Eventually("continues to push", func() bool { return backend.requests.Load() >= before+pushes })
				n := backend.requests.Load() - before
				t.Logf("%d bytes a push, and %d in answer", (backend.received.Load()-out)/n, (backend.sent.Load()-in)/n)
			})
		}
	}
}

// The binary as in the image and the releases.
func TestFootprintOfTheBinary(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "netatmo-agent")
	cmd := exec.Command("go", "build", "-trimpath", "-tags", "timetzdata", "-ldflags", "-s -w", "-o", path, "./agent")
	cmd.Dir = Source(t)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("binary: %.2f MiB (%d bytes)", mib(info.Size()), info.Size())
	if info.Size() > 19*mebibyte {
		t.Error("want at most 19 MiB")
	}
}

func mib(n int64) float64 { return float64(n) / mebibyte }

func dirEntries(t testing.TB, dir string) []os.DirEntry {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}
