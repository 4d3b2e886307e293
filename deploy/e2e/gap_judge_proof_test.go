package e2e

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"netatmo-agent/agent/simcloud"
)

// The judge is useful only if it finds errors. Here a module measures every 5
// s, uploads every 10 s, and was away for two minutes; the backend has live
// points every 2 s before and after, and history between.
func TestJudge(t *testing.T) {
	s := sensor{simcloud.Module{ID: "02:00:00:00:00:01", Name: "Garden"}, "Temperature", "netatmo_temperature_celsius"}
	start := time.Unix(1_800_000_000, 0)
	at := func(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }
	value := func(t time.Time) float64 { return float64(t.Unix() % 1000) }
	x := truth{stale: 20 * time.Second, hole: 30 * time.Second}
	x.held = func(_ sensor, from, to time.Time) (held []simcloud.Sample) {
		for m := start.Add(-time.Minute); !m.After(to); m = m.Add(5 * time.Second) {
			if !m.Before(from) {
				held = append(held, simcloud.Sample{Time: m, Value: value(m)})
			}
		}
		return held
	}
	whole := func() (points, measured []Sample) {
		live := func(from, to float64) {
			for sec := from; sec < to; sec += 2 {
				m := at(sec).Truncate(10 * time.Second)
				points = append(points, Sample{at(sec), value(m)})
				measured = append(measured, Sample{at(sec), float64(m.Unix())})
			}
		}
		live(0.4, 60) // the last one at 58.4
		for sec := 60.0; sec <= 180; sec += 5 {
			points = append(points, Sample{at(sec), value(at(sec))})
		}
		measured = append(measured, Sample{at(182.4), float64(at(180).Unix())}) // the temperature waited
		live(184.4, 200)
		return points, measured
	}
	tests := map[string]struct {
		spoil func(points []Sample) []Sample
		want  verdict
	}{
		"whole":              {func(p []Sample) []Sample { return p }, verdict{expected: 25, present: 25}},
		"one is missing":     {func(p []Sample) []Sample { return slices.Delete(p, 40, 41) }, verdict{expected: 25, present: 24}},
		"all are missing":    {func(p []Sample) []Sample { return slices.Delete(p, 30, 55) }, verdict{expected: 25, present: 0}},
		"one is there twice": {func(p []Sample) []Sample { return append(p, p[40]) }, verdict{expected: 25, present: 25, duplicated: 1}},
		"one is a second late": {func(p []Sample) []Sample { p[40].Time = p[40].Time.Add(time.Second); return p },
			verdict{expected: 25, present: 24}}, // as if it were live
		"one has the value of a later one": {func(p []Sample) []Sample { p[40].Value = p[41].Value; return p },
			verdict{expected: 25, present: 24, outOfPlace: 1}},
		"one has another module's value": {func(p []Sample) []Sample { p[40].Value = 5000; return p },
			verdict{expected: 25, present: 24, outOfPlace: 1}},
		"a live point has another module's value": {func(p []Sample) []Sample { p[5].Value = 5000; return p },
			verdict{expected: 25, present: 25, outOfPlace: 1}},
		"a live point repeats a stale value": {func(p []Sample) []Sample { p[20].Value = value(at(10)); return p },
			verdict{expected: 25, present: 25, outOfPlace: 1}},
		"a zero for what is missing": {func(p []Sample) []Sample { p[40].Value = -1; return p },
			verdict{expected: 25, present: 24, outOfPlace: 1}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			points, measured := whole()
			series := func(metric string, samples []Sample) Series {
				return Series{map[string]string{"__name__": metric, "module_id": s.ID}, samples}
			}
			v := x.judge(s, []Series{series(s.metric, tt.spoil(points)), series("netatmo_measurement_time_seconds", measured)})
			tt.want.series, tt.want.heldBack = 1, 2*time.Second
			if spoilt := name != "whole"; spoilt != (len(v.faults) > 0) {
				t.Errorf("faults %q", v.faults)
			}
			v.faults = nil
			if got, want := fmt.Sprint(v), fmt.Sprint(tt.want); got != want {
				t.Errorf("%+v, want %+v", v, tt.want)
			}
		})
	}
}
