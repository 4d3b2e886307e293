package main

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

var places = []label{{"home_name", "Home"}, {"station_name", "Station"}, {"module_name", "Module"}, {"module_type", "Type"}}

func ago(metric string, matchers ...string) string { return last(metric, matchers...) + " * 1000" }

const fromNow = "dateTimeFromNow" // of milliseconds

func now() row {
	return row{"Homes and rooms", []cog.Builder[dashboard.Panel]{
		tile("Outdoors", "celsius", 4, query{last("netatmo_temperature_celsius", outside), byName}).
			Decimals(1).Thresholds(air.thresholds()),
		tile("Rain today", "lengthmm", 4, query{last("netatmo_rain_day_mm"), byName}).Decimals(1),
		tile("Wind", "velocitykmh", 4, query{last("netatmo_wind_speed_km_per_hour"), byName}),
		tile("Pressure", "pressurehpa", 4, query{last("netatmo_pressure_hPa"), byName}).Decimals(1),
		tile("Highest CO2", "ppm", 4, query{"max(" + last("netatmo_co2_ppm") + ")", "CO2"}).
			Thresholds(carbonDioxide.thresholds()),
		tile("Modules not reachable", "none", 4, query{"sum(" + last("netatmo_module_reachable") + " == bool 0)", "modules"}).
			Thresholds(scale{{0, "green", ""}, {1, "red", ""}}.thresholds()),
		sheet("Now", 24, places,
			column{name: "Temperature", expr: last("netatmo_temperature_celsius", withValues), unit: "celsius"},
			column{name: "Trend", expr: last("netatmo_temperature_trend"), words: trend.words()},
			column{name: "Lowest today", expr: last("netatmo_temperature_min_celsius"), unit: "celsius"},
			column{name: "Highest today", expr: last("netatmo_temperature_max_celsius"), unit: "celsius"},
			column{name: "Humidity", expr: last("netatmo_humidity_percent"), unit: "percent", colors: damp},
			column{name: "CO2", expr: last("netatmo_co2_ppm"), unit: "ppm", colors: carbonDioxide},
			column{name: "Noise", expr: last("netatmo_noise_dB"), unit: "dB"},
			column{name: "Air", expr: last("netatmo_health_index"), words: health.words()},
			column{name: "Measured", expr: ago("netatmo_measurement_time_seconds", withValues), unit: fromNow},
		),
	}}
}

func indoors() row {
	return row{"Indoor climate", []cog.Builder[dashboard.Panel]{
		graph("Temperature indoors", "celsius", 12, query{last("netatmo_temperature_celsius", inside), byName}).Decimals(1),
		limits(graph("CO2", "ppm", 12, query{last("netatmo_co2_ppm"), byName}), carbonDioxide).
			AxisSoftMin(400).
			Description("Above 1000 ppm the air is stale, above 1500 ppm it is bad: open a window."),
		graph("Humidity indoors", "percent", 8, query{last("netatmo_humidity_percent", inside), byName}),
		graph("Noise", "dB", 8, query{last("netatmo_noise_dB"), byName}),
		timeline("Health index of home coaches", 8, health.words(), query{last("netatmo_health_index"), byName}),
	}}
}

func heating() row {
	return row{"Heating", []cog.Builder[dashboard.Panel]{
		graph("Rooms: measured and wanted", "celsius", 16,
			query{last("netatmo_temperature_celsius", room), byName},
			query{last("netatmo_setpoint_temperature_celsius"), byName + " wanted"}).
			Decimals(1).
			OverrideByQuery("B", []dashboard.DynamicConfigValue{
				{Id: "custom.lineStyle", Value: map[string]any{"fill": "dash", "dash": []int{10, 10}}},
				{Id: "custom.lineInterpolation", Value: common.LineInterpolationStepAfter},
				{Id: "custom.fillOpacity", Value: 0},
			}),
		sheet("Rooms", 8, []label{{"home_name", "Home"}, {"module_name", "Room"}, {"setpoint_mode", "Mode"}},
			column{expr: currentMode},
			column{name: "Measured", expr: last("netatmo_temperature_celsius", room), unit: "celsius"},
			column{name: "Wanted", expr: last("netatmo_setpoint_temperature_celsius"), unit: "celsius"},
			column{name: "Window", expr: last("netatmo_window_open"), words: opened.words()},
		).Height(height),
		graph("Heating power asked for", "percent", 8, query{last("netatmo_heating_power_request_percent"), byName}).Min(0).Max(100),
		timeline("Boiler", 8, burning.words(), query{last("netatmo_boiler_on"), byName}),
		timeline("Windows, as noticed by the heating", 8, opened.words(), query{last("netatmo_window_open"), byName}),
	}}
}

func devices() row {
	return row{"Batteries, radio and reachability", []cog.Builder[dashboard.Panel]{
		sheet("Modules", 24, places,
			column{name: "Reachable", expr: last("netatmo_module_reachable"), words: reachable.words()},
			column{name: "Last seen", expr: ago("netatmo_module_last_seen_seconds"), unit: fromNow},
			column{name: "Battery", expr: last("netatmo_battery_charge_percent"), words: battery.words()},
			column{name: "Charge", expr: last("netatmo_battery_charge_percent"), unit: "percent"},
			column{name: "Voltage", expr: last("netatmo_battery_voltage_volts"), unit: "volt"},
			column{name: "Radio", expr: last("netatmo_radio_rssi_dBm", hanging), words: radioSignal.words()},
			column{name: "Wi-Fi", expr: last("netatmo_wifi_rssi_dBm"), words: wifiSignal.words()},
			column{name: "Firmware", expr: last("netatmo_module_firmware"), unit: "none"},
		).Description("Battery: full from 80 %, high from 60 %, medium from 40 %, low from 20 %, then very low.\n" +
			"Radio to the station: full from -60 dBm, high from -70, medium from -80, low from -90, then very low.\n" +
			"Wi-Fi: good from -56 dBm, average from -71, weak from -86, then bad."),
		limits(graph("Battery charge", "percent", 12, query{last("netatmo_battery_charge_percent"), byName}), battery).Min(0).Max(100),
		graph("Battery voltage", "volt", 12, query{last("netatmo_battery_voltage_volts"), byName}).Decimals(2),
		limits(graph("Radio signal to the station", "dBm", 12, query{last("netatmo_radio_rssi_dBm", hanging), byName}), radioSignal),
		limits(graph("Wi-Fi signal", "dBm", 12, query{last("netatmo_wifi_rssi_dBm"), byName}), wifiSignal),
		timeline("Reachable", 12, reachable.words(), query{last("netatmo_module_reachable"), byName}),
		graph("Age of the measurements", "s", 6, query{"time() - " + last("netatmo_measurement_time_seconds"), byName}).Min(0).
			Description("Stations upload every ten minutes; after 20 minutes a value is no longer repeated."),
		timeline("CO2 sensors that calibrate themselves", 6, busy.words(), query{last("netatmo_co2_calibrating"), byName}),
	}}
}
