package simcloud

import (
	"iter"
	"math"
	"strings"
	"time"
)

// spans are the periods in which a switch was on.
type spans []span

type span struct{ from, to time.Time } // half open; a zero to is still in the future

func (s *spans) set(on bool, now time.Time) {
	last := len(*s) - 1
	running := last >= 0 && (*s)[last].to.IsZero()
	switch {
	case on && !running:
		*s = append(*s, span{from: now})
	case !on && running:
		(*s)[last].to = now
	}
}

func (s spans) at(t time.Time) (span, bool) {
	for _, x := range s {
		if !t.Before(x.from) && (x.to.IsZero() || t.Before(x.to)) {
			return x, true
		}
	}
	return span{}, false
}

// schedule is when a station measures and uploads. The k-th upload has the
// newest perUpload samples of each of its devices; the newest of all is the
// station's own, measured lag before the upload appears in the cloud. As
// observed, the phase drifts: the period is a little shorter than the nominal
// one.
type schedule struct {
	phase, period, measure, lag time.Duration
	perUpload                   int
	offline                     spans
}

func newSchedule(seed uint64, measure, upload time.Duration) *schedule {
	drift := 0.001 * unit(seed, 20, 0)
	return &schedule{
		phase:     time.Duration(unit(seed, 21, 0) * float64(upload)),
		period:    time.Duration(float64(upload) * (1 - drift)),
		measure:   measure,
		lag:       scaled(5*time.Second, measure),
		perUpload: max(1, int(math.Round(float64(upload)/float64(measure)))),
	}
}

// scaled converts a real duration in proportion to the cadence.
func scaled(d, measure time.Duration) time.Duration {
	return time.Duration(float64(d) * float64(measure) / float64(realMeasure))
}

// due is when upload k appears, if the station is online.
func (s *schedule) due(k int64) time.Time {
	return time.Unix(0, int64(s.phase)+k*int64(s.period)+int64(s.lag))
}

// before is the newest upload due before t.
func (s *schedule) before(t time.Time) int64 {
	n := t.UnixNano() - int64(s.phase) - int64(s.lag) - 1
	k := n / int64(s.period)
	if n < 0 && n%int64(s.period) != 0 {
		k--
	}
	return k
}

// shown is when upload k appeared or will appear: when it was due, or when the
// station came back online. It is zero while the station is offline.
func (s *schedule) shown(k int64) time.Time {
	if away, was := s.offline.at(s.due(k)); was {
		return away.to
	}
	return s.due(k)
}

// newest is the newest upload that had appeared at t.
func (s *schedule) newest(t time.Time) int64 {
	k := s.before(t.Add(1))
	for {
		away, was := s.offline.at(s.due(k))
		if !was || !away.to.IsZero() && !away.to.After(t) {
			return k
		}
		k = s.before(away.from)
	}
}

// device is a station, module, home coach, room or energy device in operation.
type device struct {
	Device
	id       string // without blanks
	seed     uint64
	home     *home
	parent   *device // the station or gateway that uploads for it; nil for a station or gateway
	children []*device
	room     *device // the room of a thermostat or valve
	offset   time.Duration
	schedule *schedule
	start    int64 // no sample is older
	lost     spans // unreachable: what it measured then is lost
	removed  time.Time
	today    extremes
}

// sample is one measurement: its Unix second and the seconds since the one
// before it.
type sample struct{ t, step int64 }

func (d *device) has(q Quirk) bool { return d.Quirks&q != 0 }

func (d *device) exists(t time.Time) bool {
	return (d.removed.IsZero() || t.Before(d.removed)) && (d.parent == nil || d.parent.exists(t))
}

// stamp is the Unix second of the sample that is i measuring steps older than
// the newest of upload k.
func (d *device) stamp(k int64, i int) int64 {
	s := d.schedule
	return s.due(k).Add(-s.lag - d.offset - time.Duration(i)*s.measure).Unix()
}

func (d *device) sample(k int64, i int) sample {
	t := d.stamp(k, i)
	if i == d.schedule.perUpload-1 {
		return sample{t, t - d.stamp(k-1, 0)}
	}
	return sample{t, t - d.stamp(k, i+1)}
}

// mute reports whether the device never measured anything.
func (d *device) mute() bool { return d.has(Dead|NoData|Minimal) || len(senses[d.Type]) == 0 }

// held yields, ascending, the samples between the Unix seconds from and to,
// both included, that the cloud had at the time asOf.
func (d *device) held(from, to int64, asOf time.Time) iter.Seq[sample] {
	from = max(from, d.start)
	return func(yield func(sample) bool) {
		if d.mute() {
			return
		}
		last := d.schedule.newest(asOf)
		for k := d.schedule.before(time.Unix(from, 0)); k <= last; k++ {
			if _, gone := d.lost.at(d.schedule.due(k)); gone {
				continue
			}
			for i := d.schedule.perUpload - 1; i >= 0; i-- {
				s := d.sample(k, i)
				if s.t > to {
					return
				}
				if s.t >= from && !yield(s) {
					return
				}
			}
		}
	}
}

// newest is the device's newest upload that the cloud had at t.
func (d *device) newest(t time.Time) (k int64, held bool) {
	k = d.schedule.newest(t)
	for {
		gone, was := d.lost.at(d.schedule.due(k))
		if !was {
			return k, !d.mute() && d.stamp(k, 0) >= d.start
		}
		k = d.schedule.before(gone.from)
	}
}

// reachable is the cloud's opinion: a station that was silent for hours and a
// module that was silent for an hour are not.
func (d *device) reachable(t time.Time) bool {
	if _, lost := d.lost.at(t); lost || d.has(Dead) {
		return false
	}
	patience := scaled(4*time.Hour, d.schedule.measure)
	if d.parent != nil {
		patience /= 4
	}
	return t.Sub(d.schedule.shown(d.schedule.newest(t))) < patience
}

// extremes are those of a local day up to and including upload k; see
// device.extreme.
type extremes struct {
	midnight, k   int64
	to, count     int64 // the last sample considered, and how many had a value
	low, high     float64
	lowAt, highAt int64
	angle         float64 // of the wind at highAt
}

// extreme returns the lowest and highest value of s so far on the local day of
// the newest sample of upload k. The last result is cached and continued,
// because a day has hundreds of samples and every answer needs it.
func (d *device) extreme(s sensor, k int64, asOf time.Time) extremes {
	newest := d.stamp(k, 0)
	e := d.today
	from := e.to + 1
	if midnight := d.home.place.midnight(newest); e.midnight != midnight || k < e.k || e.count == 0 {
		e = extremes{midnight: midnight, low: math.Inf(1), high: math.Inf(-1)}
		from = midnight
	}
	for x := range d.held(from, newest, asOf) {
		v, ok := d.read(s, x)
		if !ok {
			continue
		}
		if v < e.low {
			e.low, e.lowAt = v, x.t
		}
		if v > e.high {
			e.high, e.highAt = v, x.t
			e.angle, _ = d.read(windAngle, x)
		}
		e.count++
	}
	e.k, e.to = k, newest
	d.today = e
	return e
}

func compact(id string) string { return strings.ReplaceAll(id, " ", "") }
