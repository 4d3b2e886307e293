package record

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"netatmo-agent/agent/netatmo"
)

const (
	manyNames = 12 // how many modules a log line names
	manyLines = 10 // how many devices of an answer get a line of their own
)

// said logs what changes in Netatmo's answers, and remembers what it logged. The
// Record's lock guards it.
type said struct {
	log      *slog.Logger
	rejected map[Place]map[netatmo.ItemError]bool
	pulses   map[Place]map[netatmo.Key]pulse
	full     bool // that there are too many devices
	clipped  bool // that a gap is too long, while there are gaps
	slow     bool // that the requests do not suffice for all measurements
	late     int  // samples found by looks at gaps that were filled, not written yet
}

// changes names the modules of a place at first, and later those that appear,
// disappear, fall out of reach and return: one line for each kind in an answer. all
// are the readings of all places.
func (s *said) changes(p Place, before, now, all []netatmo.Reading, first bool) {
	log := s.log.With("family", p.Family)
	was := make(map[netatmo.Key]netatmo.Reading, len(before))
	for _, r := range before {
		was[r.Key()] = r
	}
	var found, lost, back, gone []netatmo.Reading
	for _, r := range now {
		old, known := was[r.Key()]
		if !known {
			found = append(found, r)
		}
		switch away := unreachable(r); {
		case away && !unreachable(old):
			lost = append(lost, r)
		case !away && unreachable(old):
			back = append(back, r)
		}
		delete(was, r.Key())
	}
	for _, r := range before {
		if _, unmentioned := was[r.Key()]; unmentioned {
			gone = append(gone, r)
		}
	}
	if len(found)+len(lost)+len(back)+len(gone) == 0 {
		return
	}
	apart := apart(p.Family, append(slices.Clone(all), gone...))
	if len(found) > 0 {
		message := "modules are new in Netatmo's answer"
		if first {
			message = "modules found"
		}
		log.Info(message, "modules", names(found, apart))
	}
	if len(gone) > 0 {
		log.Info("modules are no longer in Netatmo's answer", "modules", names(gone, apart))
	}
	if len(lost) > 0 {
		remedy := "check batteries, the distance to the station, and the station's power and Wi-Fi"
		if p.Family.InHomes() {
			remedy = "check their power or batteries, and their gateway's power and network"
		}
		log.Warn("modules are out of reach; "+remedy, "modules", names(lost, apart))
	}
	if len(back) > 0 {
		log.Info("modules are within reach again", "modules", names(back, apart))
	}
}

// unreachable reports whether Netatmo calls a module unreachable. About some
// modules it says nothing.
func unreachable(r netatmo.Reading) bool {
	reachable, said := r.Values.Get(netatmo.Reachable)
	return said && reachable == 0
}

// moduleSilence is how long a module may report nothing new before the log says
// so: its radio misses an upload now and then.
const moduleSilence = time.Hour

// pulse is what the log knows of a module's measurements.
type pulse struct {
	last          time.Time // the last measurement, or when the module was first seen without any
	silent        bool      // the log says so of the module
	stationSilent bool      // the log says so of the module's whole station
}

// silence warns about stations and modules that Netatmo calls reachable but that
// have measured nothing new for so long that their values are withheld. It says
// nothing about the modules of a silent station. all are the readings of all places.
func (s *said) silence(p Place, readings, all []netatmo.Reading, stale time.Duration) {
	if stale <= 0 || p.Family.InHomes() { // devices in homes have no time of measurement
		return
	}
	log := s.log.With("family", p.Family)
	was, lines := s.pulses[p], 0
	s.pulses[p] = map[netatmo.Key]pulse{}
	newest := map[string]time.Time{} // by station
	for _, r := range readings {
		now := was[r.Key()]
		switch {
		case !r.Measured.IsZero():
			now.last = r.Measured
		case now.last.IsZero():
			now.last = r.Answered
		}
		s.pulses[p][r.Key()] = now
		newest[r.StationID] = later(newest[r.StationID], now.last)
	}
	var silent, back []netatmo.Reading // modules
	for _, r := range readings {
		now := s.pulses[p][r.Key()]
		reachable, _ := r.Values.Get(netatmo.Reachable)
		old := func(t time.Time, most time.Duration) bool { return r.Answered.Sub(t) > most }
		stationOld := old(newest[r.StationID], stale)
		if is := stationOld && reachable == 1; r.ModuleID == r.StationID && is != now.stationSilent {
			now.stationSilent = is
			if lines++; lines <= manyLines {
				saySilent(log, r, all, newest[r.StationID], is)
			}
		}
		if is := reachable == 1 && old(now.last, max(stale, moduleSilence)); !stationOld && is != now.silent {
			now.silent = is
			if is {
				silent = append(silent, r)
			} else if reachable == 1 {
				back = append(back, r)
			}
		}
		s.pulses[p][r.Key()] = now
	}
	if lines > manyLines {
		log.Warn("more stations have started or stopped reporting new values", "number", lines-manyLines)
	}
	if len(silent) > 0 {
		log.Warn("modules report no new values, although Netatmo calls them reachable; withholding their values until they do", "modules", names(silent, apart(p.Family, all)))
	}
	if len(back) > 0 {
		log.Info("modules report new values again", "modules", names(back, apart(p.Family, all)))
	}
}

// saySilent logs that a station began or ceased to be silent. One that is no longer
// reachable is said to be so elsewhere.
func saySilent(log *slog.Logger, r netatmo.Reading, all []netatmo.Reading, since time.Time, silent bool) {
	reachable, _ := r.Values.Get(netatmo.Reachable)
	switch {
	case silent:
		log.Warn("a station reports no new values, although Netatmo calls it reachable; withholding its values until it does",
			"station", stationName(r, all), "since", since.Format(time.RFC3339))
	case reachable == 1:
		log.Info("the station reports new values again", "station", stationName(r, all))
	}
}

// stationName returns the name of the station r, with its id if another station has
// the same name.
func stationName(r netatmo.Reading, all []netatmo.Reading) string {
	for _, x := range all {
		if x.StationName == r.StationName && x.StationID != r.StationID {
			return r.StationName + " (" + r.StationID + ")"
		}
	}
	return r.StationName
}

// short warns once if the history of all modules needs more requests in an hour
// than there are.
func (s *said) short(demand, budget int) {
	if slow := demand > budget; slow != s.slow {
		s.slow = slow
		if slow {
			s.log.Warn("measurements arrive late, but none is lost: the modules take turns, because their history needs more requests than NETATMO_REQUESTS_PER_HOUR allows",
				"needed_per_hour", demand, "allowed_per_hour", budget)
		}
	}
}

// tooMany warns when devices begin to be left out because there are too many.
func (s *said) tooMany(full bool) {
	if full && !s.full {
		s.log.Warn("devices are left out", "error", netatmo.ErrTooMany)
	}
	s.full = full
}

// filled logs what second looks at filled gaps have found, once none is under way.
func (s *said) filled(gaps, busy bool) {
	s.clipped = s.clipped && gaps
	if s.late > 0 && !busy {
		s.log.Info("filled in readings that a station uploaded late", "samples", s.late)
		s.late = 0
	}
}

// leftOut warns about devices in an answer that are not understood or that
// Netatmo cannot reach, once for as long as they stay so.
func (s *said) leftOut(p Place, rejected []netatmo.ItemError) {
	log := s.log.With("family", p.Family)
	if p.Home != "" {
		log = log.With("home", p.Home)
	}
	known, news := s.rejected[p], 0
	s.rejected[p] = map[netatmo.ItemError]bool{}
	for _, e := range rejected {
		what := e
		what.Place = "" // Netatmo's lists have no order
		s.rejected[p][what] = true
		if known[what] {
			continue
		}
		if news++; news <= manyLines {
			log.Warn("a device in Netatmo's answer is left out", "error", e)
		}
	}
	if news > manyLines {
		log.Warn("more devices in Netatmo's answer are left out", "number", news-manyLines)
	}
}

// apart is netatmo.Apart among the readings of the family, or of all families in
// homes, which one request answers.
func apart(family netatmo.Family, readings []netatmo.Reading) map[netatmo.Key]string {
	var same []netatmo.Reading
	for _, r := range readings {
		if r.Family == family || r.Family.InHomes() && family.InHomes() {
			same = append(same, r)
		}
	}
	return netatmo.Apart(same)
}

// names lists modules, those that share a name with what distinguishes them.
func names(modules []netatmo.Reading, apart map[netatmo.Key]string) string {
	var list []string
	for _, r := range modules[:min(len(modules), manyNames)] {
		list = append(list, r.ModuleName+apart[r.Key()])
	}
	text := strings.Join(list, ", ")
	if more := len(modules) - manyNames; more > 0 {
		return fmt.Sprintf("%s and %d more", text, more)
	}
	return text
}
