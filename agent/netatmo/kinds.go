package netatmo

import (
	"maps"
)

// kind is what the decoder knows about a type of device: the keys that it
// reads. It ignores all other keys, because Netatmo has sent, for instance, a
// temperature of zero for a wind gauge (observed).
type kind struct {
	name   string // one of the Type constants
	family Family
	own    rules // keys of the device itself
	dash   rules // keys of its dashboard_data
}

type rules map[string]rule

type rule struct {
	field Field
	read  reader
}

// reader reads one value of an answer.
type reader func(raw []byte) (float64, verdict)

// verdict is what a reader makes of a value.
type verdict uint8

const (
	unsaid   verdict = iota // no usable value
	said                    // a value
	lifeless                // a value that only a module without radio contact has
)

// stationKinds are the types of stations, home coaches and their modules, by
// Netatmo's names.
var stationKinds = map[string]kind{
	"NAMain":    {TypeStation, Weather, mainsKeys, join(airKeys, co2Keys, indoorKeys)},
	"NAModule1": {TypeOutdoor, Weather, batteryKeys, airKeys},
	"NAModule2": {TypeWind, Weather, batteryKeys, windKeys},
	"NAModule3": {TypeRain, Weather, batteryKeys, rainKeys},
	"NAModule4": {TypeIndoor, Weather, batteryKeys, join(airKeys, co2Keys)},
	"NHC":       {TypeHomeCoach, HomeCoach, mainsKeys, join(airKeys, co2Keys, indoorKeys, healthKeys)},
}

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

func isStatus(f Field) bool   { return f.Origin() == Status }
func isOfModule(f Field) bool { return f.Origin() != Sensor }

// needsNoContact excludes the fields that Netatmo invents for a module that never
// had radio contact: it then reports a battery of 100 % (observed).
func needsNoContact(f Field) bool {
	return f != BatteryPercent && f != BatteryVoltage && f != RadioRSSI
}
