package e2e

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"netatmo-agent/agent/simcloud"
)

// History lands in the series of live values, with the attributes that the user
// added. Only a Prometheus without a window refuses that for their sake; the agent
// then says so, and history comes without them. A receiver that demands an attribute
// is among the backends of the package vendors.
func TestOneIdentity(t *testing.T) {
	t.Parallel()
	const added = "site=home,building=7"
	for _, test := range []struct {
		setup
		label string // of the attribute site
		apart bool   // history is sent without the attributes
	}{
		{setup{way: httpDirect, backend: prometheusShipped, attributes: added, promoted: "site"}, "site", false},
		{setup{way: httpDirect, backend: prometheusNoWindow, attributes: added, promoted: "site"}, "site", true},
		{setup{way: httpDirect, backend: prometheusNoWindow, attributes: added}, "", true},
		{setup{way: httpDirect, backend: victoria, attributes: added}, "site", false},
	} {
		t.Run(test.String()+"/"+test.promoted, func(t *testing.T) {
			t.Parallel()
			oneIdentity(t, test.setup, test.label, test.apart)
		})
	}
}

func oneIdentity(t *testing.T, s setup, label string, apart bool) {
	t.Helper()
	scenario := simcloud.Default()
	h := &scenario.Homes[0]
	h.Gateways, h.Rooms, h.Coaches = nil, nil, nil
	h.Stations[0].Modules = h.Stations[0].Modules[:1]
	r := newChain(t, s, simcloud.Options{Measure: fast.Measure, Upload: fast.Upload, Scenario: scenario}, Env{
		"NETATMO_DEVICES": "weather", "NETATMO_AGE_STALE": fastStale.String(), "OTEL_METRIC_EXPORT_INTERVAL": "2000",
	})
	sensors := sensorsOf(t, r.cloud)
	r.agent.Start()
	r.eventually("has delivered every sensor, and knows the cadence", time.Minute, func() bool {
		state, _ := r.agent.readState()
		return len(state.Cadences) == 1 && r.delivered(sensors, r.began)
	})
	r.agent.Kill()
	begin := time.Now()
	time.Sleep(time.Minute)
	end := time.Now()
	r.agent.Start()
	r.eventually("has filled the gap, and pushes every sensor again", 3*time.Minute, func() bool {
		return strings.Contains(r.agent.Log(), "gap filled") && r.delivered(sensors, end)
	})
	r.agent.Terminate()

	said := strings.Count(r.agent.Log(), "history is now sent without them")
	if apart != (said == 1) {
		t.Errorf("the agent said %d times that it sends history without the attributes", said)
	}
	stored := r.stored()
	for _, s := range sensors {
		points, series := pointsOf(stored, s.metric, s.ID)
		filled := 0
		for _, p := range points {
			if p.Time.After(begin) && p.Time.Before(end.Add(-fastStale)) {
				filled++
			}
		}
		want := 1
		if apart && label != "" { // the label is missing from what came without the attribute
			want = 2
		}
		if series != want || filled < 4 {
			t.Errorf("%s: %d series, want %d; %d points in the gap", s, series, want, filled)
		}
	}
	values := map[string]bool{}
	for _, x := range stored {
		if label != "" && x.Labels["module_id"] != "" {
			values[x.Labels[label]] = true
		}
	}
	want := []string{"home"}
	switch {
	case label == "":
		want = nil
	case apart:
		want = []string{"", "home"}
	}
	if got := slices.Sorted(maps.Keys(values)); !slices.Equal(got, want) {
		t.Errorf("the label %s has the values %q, want %q", label, got, want)
	}
}
