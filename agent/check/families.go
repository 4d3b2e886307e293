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

// families asks about every family, and tells about every module.
func (d *doctor) families(ctx context.Context, renews bool) {
	var tokens netatmo.TokenSource = &present{source: d.source}
	if renews {
		tokens = d.source
	}
	client := d.Client(tokens)
	var all []netatmo.Reading
	complete := true
	for _, name := range d.Config.Families {
		family := netatmo.Family(name)
		if pause := time.Until(d.Gate.PausedUntil()); pause > answerPatience {
			d.warn(name, fmt.Sprintf("not asked: Netatmo is to be left alone for %s", words.Span(pause)), "")
			complete = false
			continue
		}
		answer, err := poll.Ask(ctx, client, family, d.Config.Favorites, nil)
		if ctx.Err() != nil {
			return
		}
		if failed, ok := errors.AsType[*netatmo.Error](err); ok && failed.Class == netatmo.ClassLogin {
			d.noToken(err)
			return
		}
		all = append(all, answer.Readings...)
		if err != nil {
			d.refused(family, err)
			complete = false
			continue
		}
		d.answered(family, answer)
	}
	if !complete {
		return
	}
	d.unknownStations(all)
	if len(all) > 0 && !slices.ContainsFunc(all, func(r netatmo.Reading) bool { return d.Config.Stations.Allows(r.StationID, r.HomeID) }) {
		d.misset("settings", "NETATMO_STATIONS leaves nothing to report", "name some of "+strings.Join(ids(all), ", ")+", or leave it unset")
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
func (d *doctor) answered(family netatmo.Family, answer netatmo.Answer) {
	area := string(family)
	var kept []netatmo.Reading
	for _, r := range answer.Readings {
		if d.Config.Stations.Allows(r.StationID, r.HomeID) {
			kept = append(kept, r)
		}
	}
	switch {
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

// unknownStations tells about ids in NETATMO_STATIONS that no reading has.
func (d *doctor) unknownStations(all []netatmo.Reading) {
	for _, id := range slices.Concat(d.Config.Stations.Keep, d.Config.Stations.Drop) {
		only := config.Filter{Keep: []string{id}}
		if !slices.ContainsFunc(all, func(r netatmo.Reading) bool { return only.Allows(r.StationID, r.HomeID) }) {
			d.warn("settings", "NETATMO_STATIONS names "+id+", which the account does not have", "the ids are "+strings.Join(ids(all), ", "))
		}
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
