package catalogue

import (
	"time"

	"netatmo-agent/agent/netatmo"
)

// Names of netatmo-exporter's metrics about itself.
const (
	ExporterUp              = "netatmo_up"
	ExporterRefreshInterval = "netatmo_refresh_interval_seconds"
	ExporterRefreshTime     = "netatmo_last_refresh_time"
	ExporterRefreshDuration = "netatmo_last_refresh_duration_seconds"
	ExporterCacheUpdated    = "netatmo_cache_updated_time"
	ExporterTokenValid      = "netatmo_exporter_token_valid"
	ExporterTokenExpiry     = "netatmo_exporter_token_expiry_time"
)

// ExporterReadings returns the metrics of modules under the names of
// xperimental/netatmo-exporter, as Prometheus shows them. They have a unit only
// if the translation from OTLP adds nothing to the name for it, so that a backend
// that keeps names unchanged shows the same ones.
func ExporterReadings() []Metric { return exporterReadings }

// ExporterHistory is History for netatmo-exporter's metrics.
func ExporterHistory(moduleType string) []netatmo.Column {
	if moduleType == netatmo.TypeRoom { // see InExporter
		return nil
	}
	return exporterHistory[moduleType]
}

// ExporterFresh is Fresh for netatmo-exporter's metrics: that exporter shows a
// module only while its measurement is fresh, battery and radio included.
func ExporterFresh(_ netatmo.Field, r *netatmo.Reading, now time.Time, stale time.Duration) bool {
	return now.Sub(r.Measured) <= r.Lasts(stale)
}

// ExporterAgent returns netatmo-exporter's metrics about itself, by its names.
func ExporterAgent() []Metric { return exporterAgent }

// InExporter reports whether netatmo-exporter has names for the reading: it knows
// only stations, home coaches and their modules.
func InExporter(r netatmo.Reading) bool { return r.Wire.Module != "" && !r.Family.InHomes() }

var exporterReadings = []Metric{
	{Name: "netatmo_sensor_updated", Field: netatmo.MeasurementTime,
		Description: "Timestamp of the last measurement"},
	{Name: "netatmo_sensor_temperature_celsius", Unit: celsius, Field: netatmo.Temperature, History: "Temperature",
		Description: "Temperature in degrees Celsius"},
	{Name: "netatmo_sensor_humidity_percent", Unit: percent, Field: netatmo.Humidity, History: "Humidity",
		Description: "Relative humidity in percent"},
	{Name: "netatmo_sensor_co2_ppm", Unit: "ppm", Field: netatmo.CO2, History: "CO2",
		Description: "Carbon dioxide in parts per million"},
	{Name: "netatmo_sensor_noise_db", Field: netatmo.Noise, History: "Noise",
		Description: "Noise in decibels"},
	{Name: "netatmo_sensor_pressure_mb", Field: netatmo.Pressure, History: "Pressure",
		Description: "Air pressure in millibars, reduced to sea level"},
	{Name: "netatmo_sensor_wind_strength_kph", Field: netatmo.WindSpeed, History: "WindStrength",
		Description: "Wind speed in kilometres per hour"},
	{Name: "netatmo_sensor_wind_direction_degrees", Field: netatmo.WindDirection, History: "WindAngle",
		Description: "Wind direction in degrees"},
	{Name: "netatmo_sensor_rain_amount_mm", Unit: mm, Field: netatmo.Rain, History: "Rain",
		Description: "Rain in millimetres"},
	{Name: "netatmo_sensor_battery_percent", Unit: percent, Field: netatmo.BatteryPercent,
		Description: "Charge of the battery in percent (10: low)"},
	{Name: "netatmo_sensor_wifi_signal_strength", Field: netatmo.WifiRSSI, Negated: true,
		Description: "Attenuation of the Wi-Fi signal (86: bad, 56: good)"},
	{Name: "netatmo_sensor_rf_signal_strength", Field: netatmo.RadioRSSI, Negated: true,
		Description: "Attenuation of the radio signal (90: lowest, 60: highest)"},
}

var exporterAgent = []Metric{
	{Name: ExporterUp, Description: "Zero if the last poll failed"},
	{Name: ExporterRefreshInterval, Unit: seconds, Description: "Time between polls"},
	{Name: ExporterRefreshTime, Description: "Unix time of the last poll, successful or not"},
	{Name: ExporterRefreshDuration, Unit: seconds, Description: "How long the last poll took"},
	{Name: ExporterCacheUpdated, Description: "Unix time of the data"},
	{Name: ExporterTokenValid, Description: "One if there is a valid token"},
	{Name: ExporterTokenExpiry, Description: "Unix time at which the token expires"},
}
