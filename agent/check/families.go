package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"netatmo-agent/agent/config"
	"netatmo-agent/agent/humanize"
	"netatmo-agent/agent/netatmo"
)

// devices names the devices of each family.
var devices = map[netatmo.Family]string{
	netatmo.Weather:   "weather station",
	netatmo.HomeCoach: "home coach",
	netatmo.Energy:    "heating",
	netatmo.Control:   "Legrand, BTicino or Bubendorff device",
	netatmo.Security:  "camera, door tag or alarm",
}

// account is what the doctor requests, and what it has learnt.
type account struct {
	netatmo.API
	homes    []netatmo.Home // with devices of the families in homes
	readings []netatmo.Reading
	rejected []netatmo.ItemError
}

// places are the ids and names of the stations and homes, as far as they are known.
func (a *account) places() map[string]string {
	places := netatmo.Places(a.readings, a.homes)
	for _, e := range a.rejected {
		if _, known := places[e.ID]; !known && e.ID != "" {
			places[strings.TrimPrefix(e.ID, "home ")] = ""
		}
	}
	return places
}

// families requests every family, and reports every module.
func (d *doctor) families(ctx context.Context, renews bool) {
	var tokens netatmo.TokenSource = &present{source: d.source}
	if renews {
		tokens = d.source
	}
	a := &account{API: d.Client(tokens)}
	complete := true
	var all []netatmo.Family
	for _, name := range d.Config.Families {
		all = append(all, netatmo.Family(name))
	}
	for _, family := range netatmo.Asked(all) {
		name := string(family)
		if pause := time.Until(d.Gate.PausedUntil()); pause > answerPatience {
			d.warn(name, fmt.Sprintf("not requested: backing off from Netatmo for %s", humanize.Duration(pause)), "")
			complete = false
			continue
		}
		answer, err := netatmo.Ask(ctx, a, netatmo.Question{Family: family, Favorites: d.Config.Favorites, Allows: d.Config.Stations.Allows})
		if ctx.Err() != nil {
			return
		}
		if failed, ok := errors.AsType[*netatmo.Error](err); ok && failed.Class == netatmo.ClassLogin {
			d.noToken(err)
			return
		}
		a.homes = append(a.homes, answer.Homes...)
		a.readings, a.rejected = append(a.readings, answer.Readings...), append(a.rejected, answer.Rejected...)
		if err != nil {
			d.refused(family, err)
			complete = false
			continue
		}
		for _, f := range all {
			if f == family || f.InHomes() && family.InHomes() {
				d.answered(f, of(answer, f, f == family), a)
			}
		}
	}
	if complete {
		d.filter(a)
	}
}

// of returns the part of an answer that is about the family. What was rejected
// belongs to the family that was asked for.
func of(answer netatmo.Answer, family netatmo.Family, asked bool) netatmo.Answer {
	answer.Readings = slices.DeleteFunc(slices.Clone(answer.Readings), func(r netatmo.Reading) bool { return r.Family != family })
	if !asked {
		answer.Rejected = nil
	}
	return answer
}

// refused reports why a family could not be requested.
func (d *doctor) refused(family netatmo.Family, err error) {
	area := string(family)
	failed, ok := errors.AsType[*netatmo.Error](err)
	switch {
	case !ok:
		d.fail(area, err.Error(), "")
	case failed.Class == netatmo.ClassNotFound:
		d.none(family)
	case failed.Class == netatmo.ClassScope:
		d.loggedOut(area, fmt.Sprintf("the login does not include the scope %s, without which Netatmo does not report %s devices", strings.Join(family.Scopes(), " or "), area),
			"to grant it, "+d.howToLogIn()+"; or remove "+area+" from NETATMO_DEVICES")
	default:
		d.fail(area, failed.What(), failed.Remedy())
	}
}

func (d *doctor) none(family netatmo.Family) {
	d.ok(string(family), "the account has no "+devices[family])
}

// answered reports the devices of a family.
func (d *doctor) answered(family netatmo.Family, answer netatmo.Answer, a *account) {
	area := string(family)
	var kept []netatmo.Reading
	for _, r := range answer.Readings {
		if d.keeps(r) {
			kept = append(kept, r)
		}
	}
	unasked := slices.ContainsFunc(a.homes, func(h netatmo.Home) bool { return !d.Config.Stations.Allows("", h.ID) })
	switch {
	case family.InHomes() && unasked && len(answer.Readings) == 0 && len(answer.Rejected) == 0:
		d.warn(area, "NETATMO_STATIONS excludes every home that has "+area+" devices", "the ids are "+config.ListPlaces(a.places()))
	case len(answer.Readings) == 0 && len(answer.Rejected) == 0:
		d.none(family)
	case len(kept) == 0 && len(answer.Readings) > 0:
		d.warn(area, "NETATMO_STATIONS excludes all of the account's "+area+" devices", "the ids are "+config.ListPlaces(netatmo.Places(answer.Readings, nil)))
	case len(kept) > 0:
		d.ok(area, fmt.Sprintf("Netatmo reports %s", humanize.Count(len(kept), "device")))
	}
	apart := netatmo.Apart(kept)
	for _, r := range kept {
		d.module(r, apart[r.Key()])
	}
	for _, e := range answer.Rejected {
		d.warn(area, "skipped: "+e.Error(), "")
	}
}

// keeps reports whether NETATMO_STATIONS includes the module.
func (d *doctor) keeps(r netatmo.Reading) bool {
	return d.Config.Stations.Allows(r.StationID, r.HomeID)
}

// filter reports what is odd about NETATMO_STATIONS.
func (d *doctor) filter(a *account) {
	places := a.places()
	for _, w := range d.Config.Stations.Unmatched(places) {
		d.warn("settings", w.Setting+" "+w.What, w.Remedy)
	}
	none := len(places) > 0
	for _, r := range a.readings {
		none = none && !d.keeps(r)
	}
	for _, h := range a.homes {
		none = none && !d.Config.Stations.Allows("", h.ID)
	}
	if none {
		d.misset("settings", "NETATMO_STATIONS excludes everything", "set it to some of "+config.ListPlaces(places)+", or leave it unset")
	}
}
