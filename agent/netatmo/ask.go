package netatmo

import (
	"cmp"
	"context"
	"errors"
)

// API is what Ask needs of a *Client.
type API interface {
	Weather(ctx context.Context, favorites bool) (Answer, error)
	HomeCoaches(ctx context.Context) (Answer, error)
	Homes(ctx context.Context) ([]Home, error)
	HomeStatus(ctx context.Context, h Home) (Answer, error)
}

// Question says what to ask an account for.
type Question struct {
	Family    Family
	Home      *Home                               // in families of homes: only this home; nil: every home
	Favorites bool                                // also the user's favorite stations
	Allows    func(stationID, homeID string) bool // homes to request; nil: all
}

// Ask requests all devices of a family, with one request or one for each home.
// If Netatmo refuses a home, the others are not affected, and the home is among
// the rejected. An error comes with the readings of the homes that did answer.
// An answer about several homes has no time.
func Ask(ctx context.Context, api API, q Question) (Answer, error) {
	switch {
	case q.Family == Weather:
		return api.Weather(ctx, q.Favorites)
	case q.Family == HomeCoach:
		return api.HomeCoaches(ctx)
	case q.Home != nil:
		return api.HomeStatus(ctx, *q.Home)
	}
	homes, err := api.Homes(ctx)
	if err != nil {
		return Answer{}, err
	}
	all := Answer{Homes: homes}
	var failed, denied error
	answered := false
	for _, h := range homes {
		if q.Allows != nil && !q.Allows("", h.ID) {
			continue
		}
		answer, err := api.HomeStatus(ctx, h)
		switch meaning := MeaningOf(err); meaning {
		case Answered:
			answered = true
			all.Readings = append(all.Readings, answer.Readings...)
			all.Rejected = append(all.Rejected, answer.Rejected...)
			if len(all.Readings) > MostDevices {
				all.Readings = all.Readings[:MostDevices]
				all.Rejected = append(all.Rejected, ErrTooMany)
				return all, nil
			}
		case Refused, NoScope:
			if meaning == NoScope {
				denied = err
			}
			all.Rejected = append(all.Rejected, ItemError{ID: "home " + h.ID, Reason: "Netatmo does not report its state to this account"})
		case Hopeless:
			return all, err
		default:
			failed = cmp.Or(failed, err)
		}
	}
	if !answered { // then the login lacks the scope, not one home
		failed = cmp.Or(failed, denied)
	}
	return all, failed
}

// Meaning is what an error of the API means for the subject of the request: an
// account, a family, a home, or a module's history.
type Meaning int

// The meanings.
const (
	Answered Meaning = iota // no error
	Refused                 // the account has no such thing, or may not ask about it
	NoScope                 // the login lacks the scope, or, if it answers about other homes, this home is not shared in full
	Failed                  // perhaps temporary; says nothing about other requests
	Hopeless                // perhaps temporary, and affects every other request too
)

// MeaningOf returns what an error means.
func MeaningOf(err error) Meaning {
	switch ClassOf(err) {
	case "":
		return Answered
	case ClassNotFound, ClassInvalid:
		return Refused
	case ClassScope:
		return NoScope
	case ClassLogin, ClassQuota, ClassCanceled:
		return Hopeless
	}
	return Failed
}

// ClassOf returns the class of an error of the API, empty for nil. Other errors
// count as the server's.
func ClassOf(err error) Class {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Class
	}
	return ClassServer
}
