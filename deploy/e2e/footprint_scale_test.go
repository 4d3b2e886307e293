package e2e

import (
	"testing"
	"time"

	"netatmo-agent/agent/simcloud"
)

// One agent polls and pushes an account of a thousand stations. The memory has
// a limit; the time is only logged.
func TestFootprintOfAThousandStations(t *testing.T) {
	t.Parallel()
	const stations = 1000
	cloud := NewCloud(t, simcloud.Options{Scenario: simcloud.Large(stations)})
	backend := newTill(t)
	agent := NewAgent(t, cloud.Env().With(backend.env("grpc"), Env{"NETATMO_DEVICES": "weather"}))
	cloud.LogIn(agent, "read_station")
	begin := time.Now()
	agent.Start()
	// A push has ended when nothing has arrived for a while.
	last, since := int64(0), time.Now()
	agent.Eventually("pushes all stations", func() bool {
		if now := backend.points.Load(); now != last {
			last, since = now, time.Now()
		}
		return last > 50*stations && time.Since(since) > 2*time.Second
	})
	t.Logf("%d devices: polled and pushed %d points in %d requests, CPU %v in %v; memory: %.0f MiB at most, of it %.0f MiB anonymous",
		len(cloud.Modules()), backend.points.Load(), backend.requests.Load(), agent.cpu().Round(time.Millisecond),
		since.Sub(begin).Round(time.Millisecond), mib(agent.memory("VmHWM")), mib(agent.memory("RssAnon")))
	if agent.memory("VmHWM") > 200*mebibyte {
		t.Error("want at most 200 MiB")
	}
}
