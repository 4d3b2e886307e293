package simcloud

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Household is the home of Default plus a device of each kind that the home API
// lists: heating and cooling, Legrand devices, cameras and alarms.
func Household() *Scenario {
	s := Default()
	h := &s.Homes[0]
	in := func(id, name, wireType, room string) Device {
		return Device{ID: id, Name: name, Type: wireType, Room: room}
	}
	const legrand, living, bath, study = "00:04:74:00:00:00:60:", "2746182003", "2746182004", "2746182002"
	h.Rooms = append(h.Rooms, Device{ID: living, Name: "Living room"}, Device{ID: bath, Name: "Bath"})
	h.Gateways = append(h.Gateways,
		Station{
			Device: in("00:04:74:00:60:00", "Switchboard", "NLG", ""),
			Modules: []Device{
				in(legrand+"01", "Heat pump", "NLPC", ""),
				in(legrand+"02", "Washing machine", "NLP", bath),
				in(legrand+"03", "Television", "NLP", living),
				in(legrand+"04", "Water heater", "NLPO", bath),
				in(legrand+"05", "Ceiling light", "NLF", living),
				in(legrand+"06", "Living room shutter", "NLV", living),
				in(legrand+"07", "Ventilation", "NLLF", bath),
				in(legrand+"08", "Towel radiator", "NLC", bath),
				in(legrand+"09", "Remote", "NLT", living),
			},
		},
		Station{
			Device: in("70:ee:50:00:61:00", "Hall camera", "NACamera", ""),
			Modules: []Device{
				in("70:ee:50:00:61:01", "Front door", "NACamDoorTag", ""),
				in("70:ee:50:00:61:02", "Siren", "NIS", ""),
			},
		},
		ecometer("00:04:74:00:67:00"),
		Station{Device: in("70:ee:50:00:62:00", "Garden camera", "NOC", "")},
		Station{Device: in("70:ee:50:00:63:00", "Smoke alarm", "NSD", living)},
		Station{Device: in("70:ee:50:00:64:00", "Boiler", "OTH", "")},
		Station{Device: in("70:ee:50:00:65:00", "Smarther", "BNS", study)},
		Station{Device: in("70:ee:50:00:66:00", "Air conditioner", "NAC", living)},
	)
	return s
}

// ecometer has five lines, their total, gas, and two inputs for water.
func ecometer(id string) Station {
	s := Station{Device: Device{ID: id, Name: "Ecometer", Type: "NLE"}}
	for i, name := range []string{"Heating", "Sockets", "Lights", "Fridge", "Network", "Total", "Gas", "Hot water", "Cold water"} {
		s.Modules = append(s.Modules, Device{ID: fmt.Sprintf("%s#%d", id, i), Name: name, Type: "NLE"})
	}
	return s
}

// scopesInHomes maps the start of a device type to its scopes; other devices
// need read_thermostat.
var scopesInHomes = map[string]string{
	"NL": "read_magellan", "Z3": "read_magellan", "NB": "read_bubendorff", "NACam": "read_camera", "NPC": "read_camera", "NIS": "read_camera",
	"NOC": "read_presence", "NDB": "read_doorbell", "NSD": "read_smokedetector", "NCO": "read_carbonmonoxidedetector",
}

// ScopesInHomes are the scopes that homesdata and homestatus accept: one of
// them is enough.
const ScopesInHomes = "read_thermostat read_smarther read_magellan read_bubendorff read_mhs1 read_camera read_presence read_doorbell read_smokedetector read_carbonmonoxidedetector"

func (d *device) scopeInHomes() string {
	for start, scope := range scopesInHomes {
		if strings.HasPrefix(d.Type, start) {
			return scope
		}
	}
	return "read_thermostat"
}

// sees reports whether the login includes the scope of a device in a home.
func (q query) sees(d *device) bool {
	return !d.heats() || slices.Contains(q.scopes, d.scopeInHomes())
}

// hasClimate reports whether homestatus lists the room, which it does if the
// room has heating or cooling.
func (d *device) hasClimate() bool {
	for _, m := range d.children {
		switch m.Type {
		case TypeThermostat, TypeValve, "OTM", "BNS", "NAC", "NLC":
			return true
		}
	}
	return false
}

// specialRoom adds to o the state of a room with a pilot wire or an air
// conditioner; it reports whether d is one.
func (d *device) specialRoom(o object, t int64) bool {
	has := func(wireType string) bool {
		return slices.ContainsFunc(d.children, func(m *device) bool { return m.Type == wireType })
	}
	h, _ := d.home.place.clock(t)
	switch {
	case has("NLC"):
		order := "away"
		if h > 5 && h < 9 {
			order = "comfort"
		}
		o["reachable"], o["therm_setpoint_mode"], o["therm_setpoint_fp"], o["therm_setpoint_end_time"] = true, "manual", order, 2147483647
	case has("NAC"):
		o["reachable"], o["humidity"] = true, 45
		k, _ := d.newest(time.Unix(t, 0))
		o["therm_measured_temperature"], _ = d.read(temperature, d.sample(k, 0))
		o["cooling_setpoint_temperature"], _ = d.read(setpoint, d.sample(k, 0))
		o["cooling_setpoint_mode"] = "manual"
		o["cooling_setpoint_end_time"] = t - t%(3*hour) + 3*hour
	default:
		return false
	}
	return true
}

// householdState adds to o a device's state at t, if its kind is neither
// weather nor heating. It reports whether that is so.
func (d *device) householdState(o object, at time.Time) bool {
	t := at.Unix()
	switch d.Type {
	case "NLE": // it has values in its history only
		if d.parent == nil {
			o["wifi_strength"], o["firmware_revision"] = 42, 14
		}
		return true
	case "NSD", "NCO":
		o["wifi_strength"], o["last_seen"] = 50, t-12*day
		return true
	case "NAC":
		o["fan_speed"], o["fan_mode"], o["fan_end_time"], o["wifi_strength"] = 1, "manual", nil, 26
		return true
	}
	if !d.controlState(o, t) && !d.securityState(o, t) {
		return false
	}
	o["firmware_revision"] = 40 + d.seed%60
	if d.parent != nil {
		o["reachable"] = d.reachable(at)
	}
	if d.Type == "NACamDoorTag" || d.Type == "NIS" {
		k, _ := d.newest(at)
		o["rf_strength"] = d.attenuation(55, 30, k)
		o["battery_level"], o["battery_state"] = d.batteryState(k)
	}
	if d.Type != "NLT" && !strings.HasPrefix(d.Type, "NACamera") && d.Type != "NOC" {
		o["last_seen"] = t - int64(d.seed%60)
	}
	return true
}

// controlState adds to o the state of a Legrand or Bubendorff device at t, and
// reports whether d is one.
func (d *device) controlState(o object, t int64) bool {
	p := d.home.place
	h, _ := p.clock(t)
	load := func(on bool, watts float64) {
		o["on"], o["offload"], o["power"] = on, false, 0
		if on {
			o["power"] = int64(watts)
		}
	}
	switch d.Type {
	case "NLG":
		o["wifi_strength"], o["offload"] = 51, false
	case "NLPC": // a heat pump follows the weather
		o["power"] = int64(clamp(110*(17-p.outdoor(t)), 12, 2600) * (1 + 0.1*noise(d.seed, 60, t, 600)))
	case "NLP":
		load(true, d.appliance(t))
	case "NLPO": // heats water at night
		load(h < 5, 2400)
		o["contactor_mode"] = "off"
	case "NLF":
		on := p.presence(d.seed, t) > 0.3 && (h < 8 || h > 17)
		load(on, 42)
		o["brightness"] = 70
	case "NLV", "NLLV", "NBR":
		open := int64(100 * bump(h, 7.5, 20, 0.02))
		o["current_position"], o["target_position"], o["target_position:step"] = open, open, 100
	case "NLLF":
		o["power"], o["fan_speed"] = 11, 1
		if h > 6 && h < 8 {
			o["fan_speed"] = 2
		}
	case "NLC":
		load(p.outdoor(t) < 12 && h > 5 && h < 9, 800)
	case "NLT":
		o["battery_level"], o["battery_state"], o["last_seen"] = 3300, "full", 0
	default:
		return false
	}
	return true
}

// securityState adds to o the state of a camera, door tag or siren at t, and
// reports whether d is one.
func (d *device) securityState(o object, t int64) bool {
	p := d.home.place
	switch d.Type {
	case "NACamera", "NOC":
		monitoring := "on"
		if p.presence(d.seed, t) > 0.5 {
			monitoring = "off"
		}
		o["monitoring"], o["sd_status"], o["alim_status"], o["wifi_strength"], o["wifi_state"] = monitoring, 4, 2, 62, "high"
		o["vpn_url"], o["is_local"] = "https://vpn.example.invalid/"+d.ID, false
		if d.Type == "NOC" {
			o["floodlight"], o["siren_status"] = "auto", "no_sound"
		}
	case "NACamDoorTag": // opens for four minutes of every hour
		opened := t - t%hour + int64(3000*unit(d.seed, 61, t/hour))
		if opened > t {
			opened = t - t%hour - hour + int64(3000*unit(d.seed, 61, t/hour-1))
		}
		o["status"], o["last_activity"] = "open", opened
		if t >= opened+240 {
			o["status"], o["last_activity"] = "closed", opened+240
		}
	case "NIS":
		o["status"], o["monitoring"] = "no_sound", "off"
	default:
		return false
	}
	return true
}

// appliance returns the power of a plug: a washing machine in the bathroom, a
// television elsewhere.
func (d *device) appliance(t int64) float64 {
	p := d.home.place
	if !strings.Contains(d.Name, "Washing") {
		if p.presence(d.seed, t) > 0.4 {
			return 95
		}
		return 1
	}
	start := p.midnight(t) + int64((8+9*unit(d.seed, 62, t/day))*hour)
	switch into := t - start; {
	case into < 0 || into > 2*hour:
		return 2
	case into < hour/3:
		return 2050
	case into > 2*hour-hour/6:
		return 420
	}
	return 140
}
