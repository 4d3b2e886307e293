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
			column{expr: current("netatmo_setpoint_mode", "setpoint_mode")},
			column{name: "Measured", expr: last("netatmo_temperature_celsius", room), unit: "celsius"},
			column{name: "Wanted", expr: last("netatmo_setpoint_temperature_celsius"), unit: "celsius"},
			column{name: "Until", expr: ago("netatmo_setpoint_end_seconds"), unit: fromNow},
			column{name: "Window", expr: last("netatmo_window_open"), words: opened.words()},
		).Height(height),
		graph("Heating power requested", "percent", 8, query{last("netatmo_heating_power_request_percent"), byName}).Min(0).Max(100),
		timeline("Boiler", 8, burning.words(), query{last("netatmo_boiler_on"), byName}),
		timeline("Windows, as detected by the heating", 8, opened.words(), query{last("netatmo_window_open"), byName}),
		timeline("Mode of the home", 8, inUse.words(), query{current("netatmo_home_mode", "home_mode"), byName + ": {{home_mode}}"}),
		timeline("Pilot wire", 8, inUse.words(), query{current("netatmo_heating_pilot_wire", "pilot_wire_order"), byName + ": {{pilot_wire_order}}"}),
		timeline("Heating starts early, boost, cooling", 8, burning.words(),
			query{last("netatmo_heating_anticipating"), byName + " early"},
			query{last("netatmo_boiler_boost"), byName + " boost"},
			query{last("netatmo_cooler_on"), byName + " cooling"}),
		timeline("Boiler errors", 12, faulty.words(), query{last("netatmo_boiler_error"), byName}),
		days(graph("Boiler time per day", "s", 12, query{amountOfDay("netatmo_boiler_on_time_seconds"), byName})),
		graph("Outdoor probe of the boiler", "celsius", 24, query{last("netatmo_boiler_outdoor_temperature_celsius"), byName}).Decimals(1),
	}}
}

func home() row {
	return row{"Power, shutters, doors and cameras", []cog.Builder[dashboard.Panel]{
		graph("Power", "watt", 12, query{last("netatmo_power_watts"), byName}).Min(0),
		graph("Power by room", "watt", 12, query{ofRoom("netatmo_power_watts"), "{{home_name}} {{room_name}}"}).Min(0),
		days(graph("Energy per day, by tariff", "watth", 12, query{amountOfDay("netatmo_energy_amount_Wh", "tariff"), byName + " {{tariff}}"})).
			Description("Netatmo counts per half hour; the amounts arrive two hours later."),
		days(graph("Gas and water per day", "litre", 12,
			query{amountOfDay("netatmo_gas_amount_l"), byName},
			query{amountOfDay("netatmo_water_amount_l"), byName})),
		timeline("Switches", 8, burning.words(), query{last("netatmo_switch_on"), byName}),
		timeline("Cut off by load shedding", 8, burning.words(), query{last("netatmo_load_shed_active"), byName}),
		graph("Brightness of lights", "percent", 8, query{last("netatmo_light_brightness_percent"), byName}).Min(0).Max(100),
		graph("Shutters: 0 closed, 100 open", "percent", 12,
			query{last("netatmo_shutter_position_percent"), byName},
			query{last("netatmo_shutter_target_percent"), byName + " target"}).Min(0).Max(100),
		timeline("Doors and windows", 12, opened.words(), query{last("netatmo_door_open"), byName}),
		sheet("Cameras, doors and sirens", 12, []label{{"home_name", "Home"}, {"module_name", "Device"}},
			column{name: "Monitoring", expr: last("netatmo_camera_monitoring"), words: burning.words()},
			column{name: "Power", expr: last("netatmo_camera_power_ok"), words: working.words()},
			column{name: "SD card", expr: last("netatmo_camera_sd_status"), words: card.words()},
			column{name: "Siren", expr: last("netatmo_siren_sounding"), words: burning.words()},
			column{name: "Last moved", expr: ago("netatmo_door_last_activity_seconds"), unit: fromNow},
		),
		timeline("Modes of contactors, fans and floodlights", 12, inUse.words(),
			query{current("netatmo_contactor_mode", "contactor_mode"), byName + ": {{contactor_mode}}"},
			query{current("netatmo_fan_mode", "fan_mode"), byName + ": {{fan_mode}}"},
			query{current("netatmo_camera_floodlight", "floodlight_mode"), byName + ": {{floodlight_mode}}"}),
		graph("Fan speed", "none", 12, query{last("netatmo_fan_speed"), byName}).Min(0),
	}}
}

func devices() row {
	return row{"Batteries, radio and reachability", []cog.Builder[dashboard.Panel]{
		sheet("Modules", 24, places,
			column{name: "Reachable", expr: last("netatmo_module_reachable"), words: reachable.words()},
			column{name: "Last seen", expr: ago("netatmo_module_last_seen_seconds"), unit: fromNow},
			column{name: "Battery", expr: last("netatmo_battery_state"), words: batteryWord.words()},
			column{name: "Charge", expr: last("netatmo_battery_charge_percent"), unit: "percent", colors: battery},
			column{name: "Voltage", expr: last("netatmo_battery_voltage_volts"), unit: "volt"},
			column{name: "Radio", expr: last("netatmo_radio_rssi_dBm", hanging), words: radioSignal.words()},
			column{name: "Wi-Fi", expr: last("netatmo_wifi_rssi_dBm"), words: wifiSignal.words()},
			column{name: "Firmware", expr: last("netatmo_module_firmware"), unit: "none"},
		).Description("The battery state is Netatmo's rating; weather modules have a charge instead.\n" +
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
