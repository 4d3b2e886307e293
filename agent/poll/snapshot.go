package poll

import (
	"cmp"
	"maps"
	"slices"

	"netatmo-agent/agent/netatmo"
)

// group is what one answer replaces: a family, or a home of the energy family.
type group struct {
	family netatmo.Family
	home   string
}

// key identifies a reading. A module can be listed under two stations.
type key struct{ station, module string }

func keyOf(r netatmo.Reading) key { return key{r.StationID, r.ModuleID} }

// statusFields say how the module itself is; the others belong to a
// measurement.
var statusFields = []netatmo.Field{
	netatmo.BatteryPercent, netatmo.BatteryVoltage, netatmo.WifiRSSI, netatmo.RadioRSSI,
	netatmo.Reachable, netatmo.Firmware, netatmo.LastSeen, netatmo.CO2Calibrating,
}

// snapshot is the newest reading of every module that the account has and the
// filter allows.
type snapshot struct {
	groups   map[group][]netatmo.Reading
	measured map[key]netatmo.Reading // the newest with a measurement at a certain time, of modules that are there
	all      []netatmo.Reading       // replaced, never changed, by merge
}

// merge takes the readings of an answer in the place of those of its group.
// What the answer does not mention is gone, unless it may be the device that was
// not understood. The times of an answer are certain if its clocks agree. It
// returns the readings of the group and whether they say anything new.
func (s *snapshot) merge(g group, readings []netatmo.Reading, rejected []netatmo.ItemError, certain bool) ([]netatmo.Reading, bool) {
	old := s.groups[g]
	kept := func(r netatmo.Reading) bool {
		return slices.ContainsFunc(rejected, func(e netatmo.ItemError) bool {
			return e.ID == "" || e.ID == r.ModuleID || e.ID == r.StationID
		})
	}
	before := make(map[key]int, len(old)) // index in old
	for i, r := range old {
		before[keyOf(r)] = i
	}
	now := make([]netatmo.Reading, 0, len(readings))
	news := len(readings) != len(old)
	for _, r := range readings {
		if certain {
			r = s.newest(r)
		}
		k := keyOf(r)
		i, known := before[k]
		news = news || !known || !same(r, old[i])
		now = append(now, r)
		delete(before, k)
	}
	for _, r := range old {
		k := keyOf(r)
		if _, unmentioned := before[k]; !unmentioned {
			continue
		}
		if kept(r) {
			now = append(now, r)
		} else {
			delete(s.measured, k)
			news = true
		}
	}
	s.groups[g] = now
	s.gather()
	return now, news
}

// drop forgets a group.
func (s *snapshot) drop(g group) {
	for _, r := range s.groups[g] {
		delete(s.measured, keyOf(r))
	}
	delete(s.groups, g)
	s.gather()
}

func (s *snapshot) gather() {
	groups := slices.SortedFunc(maps.Keys(s.groups), func(a, b group) int {
		return cmp.Or(cmp.Compare(a.family, b.family), cmp.Compare(a.home, b.home))
	})
	var all []netatmo.Reading
	for _, g := range groups {
		all = append(all, s.groups[g]...)
	}
	s.all = all
}

// newest is r, unless its measurement is older than one that is known: answers
// of Netatmo alternate at times between a present and a past state. Then the
// newer measurement stays, and r counts for the module's status if its last
// contact does not lie in the past as well.
func (s *snapshot) newest(r netatmo.Reading) netatmo.Reading {
	if r.Measured.IsZero() {
		return r
	}
	last, known := s.measured[keyOf(r)]
	if known && sameTime(r, last) {
		r.Measured = last.Measured
	}
	if !known || !r.Measured.Before(last.Measured) || last.Measured.After(r.Answered.Add(ClockTolerance)) {
		s.measured[keyOf(r)] = r
		return r
	}
	if r.Seen.Before(last.Seen) {
		last.Answered = r.Answered
		return last
	}
	isStatus := func(v netatmo.Value) bool { return slices.Contains(statusFields, v.Field) }
	isSensor := func(v netatmo.Value) bool { return !isStatus(v) }
	r.Measured = last.Measured
	r.Values = append(slices.DeleteFunc(slices.Clone(r.Values), isSensor), slices.DeleteFunc(slices.Clone(last.Values), isStatus)...)
	return r
}

// sameTime reports whether Netatmo said the same time of measurement for a and b.
// One in its future counts as the time of each answer (netatmo.Reading), and
// would make a value that stands still a new one for ever.
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
		a.HomeID == b.HomeID && a.SetpointMode == b.SetpointMode && a.Foreign == b.Foreign
}
