package catalogue

import "netatmo-agent/agent/netatmo"

// Attribute is one key and value that identify a module.
type Attribute struct{ Key, Value string }

// Attributes returns what identifies a reading's module, in the order of the
// keys, without those that are not known.
func Attributes(r netatmo.Reading) []Attribute {
	all := [...]Attribute{
		{"home.id", r.HomeID},
		{"home.name", r.HomeName},
		{"module.id", r.ModuleID},
		{"module.name", r.ModuleName},
		{"module.type", r.ModuleType},
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

// ExporterAttributes returns the three labels of netatmo-exporter. An empty
// one is sent all the same; a Prometheus label that is empty does not exist.
func ExporterAttributes(r netatmo.Reading) []Attribute {
	return []Attribute{
		{"home", r.Wire.Home},
		{"module", r.Wire.Module},
		{"station", r.Wire.Station},
	}
}
