package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"netatmo-agent/agent/catalogue"
	"netatmo-agent/agent/simcloud"
)

// sensor is one type of measurement of a module, with a history.
type sensor struct {
	simcloud.Module
	typ    string
	metric string // its name in Prometheus
}

func (s sensor) String() string { return s.metric + " of " + s.Name }

// sensorsOf lists the sensors of weather stations, home coaches and rooms.
func sensorsOf(t *testing.T, cloud *Cloud) []sensor {
	t.Helper()
	metrics := map[string]string{}
	for _, m := range catalogue.Readings() {
		if m.History != "" {
			metrics[strings.ToLower(m.History)] = prometheusName(t, m)
		}
	}
	var all []sensor
	for _, m := range cloud.Modules() {
		if m.Type == simcloud.TypeThermostat { // its room has the same
			continue
		}
		for _, typ := range m.Types {
			all = append(all, sensor{m, typ, metrics[strings.ToLower(typ)]})
		}
	}
	return all
}

// truth is what the judge compares with.
type truth struct {
	stale time.Duration // how long a live value is repeated
	hole  time.Duration // a longer silence between live points is a gap
	// mark is what was acknowledged before the first point; zero if nothing
	// was.
	mark time.Time
	// until, if it is not zero, ends every gap before the reading that ended
	// it. Rooms need it, because they do not say when they measured.
	until time.Time
	// horizon is the maximum age of a sample that the backend accepts; zero:
	// any.
	horizon time.Duration
	// held returns the cloud's samples of a sensor, between two times.
	held func(s sensor, from, to time.Time) []simcloud.Sample
}

// verdict is what a backend has of the samples of gaps.
type verdict struct {
	expected, present      int           // samples
	duplicated, outOfPlace int           // points
	series                 int           // with points of sensors
	heldBack               time.Duration // longest time that live values waited for history
	faults                 []string      // the first few
}

func (v *verdict) fault(format string, args ...any) {
	if len(v.faults) < 8 {
		v.faults = append(v.faults, fmt.Sprintf(format, args...))
	}
}

func (v *verdict) add(w verdict) {
	v.expected += w.expected
	v.present += w.present
	v.duplicated += w.duplicated
	v.outOfPlace += w.outOfPlace
	v.series += w.series
	v.heldBack = max(v.heldBack, w.heldBack)
	v.faults = append(v.faults, w.faults[:min(len(w.faults), max(0, 8-len(v.faults)))]...)
}

// judge checks the points of one sensor. Points with a sample's time must be
// that sample. All others are live, and the sensor must have had their value
// within the stale limit before. In each gap between live points every sample
// must be present, up to that of the reading that ended the gap.
func (x truth) judge(s sensor, stored []Series) verdict {
	var v verdict
	points, series := pointsOf(stored, s.metric, s.ID)
	v.series = series
	if len(points) == 0 {
		v.fault("%s: nothing is stored", s)
		return v
	}
	last := points[len(points)-1].Time
	samples := x.held(s, earlier(points[0].Time, x.mark).Add(-x.stale), last)
	own := map[int64]bool{}
	var live []time.Time
	if !x.mark.IsZero() {
		live = append(live, x.mark)
	}
	for i, p := range points {
		switch {
		case i > 0 && p.Time.Equal(points[i-1].Time):
			v.duplicated++
			v.fault("%s: twice at %s", s, p.Time)
		case isSample(samples, p):
			own[p.Time.Unix()] = true
		case x.isLive(samples, p):
			live = append(live, p.Time)
		default:
			v.outOfPlace++
			v.fault("%s: %v at %s, which it did not measure", s, p.Value, p.Time)
		}
	}
	measured, _ := pointsOf(stored, "netatmo_measurement_time_seconds", s.ID)
	for i := 1; i < len(live); i++ {
		if live[i].Sub(live[i-1]) > x.hole {
			v.add(x.judgeGap(s, live[i-1], live[i], measured, samples, own))
		}
	}
	return v
}

// judgeGap checks a sensor's gap between two live points.
func (x truth) judgeGap(s sensor, before, after time.Time, measured []Sample, samples []simcloud.Sample, own map[int64]bool) verdict {
	var v verdict
	old, _ := measurementAt(measured, before)
	end, known := measurementAt(measured, after)
	if !known {
		end = after
	}
	end = earlier(end, x.until)
	for _, m := range measured { // when the reading that ended the gap was available
		if m.Time.After(before) && m.Time.Before(after) && m.Value > float64(old.Unix()) {
			v.heldBack = after.Sub(m.Time)
			break
		}
	}
	for _, h := range samples {
		if !h.Time.After(before) || h.Time.After(end) || x.horizon > 0 && after.Sub(h.Time) > x.horizon {
			continue
		}
		v.expected++
		if own[h.Time.Unix()] {
			v.present++
		} else {
			v.fault("%s: %v of %s is missing in the gap from %s to %s", s, h.Value, h.Time.UTC(), before, after)
		}
	}
	return v
}

// pointsOf returns the points of a metric of a module in time order, and the
// number of their series.
func pointsOf(stored []Series, metric, module string) (points []Sample, series int) {
	for _, s := range stored {
		if s.Labels["__name__"] == metric && s.Labels["module_id"] == module {
			points = append(points, s.Samples...)
			series++
		}
	}
	slices.SortStableFunc(points, func(a, b Sample) int { return a.Time.Compare(b.Time) })
	return points, series
}

// measurementAt returns the measurement time of the values pushed at t.
func measurementAt(measured []Sample, t time.Time) (time.Time, bool) {
	i, found := slices.BinarySearchFunc(measured, t, func(m Sample, t time.Time) int { return m.Time.Compare(t) })
	if !found {
		return time.Time{}, false
	}
	return time.Unix(int64(measured[i].Value), 0), true
}

func isSample(samples []simcloud.Sample, p Sample) bool {
	i, found := slices.BinarySearchFunc(samples, p.Time, func(h simcloud.Sample, t time.Time) int { return h.Time.Compare(t) })
	return found && samples[i].Value == p.Value
}

func (x truth) isLive(samples []simcloud.Sample, p Sample) bool {
	return slices.ContainsFunc(samples, func(h simcloud.Sample) bool {
		return h.Value == p.Value && !h.Time.After(p.Time) && p.Time.Sub(h.Time) <= x.stale
	})
}

// earlier returns the earlier time; a zero b counts as none.
func earlier(a, b time.Time) time.Time {
	if b.IsZero() || a.Before(b) {
		return a
	}
	return b
}

// longestSilence returns the longest time without a point between from and to,
// and when it began.
func longestSilence(points []Sample, from, to time.Time) (longest time.Duration, begin time.Time) {
	for _, p := range append(slices.Clone(points), Sample{Time: to}) {
		if p.Time.After(from) && !p.Time.After(to) {
			if d := p.Time.Sub(from); d > longest {
				longest, begin = d, from
			}
			from = p.Time
		}
	}
	return longest, begin
}
