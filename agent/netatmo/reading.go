package netatmo

import (
	"slices"
	"time"
)

// The types of a module, as the attribute module.type gives them.
const (
	TypeStation   = "station"
	TypeOutdoor   = "outdoor"
	TypeIndoor    = "indoor"
	TypeWind      = "wind"
	TypeRain      = "rain"
	TypeHomeCoach = "home_coach"

	TypeHome           = "home"
	TypeRoom           = "room"
	TypeThermostat     = "thermostat"
	TypeValve          = "valve"
	TypeRelay          = "relay"
	TypeAirConditioner = "air_conditioner"
	TypeGasMeter       = "gas_meter"
	TypeGateway        = "gateway"
	TypePlug           = "plug"
	TypeSwitch         = "switch"
	TypeLight          = "light"
	TypeMeter          = "meter"
	TypeContactor      = "contactor"
	TypeShutter        = "shutter"
	TypeGarageDoor     = "garage_door"
	TypeVentilation    = "ventilation"
	TypeRemote         = "remote"
	TypeCamera         = "camera"
	TypeDoorbell       = "doorbell"
	TypeSiren          = "siren"
	TypeDoorTag        = "door_tag"
	TypeSmokeAlarm     = "smoke_alarm"
	TypeCOAlarm        = "co_alarm"
)

// Family is a group of devices that a user chooses.
type Family string

// The families, as the setting NETATMO_DEVICES names them. The last three
// share one pair of requests, see [Family.InHomes].
const (
	Weather   Family = "weather"
	HomeCoach Family = "homecoach"
	Energy    Family = "energy"   // heating and cooling
	Control   Family = "control"  // plugs, lights, shutters, meters
	Security  Family = "security" // cameras, door tags, alarms
)

// familyScopes are what a login must include for a family's devices (documented by
// Netatmo).
var familyScopes = map[Family][]string{
	Weather:   {"read_station"},
	HomeCoach: {"read_homecoach"},
	Energy:    {"read_thermostat", "read_smarther"},
	Control:   {"read_magellan", "read_bubendorff", "read_mhs1"},
	Security:  {"read_camera", "read_presence", "read_doorbell", "read_smokedetector", "read_carbonmonoxidedetector"},
}

// Scopes returns the scopes that the family needs. A family in homes is
// answered with any of its scopes; devices behind the others are then missing.
func (f Family) Scopes() []string { return familyScopes[f] }

// scope is the scope of the family's most common devices.
func (f Family) scope() string { return f.Scopes()[0] }

// InHomes reports whether the family's devices come from Homes and HomeStatus.
func (f Family) InHomes() bool { return f == Energy || f == Control || f == Security }

// Asked returns one family for each request that the families need. The families
// in homes share one, named by the first of them.
func Asked(families []Family) []Family {
	var asked []Family
	for _, f := range families {
		if !f.InHomes() || !slices.ContainsFunc(asked, Family.InHomes) {
			asked = append(asked, f)
		}
	}
	return asked
}

// Reading is what one answer says about one module. It is immutable once
// returned: snapshots share it between goroutines.
type Reading struct {
	Family Family

	ModuleID   string // blanks removed; a room's is its room id
	ModuleName string // the id if Netatmo has no name
	ModuleType string // one of the Type constants
	HomeID     string // empty if unknown
	HomeName   string // empty if unknown

	// StationID and StationName are empty for the devices of a home.
	StationID   string
	StationName string

	// RoomName is the room of a device in a home, else empty.
	RoomName string

	// Wire has the names exactly as Netatmo sent them, including blanks, or
	// their absence, for the labels of netatmo-exporter.
	Wire WireNames

	// Meter is what Netatmo counts about the device, with a history under Bridge, the
	// id of the device that it belongs to. Bridge is empty for a device of its own.
	Meter  Meter
	Bridge string

	// Foreign is true for a station of another user: shared with this user, or
	// a favourite.
	Foreign bool

	// States are the names of the values that are states.
	States []State

	// Measured is when the module measured its values; zero if it has none. A
	// time far in Netatmo's future counts as Answered.
	Measured time.Time
	// Seen is the module's last contact; zero if unknown, else as Measured.
	Seen time.Time
	// Answered is the time_server of the answer with this reading.
	Answered time.Time
	// Round is the time until the next such answer; zero if the module sets it.
	Round time.Duration

	Values Values
}

// Lasts returns how long the reading counts as current: stale, or two rounds if
// they are longer, so that one failed request ends no series.
func (r *Reading) Lasts(stale time.Duration) time.Duration { return max(stale, 2*r.Round) }

// State is the state that a field has.
type State struct {
	Field Field
	Name  string
}

// State returns the name of the state of f, empty if it has none.
func (r *Reading) State(f Field) string {
	for _, s := range r.States {
		if s.Field == f {
			return s.Name
		}
	}
	return ""
}

// Key identifies a module across answers. A module can belong to two stations,
// and a room's id can equal a module's.
type Key struct{ Station, Module, Type string }

// Key returns the module's identity.
func (r *Reading) Key() Key { return Key{r.StationID, r.ModuleID, r.ModuleType} }

// WireNames are the labels of netatmo-exporter, see Reading.Wire.
type WireNames struct {
	Module  string // module_name, else "id-" and _id as sent
	Station string // station_name or empty
	Home    string // home_name of the station or empty
}
