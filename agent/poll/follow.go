package poll

import (
	"cmp"
	"context"
	"slices"
	"time"

	"netatmo-agent/agent/netatmo"
)

// follower polls a family whose stations upload at their own times, all with
// one request.
type follower struct {
	p        *Poller
	name     netatmo.Family
	stations map[string]*station // by station id
	polled   time.Time
	some     time.Time // when an answer last had a station
	doubt    doubt
}

func (f *follower) poll(ctx context.Context) error {
	sent := time.Now()
	answer, err := Ask(ctx, f.p.src, f.name, f.p.cfg.Favorites, f.p.cfg.Allows)
	f.polled = time.Now()
	if err != nil {
		return err
	}
	if !f.doubt.believes(len(answer.Readings) == 0 && len(answer.Rejected) == 0) {
		return doubtError(f.doubt)
	}
	readings := f.p.merge(group{family: f.name}, answer)
	f.observe(readings, sent, answer.Offset)
	if len(readings) > 0 || len(answer.Rejected) > 0 {
		f.some = f.polled
	}
	if time.Since(f.some) > asideFor {
		return nothing(len(answer.Readings))
	}
	return nil
}

// observe tells each station about the newest measurement of its modules, and
// forgets the stations that are gone.
func (f *follower) observe(readings []netatmo.Reading, sent time.Time, offset time.Duration) {
	newest := map[string]time.Time{}
	for _, r := range readings {
		newest[r.StationID] = later(newest[r.StationID], r.Measured)
	}
	for id, t := range newest {
		s := f.stations[id]
		if s == nil {
			s = &station{}
			if c := f.p.state.cadence(id); c > 0 {
				s.seen = []time.Duration{c}
			}
			f.stations[id] = s
		}
		s.observe(t, sent, f.polled, offset)
		if s.sure {
			f.p.state.setCadence(id, s.value())
		}
	}
	for id := range f.stations {
		if _, there := newest[id]; !there {
			delete(f.stations, id)
		}
	}
}

// next is when to poll: when the first station is due, or a little later if
// others are due soon after. Polls keep a distance, so that a thousand stations
// do not cost a thousand polls.
func (f *follower) next() time.Time {
	if f.p.cfg.Interval > 0 {
		return f.polled.Add(f.p.cfg.Interval)
	}
	if len(f.stations) == 0 {
		return f.polled.Add(longest)
	}
	dues := make([]time.Time, 0, len(f.stations))
	for _, s := range f.stations {
		dues = append(dues, s.due())
	}
	slices.SortFunc(dues, time.Time.Compare)
	distance := f.distance()
	soon, _ := slices.BinarySearchFunc(dues, dues[0].Add(distance/2), time.Time.Compare)
	return later(f.polled.Add(distance), dues[max(soon-1, 0)])
}

func (f *follower) every() time.Duration {
	return cmp.Or(f.p.cfg.Interval, f.quickest(longest))
}

// quickest is the shortest cadence of the stations, at most most.
func (f *follower) quickest(most time.Duration) time.Duration {
	for _, s := range f.stations {
		if c := s.value(); c > 0 {
			most = min(most, c)
		}
	}
	return most
}

// distance is the least time between two polls. It is none for one station and
// grows to a minute, or a tenth of the cadence, for more than ten.
func (f *follower) distance() time.Duration {
	most := min(time.Minute, f.quickest(longest)/10)
	return most * time.Duration(min(len(f.stations)-1, 10)) / 10
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
