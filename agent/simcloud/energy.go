package simcloud

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// listed reports whether homesdata has the home.
func (h *home) listed() bool { return !h.has(Guest | Favorite) }

// homesdata answers with the topology and the names of the account's homes.
func (c *Cloud) homesdata(q query) (any, *apiError) {
	homes := []object{}
	for _, h := range c.homes {
		if id := q.Get("home_id"); !h.listed() || id != "" && id != h.ID {
			continue
		}
		if types := q.list("gateway_types"); types != nil && !h.hasType(types, q.at) {
			continue
		}
		homes = append(homes, h.topology(q))
	}
	return object{"homes": homes, "user": object{
		"id": userID, "email": "jane@example.com", "language": "en-GB", "locale": "de-DE",
		"unit_system": 0, "unit_wind": 0, "unit_pressure": 0, "feel_like_algorithm": 0,
	}}, nil
}

func (h *home) hasType(types []string, t time.Time) bool {
	return slices.ContainsFunc(h.devices(t), func(d *device) bool { return slices.Contains(types, d.Type) })
}

// devices returns all that the home API lists: stations and gateways, each
// followed by its modules.
func (h *home) devices(t time.Time) []*device {
	var list []*device
	for _, s := range slices.Concat(h.stations, h.gateways) {
		for _, d := range append([]*device{s}, s.children...) {
			if d.exists(t) && !d.has(Minimal) {
				list = append(list, d)
			}
		}
	}
	return list
}

func (h *home) topology(q query) object {
	t := q.at
	o := object{
		"id": h.ID, "altitude": h.Place.Altitude, "coordinates": h.Place.Location,
		"country": h.Place.Country, "timezone": h.Place.Zone,
	}
	if h.Name != "" {
		o["name"] = h.Name
	}
	if modules := slices.DeleteFunc(h.devices(t), func(d *device) bool { return !q.sees(d) }); len(modules) > 0 {
		list := make([]object, len(modules))
		for i, d := range modules {
			list[i] = d.topology(t)
		}
		o["modules"] = list
	}
	if len(h.rooms) == 0 {
		return o
	}
	rooms := make([]object, len(h.rooms))
	for i, r := range h.rooms {
		ids := []string{}
		for _, d := range r.children {
			ids = append(ids, d.ID)
		}
		rooms[i] = object{"id": r.ID, "name": r.Name, "type": "custom", "module_ids": ids}
	}
	o["rooms"], o["therm_mode"], o["temperature_control_mode"] = rooms, "schedule", "heating"
	o["therm_setpoint_default_duration"] = 180
	o["schedules"] = []object{{"id": h.ID, "name": "Default", "selected": true, "type": "therm", "away_temp": 12, "hg_temp": 7}}
	return o
}

func (d *device) topology(t time.Time) object {
	o := object{"id": d.ID, "type": d.Type, "setup_date": 1500000000 + int64(d.seed%100000000)}
	if d.Name != "" {
		o["name"] = d.Name
	}
	if d.parent != nil {
		o["bridge"] = d.parent.ID
	}
	if d.Room != "" {
		o["room_id"] = d.Room
	}
	var bridged []string
	for _, m := range d.children {
		if m.exists(t) {
			bridged = append(bridged, m.ID)
		}
	}
	if bridged != nil {
		o["modules_bridged"] = bridged
	}
	return o
}

// homestatus answers with the state of one home. A home without heating has
// none, and the modules and rooms of an offline gateway are missing.
func (c *Cloud) homestatus(q query) (any, *apiError) {
	if q.Get("home_id") == "" {
		return nil, &apiError{400, 10, "Missing home_id"}
	}
	h := c.homeByID(q.Get("home_id"))
	if h == nil || !h.listed() || len(h.gateways) == 0 {
		return nil, &apiError{400, 21, "Invalid home_id"}
	}
	if h.has(EmptyBody) {
		return object{}, nil
	}
	body := object{}
	state := object{"id": h.ID}
	var modules, rooms, errors []object
	types := q.list("device_types")
	for _, d := range h.devices(q.at) {
		if gateway := d.gateway(); d.heats() && gateway.offline(q.at) {
			if d == gateway {
				errors = append(errors, object{"code": 6, "id": d.ID})
			}
			continue
		}
		if d.has(NoStatus) || !q.sees(d) || types != nil && !slices.Contains(types, d.Type) {
			continue
		}
		modules = append(modules, d.homeStatus(q.at))
	}
	for _, r := range h.rooms {
		if r.hasClimate() && !r.gateway().offline(q.at) {
			rooms = append(rooms, r.roomStatus(q.at))
		}
	}
	if h.has(PhantomRoom) {
		rooms = append(rooms, object{"id": "0", "reachable": false, "therm_measured_temperature": 0, "therm_setpoint_temperature": 0, "therm_setpoint_mode": "off"})
	}
	if modules != nil {
		state["modules"] = modules
	}
	if rooms != nil {
		state["rooms"] = rooms
	}
	body["home"] = state
	if errors != nil {
		body["errors"] = errors
	}
	return body, nil
}

func (c *Cloud) homeByID(id string) *home {
	for _, h := range c.homes {
		if h.ID == id {
			return h
		}
	}
	return nil
}

func (d *device) gateway() *device {
	if d.parent != nil {
		return d.parent
	}
	return d
}

func (d *device) offline(t time.Time) bool {
	_, away := d.schedule.offline.at(t)
	return away
}

// homeStatus returns the device as the home API shows it.
func (d *device) homeStatus(t time.Time) object {
	if d.heats() {
		return d.heatingStatus(t)
	}
	return d.lowerCase(t)
}

// lowerCase returns a weather device with the home API's spelling.
func (d *device) lowerCase(t time.Time) object {
	k, held := d.newest(t)
	o := object{"id": d.ID, "type": d.Type, "firmware_revision": firmwares[d.Type]}
	if d.parent == nil {
		o["wifi_strength"], o["wifi_state"] = d.attenuation(45, 25, k), "high"
	} else {
		o["bridge"], o["reachable"], o["last_seen"] = d.parent.ID, d.reachable(t), d.lastSeen(k)
		o["rf_strength"], o["rf_state"] = d.attenuation(55, 30, k), "full"
		o["battery_level"], o["battery_state"] = d.batteryState(k)
	}
	if !held || !d.reachable(t) {
		return o
	}
	x := d.sample(k, 0)
	o["ts"] = x.t
	for _, s := range senses[d.Type] {
		if v, ok := d.read(s, x); ok {
			o[lowerNames[s]] = v
		}
	}
	if p, ok := o["pressure"].(float64); ok {
		o["absolute_pressure"] = round(d.home.place.absolute(p), pressure)
	}
	return o
}

var lowerNames = map[sensor]string{
	temperature: "temperature", humidity: "humidity", co2: "co2", sound: "noise", pressure: "pressure", rain: "rain",
	windStrength: "wind_strength", windAngle: "wind_angle", gustStrength: "wind_gust", gustAngle: "wind_gust_angle",
}

// special has the live fields of heating devices of special types.
var special = map[string]object{
	"OTH": {"wifi_strength": 51, "boiler_control": "onoff", "dhw_control": "none", "outdoor_temperature": 7.5, "boiler_error": []string{}},
	"BNS": {"wifi_strength": 48, "boiler_status": false, "cooler_status": false},
	"NXO": {"current_position": 40, "target_position": 40, "silent": false},
}

// heatingStatus returns a heating device; relays and the like have no
// "reachable".
func (d *device) heatingStatus(t time.Time) object {
	k, held := d.newest(t)
	o := object{"id": d.ID, "type": d.Type}
	if f, ok := firmwares[d.Type]; ok {
		o["firmware_revision"] = f
	}
	if d.parent != nil {
		o["bridge"] = d.parent.ID
	}
	maps.Copy(o, special[d.Type])
	if d.householdState(o, t) {
		return o
	}
	switch d.Type {
	case TypeRelay:
		o["rf_strength"], o["wifi_strength"] = d.attenuation(95, 20, k), d.attenuation(40, 25, k)
	case TypeThermostat, TypeValve, "OTM":
		if !d.has(NoReachable) {
			o["reachable"] = d.reachable(t)
		}
		o["rf_strength"] = d.attenuation(50, 30, k)
		o["battery_level"], o["battery_state"] = d.batteryState(k)
	}
	if !d.reachable(t) {
		return o
	}
	on := held && d.boiler(d.stamp(k, 0))
	switch d.Type {
	case TypeThermostat:
		o["boiler_status"], o["boiler_valve_comfort_boost"], o["anticipating"] = on, false, false
	case "OTM":
		o["boiler_status"], o["last_message"], o["last_seen"] = d.boiler(d.stamp(k, 0)), d.lastMessage(k), d.lastSeen(k)
	}
	return o
}

// batteryState returns the voltage in mV and Netatmo's rating.
func (d *device) batteryState(k int64) (millivolts int64, state string) {
	level, percent := d.battery(k)
	words := []string{"very_low", "low", "medium", "high", "full", "max"}
	return level, words[min(percent/17, 5)]
}

func (d *device) roomStatus(t time.Time) object {
	o := object{"id": d.ID}
	if d.specialRoom(o, t.Unix()) {
		return o
	}
	reachable := slices.ContainsFunc(d.children, func(m *device) bool { return m.exists(t) && m.reachable(t) })
	if !d.has(NoReachable) {
		o["reachable"] = reachable
	}
	k, held := d.newest(t)
	if !held || !reachable {
		return o
	}
	x := d.sample(k, 0)
	o["therm_measured_temperature"], _ = d.read(temperature, x)
	o["therm_setpoint_temperature"], _ = d.read(setpoint, x)
	_, mode := d.home.place.setpoint(d.seed, x.t)
	o["therm_setpoint_mode"] = mode
	o["therm_setpoint_start_time"], o["therm_setpoint_end_time"] = d.home.place.midnight(x.t), 0
	if d.has(EndTimeNull) {
		o["therm_setpoint_end_time"] = nil
	}
	o["anticipating"], o["open_window"] = false, d.has(OpenWindow)
	// A room with only a thermostat has no heating_power_request.
	if slices.ContainsFunc(d.children, func(m *device) bool { return m.Type == TypeValve }) {
		o["heating_power_request"] = d.powerRequest(x.t)
	}
	return o
}

func (q query) list(key string) []string {
	if q.Get(key) == "" {
		return nil
	}
	return strings.Split(q.Get(key), ",")
}
