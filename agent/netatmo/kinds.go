package netatmo

import (
	"maps"
	"math"
)

// kind is what the decoder knows about one type of device: under which keys
// it says what. Keys that are not listed are ignored, because Netatmo has
// sent, for instance, a temperature of zero for a wind gauge (observed).
type kind struct {
	name   string // one of the Type constants
	family Family
	own    rules // keys of the device itself
	dash   rules // keys of its dashboard_data
}

type rules map[string]rule

type rule struct {
	field Field
	read  func(raw []byte) (float64, verdict)
}

// verdict is what a rule makes of a value.
type verdict uint8

const (
	unsaid   verdict = iota // no usable value
	said                    // a value
	lifeless                // a value that only a module without radio contact has
)

// kinds are the types of device by Netatmo's names.
var kinds = map[string]kind{
	"NAMain":    {TypeStation, Weather, mainsKeys, join(airKeys, co2Keys, indoorKeys)},
	"NAModule1": {TypeOutdoor, Weather, batteryKeys, airKeys},
	"NAModule2": {TypeWind, Weather, batteryKeys, windKeys},
	"NAModule3": {TypeRain, Weather, batteryKeys, rainKeys},
	"NAModule4": {TypeIndoor, Weather, batteryKeys, join(airKeys, co2Keys)},
	"NHC":       {TypeHomeCoach, HomeCoach, mainsKeys, join(airKeys, co2Keys, indoorKeys, healthKeys)},

	"NAPlug":   {TypeRelay, Energy, heatingKeys, nil},
	"OTH":      {TypeRelay, Energy, heatingKeys, nil},
	"NATherm1": {TypeThermostat, Energy, heatingKeys, nil},
	"OTM":      {TypeThermostat, Energy, heatingKeys, nil},
	"BNS":      {TypeThermostat, Energy, heatingKeys, nil},
	"NRV":      {TypeValve, Energy, heatingKeys, nil},
}

var roomKind = kind{TypeRoom, Energy, roomKeys, nil}

var (
	mainsKeys = rules{
		"reachable":         {Reachable, flag},
		"firmware":          {Firmware, except(255, unsaid)},
		"last_status_store": {LastSeen, instant},
		"wifi_status":       {WifiRSSI, attenuation},
		"co2_calibrating":   {CO2Calibrating, flag},
	}
	batteryKeys = rules{
		"reachable":       {Reachable, flag},
		"firmware":        {Firmware, except(255, unsaid)},
		"last_seen":       {LastSeen, instant},
		"rf_status":       {RadioRSSI, attenuation},
		"battery_percent": {BatteryPercent, plain},
		"battery_vp":      {BatteryVoltage, millivolts},
	}
	// 255 is no sentinel here: the revisions of relays come near it (observed).
	heatingKeys = rules{
		"reachable":         {Reachable, flag},
		"firmware_revision": {Firmware, plain},
		"last_seen":         {LastSeen, instant},
		"wifi_strength":     {WifiRSSI, attenuation},
		"rf_strength":       {RadioRSSI, attenuation},
		"battery_level":     {BatteryVoltage, millivolts},
		"boiler_status":     {BoilerOn, flag},
	}
	roomKeys = rules{
		"reachable":                  {Reachable, flag},
		"therm_measured_temperature": {Temperature, plain},
		"humidity":                   {Humidity, plain},
		"co2":                        {CO2, plain},
		"therm_setpoint_temperature": {SetpointTemp, plain},
		"therm_setpoint_mode":        {SetpointMode, named},
		"heating_power_request":      {PowerRequest, plain},
		"open_window":                {WindowOpen, flag},
	}

	airKeys = rules{
		"time_utc":    {MeasurementTime, instant},
		"Temperature": {Temperature, plain},
		"min_temp":    {TemperatureMin, plain},
		"max_temp":    {TemperatureMax, plain},
		"temp_trend":  {TemperatureTrend, trend},
		"Humidity":    {Humidity, plain},
	}
	co2Keys    = rules{"CO2": {CO2, plain}}
	indoorKeys = rules{
		"Noise":            {Noise, plain},
		"Pressure":         {Pressure, plain},
		"AbsolutePressure": {AbsolutePressure, plain},
		"pressure_trend":   {PressureTrend, trend},
	}
	healthKeys = rules{"health_idx": {HealthIndex, plain}}
	windKeys   = rules{
		"time_utc":       {MeasurementTime, instant},
		"WindStrength":   {WindSpeed, plain},
		"WindAngle":      {WindDirection, bearing},
		"GustStrength":   {GustSpeed, plain},
		"GustAngle":      {GustDirection, bearing},
		"max_wind_str":   {WindSpeedMax, plain},
		"max_wind_angle": {WindDirectionMax, bearing},
	}
	rainKeys = rules{
		"time_utc":    {MeasurementTime, instant},
		"Rain":        {Rain, plain},
		"sum_rain_1":  {RainHour, plain},
		"sum_rain_24": {RainDay, plain},
	}
)

func join(parts ...rules) rules {
	all := rules{}
	for _, part := range parts {
		maps.Copy(all, part)
	}
	return all
}

// fields is a set of Field.
type fields uint64

const _ = 64 - FieldEnd // does not compile when a set cannot hold every Field

const (
	// statusFields are true of a dead module too.
	statusFields = fields(1<<Reachable | 1<<Firmware | 1<<LastSeen)
	// powerFields are made up when a module never had radio contact: Netatmo
	// then claims a battery of 100 % (observed).
	powerFields = fields(1<<BatteryPercent | 1<<BatteryVoltage | 1<<RadioRSSI)
)

// dashFields are those of dashboard_data, whose time is its time_utc.
var dashFields = func() (all fields) {
	for _, k := range kinds {
		for _, r := range k.dash {
			all |= 1 << r.field
		}
	}
	return all
}()

func (f fields) has(x Field) bool { return f>>x&1 == 1 }

// sensible bounds what can be a measurement. What lies beyond is a mistake of
// whoever sent it, and would spoil every graph it is in.
const sensible = 1e9

func plain(raw []byte) (float64, verdict) {
	if n, ok := number(raw); ok && math.Abs(n) <= sensible {
		return n, said
	}
	return 0, unsaid
}

// except reads a number, and gives the one that is a sentinel the verdict v.
func except(sentinel float64, v verdict) func([]byte) (float64, verdict) {
	return func(raw []byte) (float64, verdict) {
		n, is := plain(raw)
		if is == said && n == sentinel {
			return 0, v
		}
		return n, is
	}
}

func flag(raw []byte) (float64, verdict) {
	switch value, ok := truth(raw); {
	case !ok:
		return 0, unsaid
	case value:
		return 1, said
	}
	return 0, said
}

func trend(raw []byte) (float64, verdict) {
	switch text(raw) {
	case "up":
		return 1, said
	case "down":
		return -1, said
	case "stable":
		return 0, said
	}
	return 0, unsaid
}

func named(raw []byte) (float64, verdict) {
	if firstName(text(raw)) != "" {
		return 1, said
	}
	return 0, unsaid
}

// bearing reads an angle; without wind Netatmo sends −1 (observed).
func bearing(raw []byte) (float64, verdict) {
	if n, is := plain(raw); is == said && n >= 0 {
		return n, said
	}
	return 0, unsaid
}

// maxInstant is a time in Unix seconds that nothing of today can have.
const maxInstant = 1 << 40

// instant reads Unix seconds.
func instant(raw []byte) (float64, verdict) {
	switch n, ok := number(raw); {
	case ok && n == 0:
		return 0, lifeless
	case ok && 0 < n && n < maxInstant:
		return n, said
	}
	return 0, unsaid
}

// attenuation reads the loss of a radio link, whose negative serves as its RSSI.
func attenuation(raw []byte) (float64, verdict) {
	n, is := except(255, lifeless)(raw)
	return 0 - n, is
}

func millivolts(raw []byte) (float64, verdict) {
	switch n, is := except(65535, lifeless)(raw); {
	case is != said:
		return 0, is
	case n > 0:
		return n / 1000, said // the nearest double to the decimal: 5738 is 5.738
	}
	return 0, unsaid
}
