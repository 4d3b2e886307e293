package catalogue

import (
	"slices"

	"netatmo-agent/agent/netatmo"
)

// readings are all metrics of modules, rooms and homes.
var readings = slices.Concat(measurements, climate, devices)

const stateSet = "a state set, attribute `"

// climate are the metrics of rooms and heating devices.
var climate = []Metric{
	{Name: "netatmo.setpoint.temperature", Unit: celsius, Field: netatmo.SetpointTemp, History: "Sp_Temperature",
		Description: "Target temperature of the room's heating or cooling", From: "therm_, cooling_ or auto_setpoint_temperature"},
	{Name: "netatmo.setpoint.mode", Field: netatmo.SetpointMode, Attributes: []string{"setpoint.mode"},
		States:      []string{"schedule", "home", "away", "hg", "manual", "max", "off"},
		Description: "1 for the current mode of the setpoint, 0 for the others", From: "therm_, cooling_ or auto_setpoint_mode",
		Note: stateSet + "setpoint.mode`"},
	{Name: "netatmo.setpoint.end", Unit: seconds, Field: netatmo.SetpointEnd,
		Description: "Unix time at which the setpoint ends", From: "therm_, cooling_ or auto_setpoint_end_time", Note: "Unix time; missing if it has no end"},
	{Name: "netatmo.heating.power_request", Unit: percent, Field: netatmo.PowerRequest,
		Description: "Heating power that the room requests", From: "heating_power_request"},
	{Name: "netatmo.heating.anticipating", Field: netatmo.Anticipating,
		Description: "Whether the heating starts early for the next setpoint", From: "anticipating", Note: flag},
	{Name: "netatmo.heating.pilot_wire", Field: netatmo.PilotWire, Attributes: []string{"pilot_wire.order"},
		States:      []string{"comfort", "comfort_1", "comfort_2", "away", "frost_guard", "stand_by"},
		Description: "1 for the current order on the pilot wire, 0 for the others", From: "therm_setpoint_fp",
		Note: stateSet + "pilot_wire.order`"},
	{Name: "netatmo.boiler.on", Field: netatmo.BoilerOn,
		Description: "Whether the thermostat requests heat from the boiler", From: "boiler_status", Note: flag},
	{Name: "netatmo.boiler.boost", Field: netatmo.BoilerBoost,
		Description: "Whether a valve requests heat from the boiler", From: "boiler_valve_comfort_boost", Note: flag},
	{Name: "netatmo.boiler.on_time", Unit: seconds, Field: netatmo.BoilerOnTime, Past: true,
		Description: "Time in which the boiler was on, in the half hour before", From: "boileron, boileroff",
		Note: "one point per half hour, at its end, never repeated"},
	{Name: "netatmo.boiler.error", Field: netatmo.BoilerError,
		Description: "Whether the boiler reports an error", From: "boiler_error", Note: flag},
	{Name: "netatmo.boiler.outdoor_temperature", Unit: celsius, Field: netatmo.BoilerProbe,
		Description: "Temperature at the boiler's outdoor probe", From: "outdoor_temperature"},
	{Name: "netatmo.cooler.on", Field: netatmo.CoolerOn,
		Description: "Whether the thermostat requests cooling", From: "cooler_status", Note: flag},
	{Name: "netatmo.window.open", Field: netatmo.WindowOpen,
		Description: "Whether the heating detects an open window", From: "open_window", Note: flag},
	{Name: "netatmo.home.mode", Field: netatmo.HomeMode, Attributes: []string{"home.mode"},
		States:      []string{"schedule", "away", "hg"},
		Description: "1 for the current mode of the home's heating, 0 for the others", From: "therm_mode",
		Note: stateSet + "home.mode`; updated hourly"},
}

// devices are the metrics of the other devices of a home.
var devices = []Metric{
	{Name: "netatmo.battery.state", Field: netatmo.BatteryState,
		Description: "Netatmo's rating of the battery: 0 very low to 5 max", From: "battery_state",
		Note: "0 very low, 1 low, 2 medium, 3 high, 4 full, 5 max"},
	{Name: "netatmo.power", Unit: "W", Field: netatmo.Power,
		Description: "Electrical power", From: "power", Note: "as measured"},
	{Name: "netatmo.energy.amount", Unit: "Wh", Field: netatmo.EnergyTotal, Past: true,
		Attributes: []string{"tariff"}, Variants: []Variant{
			{netatmo.EnergyTotal, "total"}, {netatmo.EnergyBasic, "basic"}, {netatmo.EnergyPeak, "peak"}, {netatmo.EnergyOffPeak, "off_peak"},
		},
		Description: "Electrical energy used in the half hour before", From: "sum_energy_buy_from_grid, sum_energy_elec",
		Note: "attribute `tariff`: `basic`, `peak`, `off_peak`, or `total` without tariffs; as `boiler.on_time`"},
	{Name: "netatmo.gas.amount", Unit: "l", Field: netatmo.GasAmount, Past: true,
		Description: "Gas used in the half hour before", From: "sum_energy_elec (Ecometer)", Note: "as `boiler.on_time`"},
	{Name: "netatmo.water.amount", Unit: "l", Field: netatmo.WaterAmount, Past: true,
		Description: "Water used in the half hour before", From: "sum_energy_elec (Ecometer)", Note: "as `boiler.on_time`"},
	{Name: "netatmo.switch.on", Field: netatmo.SwitchOn,
		Description: "Whether the device is switched on", From: "on", Note: flag},
	{Name: "netatmo.load_shed.active", Field: netatmo.LoadShed,
		Description: "Whether load shedding has cut the device off", From: "offload", Note: flag},
	{Name: "netatmo.light.brightness", Unit: percent, Field: netatmo.Brightness,
		Description: "Brightness of the light while it is on", From: "brightness", Note: "kept while the light is off"},
	{Name: "netatmo.shutter.position", Unit: percent, Field: netatmo.Position,
		Description: "Position of the shutter: 0 closed, 100 open", From: "current_position", Note: "0 closed, 100 open; missing while unknown"},
	{Name: "netatmo.shutter.target", Unit: percent, Field: netatmo.TargetPosition,
		Description: "Position that the shutter moves to: 0 closed, 100 open", From: "target_position", Note: "0 closed, 100 open"},
	{Name: "netatmo.contactor.mode", Field: netatmo.ContactorMode, Attributes: []string{"contactor.mode"},
		States:      []string{"off"},
		Description: "1 for the current mode of the contactor, 0 for the others", From: "contactor_mode",
		Note: stateSet + "contactor.mode`"},
	{Name: "netatmo.fan.speed", Field: netatmo.FanSpeed,
		Description: "Speed of the fan", From: "fan_speed", Note: "a level"},
	{Name: "netatmo.fan.mode", Field: netatmo.FanMode, Attributes: []string{"fan.mode"},
		States:      []string{"manual"},
		Description: "1 for the current mode of the fan, 0 for the others", From: "fan_mode",
		Note: stateSet + "fan.mode`"},
	{Name: "netatmo.door.open", Field: netatmo.DoorOpen,
		Description: "Whether the door or window is open", From: "status (door tag)", Note: "0/1; missing while unknown"},
	{Name: "netatmo.door.last_activity", Unit: seconds, Field: netatmo.LastActivity,
		Description: "Unix time at which the door tag last moved", From: "last_activity", Note: "Unix time"},
	{Name: "netatmo.siren.sounding", Field: netatmo.Sounding,
		Description: "Whether the siren sounds", From: "status (siren), siren_status", Note: flag},
	{Name: "netatmo.camera.monitoring", Field: netatmo.Monitoring,
		Description: "Whether the camera monitors; of a siren, whether it is armed", From: "monitoring", Note: flag},
	{Name: "netatmo.camera.power_ok", Field: netatmo.PowerOK,
		Description: "Whether the camera has the right power supply", From: "alim_status", Note: flag},
	{Name: "netatmo.camera.sd_status", Field: netatmo.SDStatus,
		Description: "Netatmo's number for the state of the SD card: 4 works", From: "sd_status",
		Note: "1 missing, 2 inserted, 3 formatted, 4 works, 5 defective, 6 too slow, 7 full"},
	{Name: "netatmo.camera.floodlight", Field: netatmo.Floodlight, Attributes: []string{"floodlight.mode"},
		States:      []string{"off", "on", "auto"},
		Description: "1 for the current mode of the floodlight, 0 for the others", From: "floodlight",
		Note: stateSet + "floodlight.mode`"},
}
