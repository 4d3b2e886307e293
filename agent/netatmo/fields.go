package netatmo

import (
	"slices"
	"time"
)

// Field is one thing that Netatmo reports about a module. The catalogue turns
// fields into metrics; nothing else does.
type Field uint8

// The fields. Units are those that Netatmo sends unless a comment says
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
	// Of rooms and heating devices.
	SetpointTemp // °C
	SetpointMode // a state
	SetpointEnd  // Unix seconds, in the future
	PowerRequest // %
	Anticipating // 0 or 1
	PilotWire    // a state
	WindowOpen   // 0 or 1
	BoilerOn     // 0 or 1
	BoilerBoost  // 0 or 1
	CoolerOn     // 0 or 1
	BoilerError  // 0 or 1
	BoilerProbe  // °C, outdoors
	HomeMode     // a state, of the home
	BoilerOnTime // s of a bucket, only in the history

	// Of the other devices of a home.
	BatteryState   // 0 very low, 1 low, 2 medium, 3 high, 4 full, 5 max
	Power          // W
	EnergyTotal    // Wh of a bucket, only in the history, as the next five
	EnergyBasic    // Wh
	EnergyPeak     // Wh
	EnergyOffPeak  // Wh
	GasAmount      // l
	WaterAmount    // l
	SwitchOn       // 0 or 1
	LoadShed       // 0 or 1
	Brightness     // %
	Position       // %, 0 closed
	TargetPosition // %, 0 closed
	ContactorMode  // a state
	FanSpeed       // a level
	FanMode        // a state
	DoorOpen       // 0 or 1
	LastActivity   // Unix seconds
	Sounding       // 0 or 1
	Monitoring     // 0 or 1
	PowerOK        // 0 or 1
	SDStatus       // Netatmo's number, 4 works
	Floodlight     // a state

	FieldEnd // one past the last field: the length of an array by field
)

// Origin is where a field's value comes from. It decides when the value is
// withheld and how long it may be repeated.
type Origin uint8

// The origins of fields.
const (
	// Sensor values are as old as their measurement. An unreachable module has
	// none.
	Sensor Origin = iota
	// Radio values arrive with every contact between a module and its station.
	// An unreachable module has none.
	Radio
	// Status values are what Netatmo knows about a module, reachable or not.
	// They are as old as the answer.
	Status
)

// origins has the fields that are not sensor values.
var origins = [FieldEnd]Origin{
	CO2Calibrating: Radio,
	BatteryPercent: Radio,
	BatteryVoltage: Radio,
	BatteryState:   Radio,
	WifiRSSI:       Radio,
	RadioRSSI:      Radio,
	Reachable:      Status,
	Firmware:       Status,
	LastSeen:       Status,
}

// Origin returns where values of f come from.
func (f Field) Origin() Origin { return origins[f] }

func (f Field) isState() bool {
	switch f {
	case SetpointMode, PilotWire, HomeMode, ContactorMode, FanMode, Floodlight:
		return true
	}
	return false
}

// Value is one field and its number, exactly the decimal that Netatmo sent. A
// state has the number 1; [Reading.State] returns its name.
type Value struct {
	Field  Field
	Number float64
}

// Values holds the values of a module, at most one for each field. A field that is
// missing, null, a sentinel or unreachable is not in it: absent is not zero.
type Values []Value

// Get returns the number of field f and whether the module has it.
func (v Values) Get(f Field) (float64, bool) {
	i := slices.IndexFunc(v, func(x Value) bool { return x.Field == f })
	if i < 0 {
		return 0, false
	}
	return v[i].Number, true
}

func (v Values) set(f Field, n float64) Values {
	for i := range v {
		if v[i].Field == f {
			v[i].Number = n
			return v
		}
	}
	return append(v, Value{f, n})
}

func (v Values) keep(wanted func(Field) bool) Values {
	return slices.DeleteFunc(v, func(x Value) bool { return !wanted(x.Field) })
}

func (v Values) anyOf(o Origin) bool {
	return slices.ContainsFunc(v, func(x Value) bool { return x.Field.Origin() == o })
}

// moment returns the time in field f, or zero.
func (v Values) moment(f Field) time.Time {
	n, ok := v.Get(f)
	if !ok {
		return time.Time{}
	}
	return time.Unix(int64(n), 0).UTC()
}
