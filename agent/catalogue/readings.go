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

// measurements are the metrics of stations and home coaches, some of which
// rooms and devices of a home share.
var measurements = []Metric{
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
	{Name: "netatmo.co2_calibrating", Field: netatmo.CO2Calibrating,
		Description: "Whether the CO2 sensor calibrates itself", From: "co2_calibrating", Note: flag},
	{Name: "netatmo.noise", Unit: "dB", Field: netatmo.Noise, History: "Noise",
		Description: "Noise level", From: "Noise"},
	{Name: "netatmo.pressure", Unit: hPa, Field: netatmo.Pressure, History: "Pressure",
		Description: "Air pressure reduced to sea level", From: "Pressure", Note: "reduced to sea level"},
	{Name: "netatmo.absolute_pressure", Unit: hPa, Field: netatmo.AbsolutePressure,
		Description: "Air pressure at the station", From: "AbsolutePressure", Note: "at the station"},
	{Name: "netatmo.rain.amount", Unit: mm, Field: netatmo.Rain, History: "Rain",
		Description: "Rain in one measuring step", From: "Rain",
		Note: "of one measuring step; it is repeated while live, so use the next two for sums"},
	{Name: "netatmo.rain.hour", Unit: mm, Field: netatmo.RainHour,
		Description: "Rain of the last hour", From: "sum_rain_1", Note: "a gauge, because it goes down again"},
	{Name: "netatmo.rain.day", Unit: mm, Field: netatmo.RainDay,
		Description: "Rain of the day so far", From: "sum_rain_24", Note: "a gauge, because it goes down again"},
	{Name: "netatmo.wind.speed", Unit: kmh, Field: netatmo.WindSpeed, History: "WindStrength",
		Description: "Wind speed, mean of five minutes", From: "WindStrength"},
	{Name: "netatmo.gust.speed", Unit: kmh, Field: netatmo.GustSpeed, History: "GustStrength",
		Description: "Speed of the strongest gust", From: "GustStrength"},
	{Name: "netatmo.wind.direction", Unit: degrees, Field: netatmo.WindDirection, History: "WindAngle",
		Description: "Direction that the wind comes from", From: "WindAngle", Note: "missing if negative"},
	{Name: "netatmo.gust.direction", Unit: degrees, Field: netatmo.GustDirection, History: "GustAngle",
		Description: "Direction that the strongest gust came from", From: "GustAngle", Note: "missing if negative"},
	{Name: "netatmo.wind.speed_max", Unit: kmh, Field: netatmo.WindSpeedMax,
		Description: "Strongest wind of the day so far", From: "max_wind_str", Note: ofToday},
	{Name: "netatmo.wind.direction_max", Unit: degrees, Field: netatmo.WindDirectionMax,
		Description: "Direction of the strongest wind of the day so far", From: "max_wind_angle", Note: ofToday},
	{Name: "netatmo.health_index", Field: netatmo.HealthIndex,
		Description: "Health index of a home coach: 0 healthy to 4 unhealthy", From: "health_idx", Note: "0 healthy … 4 unhealthy"},
	{Name: "netatmo.measurement.time", Unit: seconds, Field: netatmo.MeasurementTime,
		Description: "Unix time at which the values were measured", From: "time_utc", Note: "Unix time of the measurement"},
	{Name: "netatmo.battery.charge", Unit: percent, Field: netatmo.BatteryPercent,
		Description: "Charge of the battery", From: "battery_percent", Note: "missing for a dead module"},
	{Name: "netatmo.battery.voltage", Unit: "V", Field: netatmo.BatteryVoltage,
		Description: "Voltage of the battery", From: "battery_vp, battery_level", Note: "Netatmo sends mV"},
	{Name: "netatmo.wifi.rssi", Unit: dBm, Field: netatmo.WifiRSSI,
		Description: "Wi-Fi signal of the device", From: "wifi_status, wifi_strength", Note: rssi},
	{Name: "netatmo.radio.rssi", Unit: dBm, Field: netatmo.RadioRSSI,
		Description: "Radio signal of the module", From: "rf_status, rf_strength", Note: rssi},
	{Name: "netatmo.module.reachable", Field: netatmo.Reachable,
		Description: "Whether Netatmo reaches the module", From: "reachable",
		Note: "0/1, also for unreachable modules; missing if Netatmo does not send it"},
	{Name: "netatmo.module.firmware", Field: netatmo.Firmware,
		Description: "Version of the firmware", From: "firmware, firmware_revision", Note: "missing if 255, a sentinel"},
	{Name: "netatmo.module.last_seen", Unit: seconds, Field: netatmo.LastSeen,
		Description: "Unix time of the last contact", From: "last_seen, last_status_store", Note: "Unix time; missing if never seen"},
}
