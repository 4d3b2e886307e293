package poll

import (
	"fmt"
	"strings"

	"netatmo-agent/agent/netatmo"
)

// manyNames is how many modules a line of the log names.
const manyNames = 12

// announce tells the log which modules an account has, and from then on which
// come, go, fall out of reach and return: one line for all that one answer
// says.
func (p *Poller) announce(g group, before, now []netatmo.Reading, first bool) {
	log := p.cfg.Logger.With("family", g.family)
	was := make(map[key]netatmo.Reading, len(before))
	for _, r := range before {
		was[keyOf(r)] = r
	}
	var found, lost, back, gone []string
	for _, r := range now {
		old, known := was[keyOf(r)]
		if !known {
			found = append(found, r.ModuleName)
		}
		switch away := unreachable(r); {
		case away && !unreachable(old):
			lost = append(lost, r.ModuleName)
		case !away && unreachable(old):
			back = append(back, r.ModuleName)
		}
		delete(was, keyOf(r))
	}
	for _, r := range before {
		if _, unmentioned := was[keyOf(r)]; unmentioned {
			gone = append(gone, r.ModuleName)
		}
	}
	if len(found) > 0 {
		message := "modules are new in Netatmo's answer"
		if first {
			message = "modules found"
		}
		log.Info(message, "modules", names(found))
	}
	if len(gone) > 0 {
		log.Info("modules are no longer in Netatmo's answer", "modules", names(gone))
	}
	if len(lost) > 0 {
		log.Warn("modules are out of reach; check batteries, the distance to the station, and the station's power and Wi-Fi", "modules", names(lost))
	}
	if len(back) > 0 {
		log.Info("modules are within reach again", "modules", names(back))
	}
}

// unreachable reports whether Netatmo says of a module that it cannot be
// reached. It does not say anything of some.
func unreachable(r netatmo.Reading) bool {
	reachable, said := r.Values.Get(netatmo.Reachable)
	return said && reachable == 0
}

func names(modules []string) string {
	if more := len(modules) - manyNames; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(modules[:manyNames], ", "), more)
	}
	return strings.Join(modules, ", ")
}
