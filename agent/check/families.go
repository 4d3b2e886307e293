package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"netatmo-agent/agent/config"
	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/poll"
	"netatmo-agent/agent/words"
)

// devices are what a family calls its devices.
var devices = map[netatmo.Family]string{
	netatmo.Weather:   "weather station",
	netatmo.HomeCoach: "home coach",
	netatmo.Energy:    "heating",
}

// account is where the doctor asks, and what it has learnt there.
type account struct {
	poll.Source
	homes    []netatmo.Home // with something of the energy family
	readings []netatmo.Reading
	rejected []netatmo.ItemError
}

// Homes is the Source's, but keeps the answer: not all homes have readings.
func (a *account) Homes(ctx context.Context) ([]netatmo.Home, error) {
	homes, err := a.Source.Homes(ctx)
	a.homes = homes
	return homes, err
}

// places are the stations and homes, as far as they are known.
func (a *account) places() []netatmo.Reading {
	all := slices.Clone(a.readings)
	for _, h := range a.homes {
		all = append(all, netatmo.Reading{HomeID: h.ID})
	}
	return all
}

// families asks about every family, and tells about every module.
func (d *doctor) families(ctx context.Context, renews bool) {
	var tokens netatmo.TokenSource = &present{source: d.source}
	if renews {
		tokens = d.source
	}
	a := &account{Source: d.Client(tokens)}
	complete := true
	for _, name := range d.Config.Families {
		family := netatmo.Family(name)
		if pause := time.Until(d.Gate.PausedUntil()); pause > answerPatience {
			d.warn(name, fmt.Sprintf("not asked: Netatmo is to be left alone for %s", words.Span(pause)), "")
			complete = false
			continue
		}
		answer, err := poll.Ask(ctx, a, family, d.Config.Favorites, d.Config.Stations.Allows)
		if ctx.Err() != nil {
			return
		}
		if failed, ok := errors.AsType[*netatmo.Error](err); ok && failed.Class == netatmo.ClassLogin {
			d.noToken(err)
			return
		}
		a.readings, a.rejected = append(a.readings, answer.Readings...), append(a.rejected, answer.Rejected...)
		if err != nil {
			d.refused(family, err)
			complete = false
			continue
		}
		d.answered(family, answer, a)
	}
	if complete {
		d.filter(a)
	}
}

// refused tells why a family could not be asked about.
func (d *doctor) refused(family netatmo.Family, err error) {
	area := string(family)
	failed, ok := errors.AsType[*netatmo.Error](err)
	switch {
	case !ok:
		d.fail(area, err.Error(), "")
	case failed.Class == netatmo.ClassNotFound:
		d.none(family)
	case failed.Class == netatmo.ClassScope:
		d.loggedOut(area, fmt.Sprintf("the login does not include the scope %s, without which Netatmo says nothing about %s", family.Scope(), area),
			"to grant it, "+d.howToLogIn()+"; or take "+area+" out of NETATMO_DEVICES")
	default:
		d.fail(area, failed.What(), failed.Remedy())
	}
}

func (d *doctor) none(family netatmo.Family) {
	d.ok(string(family), "the account has no "+devices[family])
}

// answered tells about the devices of a family.
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
	case family == netatmo.Energy && unasked && len(answer.Readings) == 0 && len(answer.Rejected) == 0:
		d.warn(area, "no home that NETATMO_STATIONS leaves has heating", "the ids are "+strings.Join(ids(a.places()), ", "))
	case len(answer.Readings) == 0 && len(answer.Rejected) == 0:
		d.none(family)
	case len(kept) == 0 && len(answer.Readings) > 0:
		d.warn(area, "NETATMO_STATIONS leaves out everything that the account has of it", "the ids are "+strings.Join(ids(answer.Readings), ", "))
	case len(kept) > 0:
		d.ok(area, fmt.Sprintf("Netatmo tells about %s", words.Several(len(kept), "device")))
	}
	for _, r := range kept {
		d.module(r)
	}
	for _, e := range answer.Rejected {
		d.warn(area, "left out: "+e.Error(), "")
	}
}

// keeps reports whether NETATMO_STATIONS does.
func (d *doctor) keeps(r netatmo.Reading) bool {
	return d.Config.Stations.Allows(r.StationID, r.HomeID)
}

// filter tells what is odd about NETATMO_STATIONS.
func (d *doctor) filter(a *account) {
	places := a.places()
	known := strings.Join(ids(places), ", ")
	unknown := func(id string) bool {
		only := config.Filter{Keep: []string{id}}
		return !slices.ContainsFunc(places, func(r netatmo.Reading) bool { return only.Allows(r.StationID, r.HomeID) }) &&
			!slices.ContainsFunc(a.rejected, func(e netatmo.ItemError) bool { return only.Allows(e.ID, "") })
	}
	nothing := "the account has nothing of NETATMO_DEVICES (" + strings.Join(d.Config.Families, ", ") + ") under that id"
	for _, id := range d.Config.Stations.Keep {
		if unknown(id) {
			d.warn("settings", "NETATMO_STATIONS names "+id+", but "+nothing, "the ids are "+known)
		}
	}
	for _, id := range d.Config.Stations.Drop {
		if unknown(id) {
			d.warn("settings", "!"+id+" in NETATMO_STATIONS has no effect: "+nothing, "the ids are "+known)
		}
	}
	if len(places) > 0 && !slices.ContainsFunc(places, d.keeps) {
		d.misset("settings", "NETATMO_STATIONS leaves nothing to report", "name some of "+known+", or leave it unset")
	}
}

// ids are what NETATMO_STATIONS can name.
func ids(readings []netatmo.Reading) []string {
	var all []string
	for _, r := range readings {
		id := r.StationID
		if id == "" {
			id = r.HomeID
		}
		if id != "" && !slices.Contains(all, id) {
			all = append(all, id)
		}
	}
	return all
}
