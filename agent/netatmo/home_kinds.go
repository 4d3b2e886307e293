package netatmo

import (
	"maps"
	"strings"
)

// homeKinds are the types of devices in a home, several of one kind in a row.
var homeKinds = []struct {
	types  string
	name   string
	family Family
	keys   rules
}{
	{"NAPlug OTH NAVaillant", TypeRelay, Energy, relayKeys},
	{"NATherm1 OTM BNS BNTH BNFC BNTR NAThermVaillant", TypeThermostat, Energy, thermostatKeys},
	{"NRV", TypeValve, Energy, deviceKeys},
	{"NAC", TypeAirConditioner, Energy, with(rules{"fan_speed": {FanSpeed, plain}, "fan_mode": {FanMode, named}})},
	{"EBU", TypeGasMeter, Energy, deviceKeys},

	{"NLG NLGS NBG BNMH BNCX TPSG NXG", TypeGateway, Control, with(rules{"offload": {LoadShed, flag}})},
	{"NLP NLPM NLPBS NLUP NLC", TypePlug, Control, switchKeys},
	{"NLPT NLPD NLM NLL NLIS NLUI BNIL BNCS BNSL BNDL", TypeSwitch, Control, switchKeys},
	{"NLF NLFN NLFE NLUO NLUF Z3L BNLD", TypeLight, Control, join(switchKeys, rules{"brightness": {Brightness, percent}})},
	{"NLPC NLY NLPS NLE BNXM", TypeMeter, Control, with(rules{"power": {Power, plain}})},
	{"NLPO", TypeContactor, Control, join(switchKeys, rules{"contactor_mode": {ContactorMode, named}})},
	{"NLV NLLV NLLM Z3V NBR NBO NBS BNAS BNAB BNMS TPSRS NXO", TypeShutter, Control,
		with(rules{"current_position": {Position, percent}, "target_position": {TargetPosition, percent}})},
	{"NLJ", TypeGarageDoor, Control, with(rules{"target_position": {TargetPosition, percent}})},
	// The power of a ventilation control is a setting, not a measurement.
	{"NLLF", TypeVentilation, Control, with(rules{"fan_speed": {FanSpeed, plain}})},
	{"NLT NLD NLDD NLAO NLAS NLDP NLTS NXS NXD", TypeRemote, Control, deviceKeys},
	{"BNEU", TypeDoorbell, Control, deviceKeys},

	{"NACamera NPC NOC", TypeCamera, Security, join(cameraKeys, rules{
		"monitoring": {Monitoring, flag}, "floodlight": {Floodlight, named}, "siren_status": {Sounding, words(sounds)}})},
	{"NDB NBD", TypeDoorbell, Security, cameraKeys},
	{"NACamDoorTag NADoorTag", TypeDoorTag, Security,
		with(rules{"status": {DoorOpen, words(map[string]float64{"closed": 0, "open": 1})}, "last_activity": {LastActivity, contact}})},
	{"NIS", TypeSiren, Security, with(rules{"status": {Sounding, words(sounds)}, "monitoring": {Monitoring, flag}})},
	// The state of these alarms is in Netatmo's events only.
	{"NSD", TypeSmokeAlarm, Security, deviceKeys},
	{"NCO", TypeCOAlarm, Security, deviceKeys},
}

var (
	sounds = map[string]float64{"no_sound": 0, "sound": 1}
	levels = map[string]float64{"very_low": 0, "low": 1, "medium": 2, "high": 3, "full": 4, "max": 5}
	powers = map[string]float64{"1": 0, "2": 1} // of alim_status
)

var (
	// deviceKeys are the keys that any device of a home may have. A firmware
	// revision of 255 is not a sentinel: those of relays come near it
	// (observed).
	deviceKeys = rules{
		"reachable":         {Reachable, flag},
		"firmware_revision": {Firmware, plain},
		"last_seen":         {LastSeen, contact},
		"wifi_strength":     {WifiRSSI, attenuation},
		"rf_strength":       {RadioRSSI, attenuation},
		"battery_percent":   {BatteryPercent, percent},
		"battery_level":     {BatteryVoltage, millivolts},
		"battery_state":     {BatteryState, words(levels)},
	}
	// The rf_strength of a relay is always about 106 and not a link quality.
	relayKeys = with(rules{"boiler_error": {BoilerError, faulty}, "outdoor_temperature": {BoilerProbe, plain}, "rf_strength": {}})

	thermostatKeys = with(rules{"boiler_status": {BoilerOn, flag}, "boiler_valve_comfort_boost": {BoilerBoost, flag}, "cooler_status": {CoolerOn, flag}})
	switchKeys     = with(rules{"on": {SwitchOn, flag}, "power": {Power, plain}, "offload": {LoadShed, flag}})
	cameraKeys     = with(rules{"sd_status": {SDStatus, plain}, "alim_status": {PowerOK, words(powers)}})

	roomKeys = rules{
		"reachable":                  {Reachable, flag},
		"therm_measured_temperature": {Temperature, plain},
		"humidity":                   {Humidity, plain},
		"co2":                        {CO2, plain},
		"heating_power_request":      {PowerRequest, plain},
		"anticipating":               {Anticipating, flag},
		"therm_setpoint_fp":          {PilotWire, named},
		"open_window":                {WindowOpen, flag},
		"open_windows":               {WindowOpen, flag},
	}
	// setpoints are the prefixes of a room's target temperature. If several are
	// in use, the first counts.
	setpoints = []string{"therm_setpoint_", "cooling_setpoint_", "auto_setpoint_"}
	// veluxKeys are those of rooms without a setpoint. Their unit is a tenth of
	// a degree.
	veluxKeys = join(roomKeys, rules{"temperature": {Temperature, tenths}})
	homeKeys  = rules{"therm_mode": {HomeMode, named}}
)

// with returns deviceKeys and more.
func with(more rules) rules { return join(deviceKeys, more) }

// kinds are the types of all devices by Netatmo's names.
var kinds = func() map[string]kind {
	all := maps.Clone(stationKinds)
	for _, k := range homeKinds {
		for wire := range strings.FieldsSeq(k.types) {
			all[wire] = kind{name: k.name, family: k.family, own: k.keys}
		}
	}
	return all
}()

var (
	roomKind = kind{name: TypeRoom, family: Energy}
	homeKind = kind{name: TypeHome, family: Energy, own: homeKeys}

	// roomRules are the keys of a room by the setpoints in use.
	roomRules = func() map[string]rules {
		all := map[string]rules{"": veluxKeys}
		for _, s := range setpoints {
			all[s] = join(roomKeys, rules{
				s + "temperature": {SetpointTemp, plain}, s + "mode": {SetpointMode, named}, s + "end_time": {SetpointEnd, instant},
			})
		}
		return all
	}()
)
