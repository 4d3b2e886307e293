package config

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Filter selects stations and homes. Its ids are normalised by normalID. The zero
// Filter allows everything.
type Filter struct {
	Keep []string // if any, only these
	Drop []string // never these
}

// Allows reports whether the filter selects a module of the station and home.
// Either id may be empty. Spaces, which Netatmo sends in some ids, and case do not
// matter.
func (f Filter) Allows(stationID, homeID string) bool {
	named := func(ids []string) bool {
		return slices.Contains(ids, normalID(stationID)) || slices.Contains(ids, normalID(homeID))
	}
	return !named(f.Drop) && (len(f.Keep) == 0 || named(f.Keep))
}

// Unmatched returns a warning for each id in the filter that is not among places,
// which maps the ids of the account's stations and homes to their names.
func (f Filter) Unmatched(places map[string]string) (warnings []Problem) {
	const variable = "NETATMO_STATIONS"
	warn := func(entry, id, effect string) {
		remedy := "the ids are " + ListPlaces(places)
		similar := map[string]string{}
		for known, name := range places {
			if normalID(id) == normalID(known) {
				return
			}
			if strings.Contains(normalID(name), normalID(id)) {
				similar[known] = name
			}
		}
		switch {
		case len(places) == 0:
			remedy = "the account has none in the families of NETATMO_DEVICES"
		case idLike.MatchString(id):
		case len(similar) > 0:
			remedy = "these are ids, not names: use " + ListPlaces(similar)
		default:
			remedy = "these are ids, not names: " + remedy
		}
		warnings = append(warnings, Problem{variable, variable, "contains " + entry + effect + ", but no station or home has this id", remedy})
	}
	for _, id := range f.Keep {
		warn(id, id, "")
	}
	for _, id := range f.Drop {
		warn("!"+id, id, " (which has no effect)")
	}
	return warnings
}

// idLike matches what may be an id: a MAC address or a home's id.
var idLike = regexp.MustCompile(`^[0-9a-f:]{12,}$`)

// ListPlaces lists ids with their names, sorted by id.
func ListPlaces(places map[string]string) string {
	var list []string
	for _, id := range slices.Sorted(maps.Keys(places)) {
		if name := places[id]; name != "" {
			id += " (" + name + ")"
		}
		list = append(list, id)
	}
	return strings.Join(list, ", ")
}

// normalID returns an id as it is compared. People write MAC addresses with
// hyphens, too.
func normalID(id string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return -1
		case r == '-':
			return ':'
		}
		return unicode.ToLower(r)
	}, id)
}

func (l *loader) filter(v variable) Filter {
	var f Filter
	if strings.ToLower(v.text) == "all" {
		return f
	}
	for entry := range strings.SplitSeq(v.text, ",") {
		id, drop := strings.CutPrefix(normalID(entry), "!")
		switch {
		case id == "" && !drop:
		case id == "" || strings.Contains(id, "!"):
			l.problem(v, "has a ! without an id after it", "separate ids by commas, and write !id to exclude one: 70:ee:50:00:00:01,!70:ee:50:00:00:02")
		case drop:
			f.Drop = append(f.Drop, id)
		default:
			f.Keep = append(f.Keep, id)
		}
		if len(id) > longestID {
			l.warn(v, "has "+strconv.Quote(strings.TrimSpace(entry))+", which is longer than any id", "separate ids by commas")
		}
	}
	return f
}

// longestID is the length of a home's id; a station's is a MAC address.
const longestID = 24
