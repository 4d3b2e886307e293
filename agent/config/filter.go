package config

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Filter says which stations and homes are reported. Its ids are in the form
// of normalID. The zero Filter allows everything.
type Filter struct {
	Keep []string // if any, only these
	Drop []string // never these
}

// Allows reports whether a module of the station and home is reported; either
// id may be empty. Ids are compared without blanks (Netatmo sends some with
// stray ones) and without regard to case.
func (f Filter) Allows(stationID, homeID string) bool {
	named := func(ids []string) bool {
		return slices.Contains(ids, normalID(stationID)) || slices.Contains(ids, normalID(homeID))
	}
	return !named(f.Drop) && (len(f.Keep) == 0 || named(f.Keep))
}

func normalID(id string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, id)
}

func (l *loader) filter(variable, text string) Filter {
	var f Filter
	if strings.ToLower(text) == "all" {
		return f
	}
	for entry := range strings.SplitSeq(text, ",") {
		id, drop := strings.CutPrefix(normalID(entry), "!")
		switch {
		case id == "" && !drop:
		case id == "" || strings.Contains(id, "!"):
			l.problem(variable, "has a ! without an id after it", "write ids separated by commas, and !id for one to leave out: 70:ee:50:00:00:01,!70:ee:50:00:00:02")
		case drop:
			f.Drop = append(f.Drop, id)
		default:
			f.Keep = append(f.Keep, id)
		}
		if len(id) > longestID {
			l.warn(variable, "has "+strconv.Quote(strings.TrimSpace(entry))+" in it, which is longer than any id", "separate ids by commas")
		}
	}
	return f
}

// longestID is the length of a home's id; a station's is a MAC address.
const longestID = 24
