package poll

import (
	"cmp"
	"context"
	"errors"

	"netatmo-agent/agent/netatmo"
)

// Ask asks src for all devices of a family: by one request, and for the energy
// family by one more for each home that allows, if it is not nil, does not
// leave out. A home whose state is refused is among the rejected and costs the
// others nothing; with an error come the readings of those that did answer. The
// answer about the energy family has no time.
func Ask(ctx context.Context, src Source, family netatmo.Family, favorites bool, allows func(stationID, homeID string) bool) (netatmo.Answer, error) {
	switch family {
	case netatmo.Weather:
		return src.Weather(ctx, favorites)
	case netatmo.HomeCoach:
		return src.HomeCoaches(ctx)
	}
	homes, err := src.Homes(ctx)
	if err != nil {
		return netatmo.Answer{}, err
	}
	var all netatmo.Answer
	var failed, denial error
	answered := false
	for _, h := range homes {
		if allows != nil && !allows("", h.ID) {
			continue
		}
		answer, err := src.HomeStatus(ctx, h)
		switch {
		case err == nil:
			answered = true
			all.Readings = append(all.Readings, answer.Readings...)
			all.Rejected = append(all.Rejected, answer.Rejected...)
		case homeRefused(err), classOf(err) == netatmo.ClassScope:
			if !homeRefused(err) {
				denial = err
			}
			all.Rejected = append(all.Rejected, netatmo.ItemError{ID: "home " + h.ID, Reason: "Netatmo does not give its state to this account"})
		case hopeless(err):
			return all, err
		default:
			failed = cmp.Or(failed, err)
		}
	}
	if !answered { // so it is the login that lacks the scope
		failed = cmp.Or(failed, denial)
	}
	return all, failed
}

// homeRefused reports whether err, of a request for the state of a home, is
// about that home alone: it is shared with the account, but not to be asked
// about.
func homeRefused(err error) bool {
	class := classOf(err)
	return class == netatmo.ClassInvalid || class == netatmo.ClassNotFound
}

// classOf is the class of an error of the Source, empty for nil. Other errors
// count as faults of the server.
func classOf(err error) netatmo.Class {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*netatmo.Error](err); ok {
		return e.Class
	}
	return netatmo.ClassServer
}
