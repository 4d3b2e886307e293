package e2e

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"netatmo-agent/agent/simcloud"
)

const (
	away      = 2 * time.Minute  // duration of an outage: 24 samples
	awayAfter = 15 * time.Second // how much longer the second of two lasts
	fastStale = 20 * time.Second // NETATMO_AGE_STALE in proportion to the cadence
	secondTry = 25 * time.Second // until the agent has reread a gap: a little more than two uploads

	// atOnce is how long a series that waits for nothing may be silent: much
	// longer than the push interval, for a slow machine, and much shorter than
	// the two minutes for which live values may wait for a gap.
	atOnce = 20 * time.Second
)

// offline is the station or home coach that goes offline.
var offline = map[string]string{"weather": "70:ee:50:00:10:01", "homecoach": "70:ee:50:00:20:01"}

// twoOfEach is an account with two weather stations and two home coaches, and
// as few modules as possible, because each costs a request for its history.
func twoOfEach() *simcloud.Scenario {
	s := simcloud.Default()
	h := &s.Homes[0]
	h.Gateways, h.Rooms = nil, nil
	modules := &h.Stations[0].Modules
	*modules = slices.DeleteFunc(*modules, func(d simcloud.Device) bool { return d.Type == simcloud.TypeIndoor })
	h.Stations = append(h.Stations, simcloud.Station{Device: simcloud.Device{ID: "70:ee:50:00:10:21", Name: "Workshop", Type: simcloud.TypeStation}})
	h.Coaches = append(h.Coaches, simcloud.Device{ID: "70:ee:50:00:20:02", Name: "Attic", Type: simcloud.TypeHomeCoach})
	return s
}

// TestOutages checks what a backend has after an outage of two minutes. All
// cases run concurrently, because they mostly wait.
func TestOutages(t *testing.T) {
	t.Parallel()
	var results table
	atOnceEach(t, outageCases(everything()), 40, func(t *testing.T, c outageCase) {
		t.Helper()
		results.add(c.String(), runOutage(t, c))
	})
	t.Logf("\n%s", &results)
}

func runOutage(t *testing.T, c outageCase) result {
	t.Helper()
	r := newChain(t, c.setup, simcloud.Options{Measure: fast.Measure, Upload: fast.Upload, Scenario: twoOfEach()}, Env{
		"NETATMO_DEVICES": c.devices, "NETATMO_AGE_STALE": fastStale.String(), "OTEL_METRIC_EXPORT_INTERVAL": "2000",
	})
	sensors := slices.DeleteFunc(sensorsOf(t, r.cloud), func(s sensor) bool {
		return (s.Type == simcloud.TypeHomeCoach) != (c.devices == "homecoach")
	})
	r.agent.Start()
	r.eventually("knows the two stations and has delivered every sensor", time.Minute, func() bool {
		s, _ := r.agent.readState()
		return len(s.Cadences) == 2 && r.delivered(sensors, r.began)
	})

	begin := time.Now()
	for _, p := range c.away {
		r.switchOff(p, offline[c.devices], true)
	}
	end := begin.Add(away)
	for _, p := range c.away {
		time.Sleep(time.Until(end))
		r.switchOff(p, offline[c.devices], false)
		end = end.Add(awayAfter)
	}
	end = time.Now()

	r.eventually("pushes every sensor again", 3*time.Minute, func() bool { return r.delivered(sensors, end) })
	time.Sleep(secondTry)
	return r.judgeOutage(c, sensors, begin, end)
}

func (r *chain) switchOff(p part, station string, off bool) {
	r.t.Helper()
	switch p {
	case agentAway:
		if off {
			r.agent.Kill()
		} else {
			r.agent.Start()
		}
	case stationAway:
		r.cloud.SetOffline(station, off)
	case netatmoAway:
		r.cloud.Down(off)
	case backendAway:
		r.backendDown(off)
	}
}

// delivered reports whether each sensor has a live point after t.
func (r *chain) delivered(sensors []sensor, t time.Time) bool {
	r.t.Helper()
	stored := r.stored()
	for _, s := range sensors {
		points, _ := pointsOf(stored, s.metric, s.ID)
		measured, _ := pointsOf(stored, "netatmo_measurement_time_seconds", s.ID)
		if !slices.ContainsFunc(points, func(p Sample) bool {
			m, live := measurementAt(measured, p.Time)
			return live && m.After(t.Add(-fastStale))
		}) {
			return false
		}
	}
	return true
}

func (r *chain) judgeOutage(c outageCase, sensors []sensor, begin, end time.Time) result {
	r.t.Helper()
	stored := r.stored()
	x := r.truth()
	x.stale, x.hole = fastStale, 3*fast.Upload
	res := result{firstPush: firstAfter(stored, end)}
	for _, s := range sensors {
		v := x.judge(s, stored)
		affected := s.StationID == offline[c.devices] || !slices.Equal(c.away, []part{stationAway})
		switch {
		case affected && v.expected < 16:
			v.fault("%s: a gap of %d samples, want most of the 24 of two minutes", s, v.expected)
		case !affected && v.expected > 0:
			v.fault("%s: a gap of %d samples without an outage", s, v.expected)
		}
		res.add(v)
	}
	var which string
	if res.silence, which = c.silence(stored, begin, end); res.silence > atOnce || res.silence == 0 {
		res.fault("silent for %v: %s", res.silence, which)
	}
	r.t.Logf("longest silence %v: %s", res.silence, which)
	r.check(res, len(sensors))
	return res
}

// goesOn reports whether a series must continue in an outage: the agent's
// metrics about itself and, if only a station is offline, everything about the
// others, and that it is offline.
func (c outageCase) goesOn(s Series) bool {
	name := s.Labels["__name__"]
	if !slices.Equal(c.away, []part{stationAway}) {
		return name == "netatmo_agent_info"
	}
	return name == "netatmo_agent_info" || name == "netatmo_module_reachable" ||
		s.Labels["module_id"] != "" && s.Labels["station_id"] != offline[c.devices]
}

// silence returns the longest silence of a series that must continue, while
// agent and backend are up, and which series that was.
func (c outageCase) silence(stored []Series, begin, end time.Time) (longest time.Duration, which string) {
	for _, s := range stored {
		if !c.goesOn(s) || len(s.Samples) == 0 {
			continue
		}
		first, last := s.Samples[0].Time, s.Samples[len(s.Samples)-1].Time
		spans := [][2]time.Time{{first, last}}
		if slices.Contains(c.away, agentAway) || slices.Contains(c.away, backendAway) {
			spans = [][2]time.Time{{first, begin}, {end, last}}
		}
		for _, x := range spans {
			if d, from := longestSilence(s.Samples, x[0], x[1]); d > longest {
				longest, which = d, fmt.Sprintf("%s of %q from %s on", s.Labels["__name__"], s.Labels["module_name"], from)
			}
		}
	}
	return longest, which
}
