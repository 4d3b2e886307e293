package netatmo

import (
	"slices"
	"time"
)

// Field names one thing that Netatmo can say about a module. The catalogue
// turns fields into metrics; nothing else does.
type Field uint8

// The fields. Units are those of the wire except where a comment says
// otherwise; Netatmo always answers in metric units, whatever the user chose
// for display.
const (
	_ Field = iota

	Temperature      // °C
	TemperatureMin   // °C, of the day so far
	TemperatureMax   // °C, of the day so far
	TemperatureTrend // −1 down, 0 stable, 1 up
	Humidity         // %
	CO2              // ppm
	CO2Calibrating   // 0 or 1
	Noise            // dB
	Pressure         // hPa, reduced to sea level
	AbsolutePressure // hPa, at the station
	PressureTrend    // −1 down, 0 stable, 1 up
	Rain             // mm in one measuring step
	RainHour         // mm, rolling
	RainDay          // mm, restarts at local midnight
	WindSpeed        // km/h
	WindDirection    // degrees
	GustSpeed        // km/h
	GustDirection    // degrees
	WindSpeedMax     // km/h, of the day so far
	WindDirectionMax // degrees, of the strongest wind of the day
	HealthIndex      // 0 healthy … 4 unhealthy
	MeasurementTime  // Unix seconds
	BatteryPercent   // %
	BatteryVoltage   // V (millivolts on the wire)
	WifiRSSI         // dBm, negative (attenuation on the wire)
	RadioRSSI        // dBm, negative (attenuation on the wire)
	Reachable        // 0 or 1
	Firmware         // version number
	LastSeen         // Unix seconds
	SetpointTemp     // °C
	SetpointMode     // always 1; Reading.SetpointMode holds the mode's name
	PowerRequest     // %
	BoilerOn         // 0 or 1
	WindowOpen       // 0 or 1

	FieldEnd // one past the last field: the length of an array by field
)

// Value is one field and its number, exactly the decimal that Netatmo sent.
type Value struct {
	Field  Field
	Number float64
}

// Values holds what a module said, at most one Value a field. A field that
// was missing, null, a sentinel or unreachable is not in it: absent is not zero.
type Values []Value

// Get returns the number of field f and whether the module said it.
func (v Values) Get(f Field) (float64, bool) {
	i := slices.IndexFunc(v, func(x Value) bool { return x.Field == f })
	if i < 0 {
		return 0, false
	}
	return v[i].Number, true
}

// The types of a module, as the attribute module.type gives them.
const (
	TypeStation    = "station"
	TypeOutdoor    = "outdoor"
	TypeIndoor     = "indoor"
	TypeWind       = "wind"
	TypeRain       = "rain"
	TypeHomeCoach  = "home_coach"
	TypeRoom       = "room"
	TypeThermostat = "thermostat"
	TypeValve      = "valve"
	TypeRelay      = "relay"
)

// Family is a group of devices that one endpoint answers for.
type Family string

// The families, as the setting NETATMO_DEVICES names them.
const (
	Weather   Family = "weather"
	HomeCoach Family = "homecoach"
	Energy    Family = "energy"
)

// Scope is what a login must include for the family (documented by Netatmo).
func (f Family) Scope() string {
	switch f {
	case Weather:
		return "read_station"
	case HomeCoach:
		return "read_homecoach"
	case Energy:
		return "read_thermostat"
	}
	return ""
}

// Reading is what one answer said about one module. It is immutable once
// returned: snapshots share it between goroutines.
type Reading struct {
	Family Family

	ModuleID   string // blanks removed; a room's is its room id
	ModuleName string // the id where Netatmo has no name
	ModuleType string // one of the Type constants
	HomeID     string // empty where unknown
	HomeName   string // empty where unknown

	// StationID and StationName are empty for energy devices.
	StationID   string
	StationName string

	// Wire holds names exactly as they were sent, blanks and absence
	// included, for the labels of netatmo-exporter.
	Wire WireNames

	// Foreign is true for a guest or favourite station: it belongs to
	// somebody else.
	Foreign bool

	// SetpointMode is the current mode of a room, empty elsewhere.
	SetpointMode string

	// Measured is when the module measured its values; zero where it has none.
	// A time far in Netatmo's future counts as Answered.
	Measured time.Time
	// Seen is the module's last contact; zero where unknown, else as Measured.
	Seen time.Time
	// Answered is Netatmo's time_server of the answer that held this reading.
	Answered time.Time

	Values Values
}

// Measurement is what a module measured at a time in the past.
type Measurement struct {
	Reading Reading // whose it is; its own values and times do not count
	Time    time.Time
	Values  Values
}

// WireNames are the labels of netatmo-exporter, see Reading.Wire.
type WireNames struct {
	Module  string // module_name, else "id-" and _id as sent
	Station string // station_name or empty
	Home    string // home_name of the station or empty
}
