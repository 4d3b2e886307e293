package catalogue

import "netatmo-agent/agent/netatmo"

const (
	celsius = "Cel"
	percent = "%"
	kmh     = "km/h"
	degrees = "deg"
	mm      = "mm"
	hPa     = "hPa"
	dBm     = "dBm"
	seconds = "s"
)

const (
	ofToday = "of the day so far"
	trends  = "−1 down, 0 stable, 1 up"
	rssi    = "negated: −56 good, −86 bad"
	flag    = "0/1"
)

// AttributeSetpointMode is the key of the one attribute of a reading that does
// not identify its module: the current mode of a room.
const AttributeSetpointMode = "setpoint.mode"

var readings = []Metric{
	{Name: "netatmo.temperature", Unit: celsius, Field: netatmo.Temperature, History: "Temperature",
		Description: "Temperature", From: "Temperature", Note: "rooms: therm_measured_temperature"},
	{Name: "netatmo.temperature_min", Unit: celsius, Field: netatmo.TemperatureMin,
		Description: "Lowest temperature of the day so far", From: "min_temp", Note: ofToday},
	{Name: "netatmo.temperature_max", Unit: celsius, Field: netatmo.TemperatureMax,
		Description: "Highest temperature of the day so far", From: "max_temp", Note: ofToday},
	{Name: "netatmo.temperature_trend", Field: netatmo.TemperatureTrend,
		Description: "Trend of the temperature: -1 down, 0 stable, 1 up", From: "temp_trend", Note: trends},
	{Name: "netatmo.pressure_trend", Field: netatmo.PressureTrend,
		Description: "Trend of the pressure: -1 down, 0 stable, 1 up", From: "pressure_trend", Note: trends},
	{Name: "netatmo.humidity", Unit: percent, Field: netatmo.Humidity, History: "Humidity",
		Description: "Relative humidity", From: "Humidity"},
	{Name: "netatmo.co2", Unit: "ppm", Field: netatmo.CO2, History: "CO2",
		Description: "Carbon dioxide", From: "CO2"},
	{Name: "netatmo.co2_calibrating", Field: netatmo.CO2Calibrating, Freshness: Radio,
		Description: "Whether the CO2 sensor calibrates itself", From: "co2_calibrating", Note: flag},
	{Name: "netatmo.noise", Unit: "dB", Field: netatmo.Noise, History: "Noise",
		Description: "Noise level", From: "Noise"},
	{Name: "netatmo.pressure", Unit: hPa, Field: netatmo.Pressure, History: "Pressure",
		Description: "Air pressure reduced to sea level", From: "Pressure", Note: "reduced to sea level"},
	{Name: "netatmo.absolute_pressure", Unit: hPa, Field: netatmo.AbsolutePressure,
		Description: "Air pressure at the station", From: "AbsolutePressure", Note: "at the station"},
	{Name: "netatmo.rain.amount", Unit: mm, Field: netatmo.Rain, History: "Rain",
		Description: "Rain in one measuring step", From: "Rain",
		Note: "of one step; it is repeated while it is live, so for totals take the two below"},
	{Name: "netatmo.rain.hour", Unit: mm, Field: netatmo.RainHour,
		Description: "Rain of the last hour", From: "sum_rain_1", Note: "a gauge: it does go down"},
	{Name: "netatmo.rain.day", Unit: mm, Field: netatmo.RainDay,
		Description: "Rain of the day so far", From: "sum_rain_24", Note: "a gauge: it does go down"},
	{Name: "netatmo.wind.speed", Unit: kmh, Field: netatmo.WindSpeed, History: "WindStrength",
		Description: "Wind speed, mean of five minutes", From: "WindStrength"},
	{Name: "netatmo.gust.speed", Unit: kmh, Field: netatmo.GustSpeed, History: "GustStrength",
		Description: "Speed of the strongest gust", From: "GustStrength"},
	{Name: "netatmo.wind.direction", Unit: degrees, Field: netatmo.WindDirection, History: "WindAngle",
		Description: "Direction that the wind comes from", From: "WindAngle", Note: "none where negative"},
	{Name: "netatmo.gust.direction", Unit: degrees, Field: netatmo.GustDirection, History: "GustAngle",
		Description: "Direction that the strongest gust came from", From: "GustAngle", Note: "none where negative"},
	{Name: "netatmo.wind.speed_max", Unit: kmh, Field: netatmo.WindSpeedMax,
		Description: "Strongest wind of the day so far", From: "max_wind_str", Note: ofToday},
	{Name: "netatmo.wind.direction_max", Unit: degrees, Field: netatmo.WindDirectionMax,
		Description: "Direction of the strongest wind of the day so far", From: "max_wind_angle", Note: ofToday},
	{Name: "netatmo.health_index", Field: netatmo.HealthIndex,
		Description: "Health index of a home coach: 0 healthy to 4 unhealthy", From: "health_idx", Note: "0 healthy … 4 unhealthy"},
	{Name: "netatmo.measurement.time", Unit: seconds, Field: netatmo.MeasurementTime,
		Description: "Unix time at which the values were measured", From: "time_utc", Note: "when the values were measured, Unix time"},
	{Name: "netatmo.battery.charge", Unit: percent, Field: netatmo.BatteryPercent, Freshness: Radio,
		Description: "Charge of the battery", From: "battery_percent", Note: "none from a dead module"},
	{Name: "netatmo.battery.voltage", Unit: "V", Field: netatmo.BatteryVoltage, Freshness: Radio,
		Description: "Voltage of the battery", From: "battery_vp, battery_level", Note: "wire is mV"},
	{Name: "netatmo.wifi.rssi", Unit: dBm, Field: netatmo.WifiRSSI, Freshness: Radio,
		Description: "Wi-Fi signal of a station", From: "wifi_status, wifi_strength", Note: rssi},
	{Name: "netatmo.radio.rssi", Unit: dBm, Field: netatmo.RadioRSSI, Freshness: Radio,
		Description: "Radio signal between module and station", From: "rf_status, rf_strength", Note: rssi},
	{Name: "netatmo.module.reachable", Field: netatmo.Reachable, Freshness: Status,
		Description: "Whether Netatmo reaches the module", From: "reachable",
		Note: "0/1; dead modules have it too; missing where Netatmo leaves it out"},
	{Name: "netatmo.module.firmware", Field: netatmo.Firmware, Freshness: Status,
		Description: "Version of the firmware", From: "firmware", Note: "none for the sentinel 255"},
	{Name: "netatmo.module.last_seen", Unit: seconds, Field: netatmo.LastSeen, Freshness: Status,
		Description: "Unix time of the last contact", From: "last_seen, last_status_store", Note: "Unix time; a module never seen has none"},
	{Name: "netatmo.setpoint.temperature", Unit: celsius, Field: netatmo.SetpointTemp, History: "Sp_Temperature",
		Description: "Temperature that the heating aims at", From: "therm_setpoint_temperature"},
	{Name: "netatmo.setpoint.mode", Field: netatmo.SetpointMode, Attributes: []string{AttributeSetpointMode},
		Description: "1 for the current mode of the heating", From: "therm_setpoint_mode",
		Note: "1 for the mode that is on, named by the attribute `setpoint.mode`"},
	{Name: "netatmo.heating.power_request", Unit: percent, Field: netatmo.PowerRequest,
		Description: "Heating power asked for", From: "heating_power_request"},
	{Name: "netatmo.boiler.on", Field: netatmo.BoilerOn,
		Description: "Whether the boiler is on", From: "boiler_status", Note: flag},
	{Name: "netatmo.window.open", Field: netatmo.WindowOpen,
		Description: "Whether an open window was noticed", From: "open_window", Note: flag},
}
