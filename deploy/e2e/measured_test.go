package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"netatmo-agent/agent/simcloud"
)

// With NETATMO_TIMESTAMPS=measured, real backends have every sample once, at its own
// time, also those of an outage of the backend. Queries work as the guide says.
func TestMeasured(t *testing.T) {
	t.Parallel()
	for _, s := range []setup{
		{way: httpDirect, backend: prometheusNoWindow},
		{way: httpDirect, backend: prometheusHour},
		{way: httpDirect, backend: victoria},
		{way: grpcCollector, backend: prometheusShipped, attributes: attributes[1]},
	} {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			measuredIn(t, s)
		})
	}
}

// slower leaves Netatmo's quota room for a request for each module and upload.
var slower = simcloud.Options{Measure: 15 * time.Second, Upload: 30 * time.Second}

func measuredIn(t *testing.T, s setup) {
	t.Helper()
	scenario := simcloud.Default()
	h := &scenario.Homes[0]
	h.Gateways, h.Rooms, h.Coaches = nil, nil, nil
	modules := &h.Stations[0].Modules
	*modules = slices.DeleteFunc(*modules, func(d simcloud.Device) bool { return d.Type != simcloud.TypeRain })
	o := slower
	o.Scenario = scenario
	r := newChain(t, s, o, Env{
		"NETATMO_TIMESTAMPS": "measured", "NETATMO_REQUESTS_PER_HOUR": "500",
		"NETATMO_DEVICES": "weather", "OTEL_METRIC_EXPORT_INTERVAL": "2000",
	})
	sensors := sensorsOf(t, r.cloud)
	measuredAfter := func(at time.Time) func() bool {
		return func() bool {
			stored := r.stored()
			return !slices.ContainsFunc(sensors, func(s sensor) bool {
				points, _ := pointsOf(stored, s.metric, s.ID)
				return len(points) == 0 || !points[len(points)-1].Time.After(at)
			})
		}
	}
	r.agent.Start()
	r.eventually("has delivered samples of every sensor", 2*time.Minute, measuredAfter(r.began))
	r.backendDown(true)
	time.Sleep(80 * time.Second)
	r.backendDown(false)
	r.eventually("has delivered samples of after the outage", 3*time.Minute, measuredAfter(time.Now().Add(slower.Upload)))
	r.agent.Terminate()

	stored := r.stored()
	expected, present, twice, astray := 0, 0, 0, 0
	var faults []string
	for _, s := range sensors {
		points, series := pointsOf(stored, s.metric, s.ID)
		if series != 1 {
			t.Errorf("%s: %d series", s, series)
		}
		held := r.cloud.Held(s.ID, s.typ, points[0].Time, points[len(points)-1].Time)
		expected += len(held)
		at := map[int64]bool{}
		for _, p := range points {
			switch {
			case at[p.Time.UnixMilli()]:
				twice++
			case !isSample(held, p):
				astray++
				faults = append(faults, fmt.Sprintf("%s: %v at %s, which it did not measure", s, p.Value, p.Time))
			default:
				present++
			}
			at[p.Time.UnixMilli()] = true
		}
		for _, x := range held {
			if !at[x.Time.UnixMilli()] {
				faults = append(faults, fmt.Sprintf("%s: the sample of %s is missing", s, x.Time.UTC()))
			}
		}
	}
	t.Logf("%d samples expected, %d present, %d twice, %d astray", expected, present, twice, astray)
	if len(faults) > 0 || twice > 0 || present != expected || expected < 60 {
		t.Errorf("%s", strings.Join(faults[:min(len(faults), 20)], "\n"))
	}
	if p, ok := r.store.(*Prometheus); ok {
		askMeasured(t, p, r.cloud, sensors)
	}
}

// askMeasured asks what the guide says one can ask.
func askMeasured(t *testing.T, p *Prometheus, cloud *Cloud, sensors []sensor) {
	t.Helper()
	if got := p.Query("last_over_time(netatmo_temperature_celsius[15m])", time.Time{}); len(got) != 1 {
		t.Errorf("%d temperatures within 15 minutes, want 1", len(got))
	}
	for _, s := range sensors {
		if s.Type != simcloud.TypeRain {
			continue
		}
		points := p.Raw(s.metric, time.Now().Add(-time.Hour), time.Now())[0].Samples
		total := 0.0
		for _, x := range cloud.Held(s.ID, s.typ, points[0].Time, points[len(points)-1].Time) {
			total += x.Value
		}
		got := p.Query("sum_over_time(netatmo_rain_amount_mm[1h])", time.Time{})
		if len(got) != 1 || got[0].Samples[0].Value < total-0.001 || got[0].Samples[0].Value > total+0.001 {
			t.Errorf("the rain adds up to %v, the cloud has %v", got, total)
		}
	}
}
