package catalogue

import "netatmo-agent/agent/netatmo"

// Attribute is one key and value that identify a module.
type Attribute struct{ Key, Value string }

// Attributes returns the known attributes of a reading's module, sorted by key.
func Attributes(r netatmo.Reading) []Attribute {
	all := [...]Attribute{
		{"home.id", r.HomeID},
		{"home.name", r.HomeName},
		{"module.id", r.ModuleID},
		{"module.name", r.ModuleName},
		{"module.type", r.ModuleType},
		{"room.name", r.RoomName},
		{"station.id", r.StationID},
		{"station.name", r.StationName},
	}
	known := make([]Attribute, 0, len(all))
	for _, a := range all {
		if a.Value != "" {
			known = append(known, a)
		}
	}
	return known
}

// ExporterAttributes returns the three labels of netatmo-exporter, including empty
// ones, which Prometheus drops.
func ExporterAttributes(r netatmo.Reading) []Attribute {
	return []Attribute{
		{"home", r.Wire.Home},
		{"module", r.Wire.Module},
		{"station", r.Wire.Station},
	}
}
