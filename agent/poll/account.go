package poll

import (
	"cmp"
	"context"
	"slices"

	"netatmo-agent/agent/netatmo"
)

// readings asks for everything that the account has and the filter allows.
func (b *Backfill) readings(ctx context.Context, src Source) ([]netatmo.Reading, error) {
	var all []netatmo.Reading
	for _, family := range b.cfg.Families {
		var found []netatmo.Reading
		var answer netatmo.Answer
		var err error
		switch family {
		case netatmo.Weather:
			answer, err = src.Weather(ctx, b.cfg.Favorites)
			found = answer.Readings
		case netatmo.HomeCoach:
			answer, err = src.HomeCoaches(ctx)
			found = answer.Readings
		default:
			found, err = b.heating(ctx, src)
		}
		if refused(err) {
			b.cfg.Logger.Warn("a device family is left out", "family", family, "error", err)
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return slices.DeleteFunc(all, func(r netatmo.Reading) bool {
		return b.cfg.Allows != nil && !b.cfg.Allows(r.StationID, r.HomeID)
	}), nil
}

func (b *Backfill) heating(ctx context.Context, src Source) ([]netatmo.Reading, error) {
	homes, err := src.Homes(ctx)
	if err != nil {
		return nil, err
	}
	var all []netatmo.Reading
	for _, h := range homes {
		if b.cfg.Allows != nil && !b.cfg.Allows("", h.ID) {
			continue
		}
		answer, err := src.HomeStatus(ctx, h)
		if class := classOf(err); class == netatmo.ClassInvalid || class == netatmo.ClassNotFound {
			continue // shared with the account, but not to be asked about
		}
		if err != nil {
			return nil, err
		}
		all = append(all, answer.Readings...)
	}
	return all, nil
}

// byModule groups the readings of modules with a history by module id, those of
// the user's own stations first. Two stations can list one module.
func (h *history) byModule(readings []netatmo.Reading) map[string][]netatmo.Reading {
	groups := map[string][]netatmo.Reading{}
	for _, r := range readings {
		if len(h.columns(r.ModuleType).types) > 0 {
			groups[r.ModuleID] = append(groups[r.ModuleID], r)
		}
	}
	for _, same := range groups {
		ownFirst(same)
	}
	return groups
}

func ownFirst(readings []netatmo.Reading) {
	foreign := map[bool]int{true: 1}
	slices.SortStableFunc(readings, func(a, b netatmo.Reading) int { return cmp.Compare(foreign[a.Foreign], foreign[b.Foreign]) })
}
