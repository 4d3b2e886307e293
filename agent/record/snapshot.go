package record

import (
	"cmp"
	"maps"
	"slices"

	"netatmo-agent/agent/netatmo"
)

// snapshot is the newest reading of every module that the account has and the
// filter allows.
type snapshot struct {
	places   map[Place][]netatmo.Reading
	measured map[netatmo.Key]netatmo.Reading // the newest reading with a certain measurement time, of present modules
	all      []netatmo.Reading               // replaced, never changed, by merge
	full     bool                            // some were left out, because there are netatmo.MostDevices
}

// merge replaces a place's readings with those of an answer. Modules that the
// answer does not mention are gone, unless one of them may be a device that was
// not understood, or the account has netatmo.MostDevices without them. The times
// of an answer are certain if its clocks agree. merge returns the place's readings
// and whether they say anything new.
func (s *snapshot) merge(p Place, readings []netatmo.Reading, rejected []netatmo.ItemError, certain bool) ([]netatmo.Reading, bool) {
	old := s.places[p]
	most := netatmo.MostDevices - (len(s.all) - len(old))
	kept := func(r netatmo.Reading) bool {
		return slices.ContainsFunc(rejected, func(e netatmo.ItemError) bool {
			return !e.Absent && (e.ID == "" || e.ID == r.ModuleID || e.ID == r.StationID)
		})
	}
	before := make(map[netatmo.Key]int, len(old)) // index in old
	for i, r := range old {
		before[r.Key()] = i
	}
	now := make([]netatmo.Reading, 0, len(readings))
	at := make(map[netatmo.Key]int, len(readings)) // index in now
	news := false
	for _, r := range readings {
		k := r.Key()
		if i, twice := at[k]; twice { // the later measurement counts
			if r.Measured.Before(now[i].Measured) {
				continue
			}
			now[i] = r
		} else if len(now) < most {
			at[k] = len(now)
			now = append(now, r)
		} else {
			s.full = true
		}
	}
	for i, r := range now {
		if certain {
			r = s.newest(r)
			now[i] = r
		}
		k := r.Key()
		was, known := before[k]
		news = news || !known || !same(r, old[was])
		delete(before, k)
	}
	for _, r := range old {
		k := r.Key()
		if _, unmentioned := before[k]; !unmentioned {
			continue
		}
		if len(now) < most && kept(r) {
			now = append(now, r)
		} else {
			delete(s.measured, k)
			news = true
		}
	}
	s.places[p] = now
	s.gather()
	s.full = s.full && len(s.all) == netatmo.MostDevices
	return now, news
}

// drop forgets a place.
func (s *snapshot) drop(p Place) {
	for _, r := range s.places[p] {
		delete(s.measured, r.Key())
	}
	delete(s.places, p)
	s.gather()
}

func (s *snapshot) gather() {
	places := slices.SortedFunc(maps.Keys(s.places), func(a, b Place) int {
		return cmp.Or(cmp.Compare(a.Family, b.Family), cmp.Compare(a.Home, b.Home))
	})
	var all []netatmo.Reading
	for _, p := range places {
		all = append(all, s.places[p]...)
	}
	s.all = all
}

// newest returns r, unless its measurement is older than a known one: Netatmo's
// answers sometimes alternate between a current and an earlier state. Then the
// newer measurement stays, and r updates only the module's status, if its last
// contact is not older too.
func (s *snapshot) newest(r netatmo.Reading) netatmo.Reading {
	if r.Measured.IsZero() {
		return r
	}
	last, known := s.measured[r.Key()]
	if known && sameTime(r, last) {
		r.Measured = last.Measured
	}
	if !known || !r.Measured.Before(last.Measured) || last.Measured.After(r.Answered.Add(ClockTolerance)) {
		s.measured[r.Key()] = r
		return r
	}
	if r.Seen.Before(last.Seen) {
		last.Answered = r.Answered
		return last
	}
	isSensor := func(v netatmo.Value) bool { return v.Field.Origin() == netatmo.Sensor }
	isStatus := func(v netatmo.Value) bool { return !isSensor(v) }
	r.Measured = last.Measured
	r.Values = append(slices.DeleteFunc(slices.Clone(r.Values), isSensor), slices.DeleteFunc(slices.Clone(last.Values), isStatus)...)
	return r
}

// sameTime reports whether Netatmo sent the same measurement time for a and b. A
// time in the future counts as each answer's time (netatmo.Reading), so that an
// unchanging value would look new for ever.
func sameTime(a, b netatmo.Reading) bool {
	x, said := a.Values.Get(netatmo.MeasurementTime)
	y, known := b.Values.Get(netatmo.MeasurementTime)
	return said && known && x == y
}

// same reports whether a and b say the same; the time of the answer does not
// count.
func same(a, b netatmo.Reading) bool {
	return a.Measured.Equal(b.Measured) && a.Seen.Equal(b.Seen) && slices.Equal(a.Values, b.Values) &&
		a.ModuleName == b.ModuleName && a.StationName == b.StationName && a.HomeName == b.HomeName &&
		a.RoomName == b.RoomName && a.HomeID == b.HomeID && slices.Equal(a.States, b.States) && a.Foreign == b.Foreign
}
