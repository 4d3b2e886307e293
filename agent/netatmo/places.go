package netatmo

import "maps"

// Places returns the ids and names of the stations and homes in readings and homes.
func Places(readings []Reading, homes []Home) map[string]string {
	places := map[string]string{}
	for _, r := range readings {
		places[r.StationID], places[r.HomeID] = r.StationName, r.HomeName
	}
	for _, h := range homes {
		places[h.ID] = h.Name
	}
	maps.DeleteFunc(places, func(id, _ string) bool { return id == "" })
	return places
}

// Apart returns, for modules that share their name with others, what
// distinguishes them, to be appended to the name: the station, or the room and
// home, and the id if that is the same too.
func Apart(readings []Reading) map[Key]string {
	apart := map[Key]string{}
	named, placed := map[string]int{}, map[string]int{}
	for i := range readings {
		named[readings[i].ModuleName]++
		placed[readings[i].ModuleName+readings[i].place()]++
	}
	for i := range readings {
		r := &readings[i]
		if named[r.ModuleName] > 1 {
			apart[r.Key()] = r.place()
		}
		if placed[r.ModuleName+r.place()] > 1 {
			apart[r.Key()] += " (" + r.ModuleID + ")"
		}
	}
	return apart
}

// place returns " of " and where the module is, or nothing.
func (r *Reading) place() string {
	switch {
	case r.StationName != "" && r.StationID != r.ModuleID:
		return " of " + r.StationName
	case r.RoomName != "" && r.HomeName != "":
		return " of " + r.RoomName + " in " + r.HomeName
	case r.RoomName != "":
		return " of " + r.RoomName
	case r.HomeName != "":
		return " of " + r.HomeName
	}
	return ""
}
