package simcloud

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// object is a JSON object as it is sent. It is a map because its keys depend on
// a device's state and quirks.
type object = map[string]any

// dataTypes is the data_type that is sent, which is not always what has
// history.
var dataTypes = map[string][]string{
	TypeStation:   {"Temperature", "CO2", "Humidity", "Noise", "Pressure"},
	TypeHomeCoach: {"Temperature", "CO2", "Humidity", "Noise", "Pressure", "health_idx"},
	TypeOutdoor:   {"Temperature", "Humidity"},
	TypeIndoor:    {"Temperature", "CO2", "Humidity"},
	TypeWind:      {"Wind"},
	TypeRain:      {"Rain"},
}

var firmwares = map[string]int{
	TypeStation: 204, TypeHomeCoach: 59, TypeOutdoor: 53, TypeIndoor: 52, TypeWind: 27, TypeRain: 14,
	TypeRelay: 236, TypeThermostat: 81, TypeValve: 102,
}

// getstationsdata answers with all weather stations of the account.
func (c *Cloud) getstationsdata(q query) (any, *apiError) {
	favorites, err := q.flag("get_favorites", false)
	if err != nil {
		return nil, err
	}
	devices := []object{}
	for _, h := range c.homes {
		if h.has(Favorite) && !favorites {
			continue
		}
		for _, d := range h.stations {
			if q.wants(d) {
				devices = append(devices, d.served(c.lookedAt(d, q.at)))
			}
		}
	}
	return c.deviceList(q, devices)
}

// gethomecoachsdata answers with all home coaches of the account.
func (c *Cloud) gethomecoachsdata(q query) (any, *apiError) {
	devices := []object{}
	for _, h := range c.homes {
		for _, d := range h.coaches {
			if q.wants(d) {
				devices = append(devices, d.served(c.lookedAt(d, q.at)))
			}
		}
	}
	return c.deviceList(q, devices)
}

func (c *Cloud) deviceList(q query, devices []object) (any, *apiError) {
	if len(devices) == 0 && q.Get("device_id") != "" {
		return nil, &apiError{404, 9, "Device not found"}
	}
	return object{"devices": devices, "user": object{
		"mail": "jane@example.com",
		"administrative": object{
			"lang": "en-GB", "reg_locale": "de-DE", "country": "DE",
			"unit": 0, "windunit": 0, "pressureunit": 0, "feel_like_algo": 0,
		},
	}}, nil
}

// wants reports whether the device exists and the request asks for it.
func (q query) wants(d *device) bool {
	id := q.Get("device_id")
	return d.exists(q.at) && (id == "" || compact(id) == d.id)
}

// lookedAt returns the time for which the device is shown: now or, in every
// second answer about a device that goes Backwards, two uploads ago.
func (c *Cloud) lookedAt(d *device, t time.Time) time.Time {
	if d.has(Backwards) {
		if c.turns++; c.turns%2 == 0 {
			return t.Add(-2 * d.schedule.period)
		}
	}
	return t
}

// served returns the device as its endpoint shows it at the time t.
func (d *device) served(t time.Time) object {
	o := d.alone(t)
	if d.Type == TypeStation && !d.has(NoModulesKey|Minimal) {
		o["modules"] = d.modulesAt(t)
	}
	return o
}

// alone returns the same without the modules of a station.
func (d *device) alone(t time.Time) object {
	switch {
	case d.Type == TypeRoom:
		return d.roomStatus(t)
	case d.heats():
		return d.heatingStatus(t)
	case d.home.has(Favorite):
		return d.favorite(t)
	case d.has(Minimal):
		return object{"_id": d.ID, "type": d.Type, "data_type": dataTypes[d.Type], "module_name": d.Name}
	case d.parent != nil:
		return d.weatherModule(t)
	}
	return d.weatherStation(t)
}

// weatherStation returns a station or a home coach.
func (d *device) weatherStation(t time.Time) object {
	k, _ := d.newest(t)
	o := d.common(t)
	o["date_setup"] = o["last_setup"]
	o["last_status_store"] = d.schedule.shown(k).Unix()
	o["wifi_status"] = d.attenuation(45, 25, k)
	o["co2_calibrating"] = d.has(Calibrating)
	o["place"] = d.home.placeObject(d.Type == TypeStation)
	if d.seed%4 != 0 { // the others were never upgraded
		o["last_upgrade"] = o["last_setup"]
	}
	if d.home.has(Guest) || d.has(ReadOnly) {
		o["read_only"] = true
	}
	if d.Type == TypeHomeCoach {
		o["station_name"] = d.Name
		return o
	}
	if !d.has(NoStationName) {
		o["station_name"] = d.stationName()
	}
	if !d.has(NoHome) {
		o["home_id"], o["home_name"] = d.home.ID, d.home.Name
	}
	return o
}

func (d *device) weatherModule(t time.Time) object {
	k, _ := d.newest(t)
	o := d.common(t)
	level, percent := d.battery(k)
	o["rf_status"] = d.attenuation(55, 30, k)
	o["battery_vp"], o["battery_percent"] = level, percent
	o["last_message"], o["last_seen"] = d.lastMessage(k), d.lastSeen(k)
	if d.has(Dead) {
		o["firmware"], o["rf_status"], o["battery_vp"], o["battery_percent"] = 255, 255, 65535, 100
		o["last_message"], o["last_seen"] = 0, 0
	}
	return o
}

// favorite returns the few keys that Netatmo shows of another user's station.
func (d *device) favorite(t time.Time) object {
	k, _ := d.newest(t)
	o := object{"_id": d.ID, "type": d.Type, "reachable": d.reachable(t), "data_type": dataTypes[d.Type]}
	dash := d.dashboard(t)
	if d.parent == nil {
		o["station_name"], o["last_status_store"] = d.stationName(), d.schedule.shown(k).Unix()
		o["favorite"], o["read_only"] = true, true
		o["data_type"], o["place"] = []string{"Pressure"}, d.home.placeObject(true)
		for key := range dash {
			if !slices.Contains([]string{"time_utc", "Pressure", "AbsolutePressure", "pressure_trend"}, key) {
				delete(dash, key)
			}
		}
	}
	if dash != nil {
		o["dashboard_data"] = dash
	}
	return o
}

// modulesAt returns the modules of a station.
func (d *device) modulesAt(t time.Time) []object {
	modules := []object{}
	for _, m := range d.children {
		if m.exists(t) {
			modules = append(modules, m.served(t))
		}
	}
	return modules
}

// common returns what stations, modules and home coaches have in common.
func (d *device) common(t time.Time) object {
	o := object{
		"_id": d.ID, "type": d.Type, "reachable": d.reachable(t), "firmware": firmwares[d.Type],
		"data_type": dataTypes[d.Type], "last_setup": 1500000000 + int64(d.seed%100000000),
	}
	if d.Name != "" {
		o["module_name"] = d.Name
	}
	if dash := d.dashboard(t); dash != nil {
		o["dashboard_data"] = dash
	}
	return o
}

// dashboard returns dashboard_data as of t, nil if there is none.
func (d *device) dashboard(t time.Time) object {
	k, held := d.newest(t)
	if !held || !d.reachable(t) {
		return nil
	}
	x := d.sample(k, 0)
	o := object{"time_utc": x.t}
	for _, s := range senses[d.Type] {
		if v, ok := d.read(s, x); ok {
			o[string(s)] = v
		} else if d.has(Gaps) {
			o[string(s)] = nil
		}
	}
	switch d.Type {
	case TypeRain:
		p := d.home.place
		o["sum_rain_1"] = d.millimetres(p.fallen(x.t-hour, x.t))
		o["sum_rain_24"] = d.millimetres(p.fallen(p.midnight(x.t), x.t))
	case TypeWind:
		e := d.extreme(windStrength, k, t)
		o["max_wind_str"], o["max_wind_angle"], o["date_max_wind_str"] = e.high, e.angle, e.highAt
	default:
		e := d.extreme(temperature, k, t)
		o["min_temp"], o["max_temp"] = e.low, e.high
		o["date_min_temp"], o["date_max_temp"] = e.lowAt, e.highAt
		d.derive(o, x)
	}
	if d.has(NoTimeUTC) {
		delete(o, "time_utc")
	}
	if d.has(MixedNumbers) {
		mixNumbers(o)
	}
	if d.has(Nonsense) {
		o["Temperature"], o["max_temp"], o["CO2"], o["Humidity"] = 1e308, -1e12, json.Number("1e400"), "NaN"
	}
	return o
}

// derive adds values that follow from the measurements: trends, the pressure at
// the station, the health index.
func (d *device) derive(o object, x sample) {
	change := func(s sensor, threshold float64) string {
		now, _ := d.read(s, x)
		before, _ := d.read(s, sample{x.t - 12*hour, x.step})
		return trend(now, before, threshold)
	}
	if _, has := d.sense(string(pressure)); has {
		p, _ := d.read(pressure, x)
		o["AbsolutePressure"] = round(d.home.place.absolute(p), pressure)
	}
	switch d.Type {
	case TypeHomeCoach:
		celsius, _ := d.read(temperature, x)
		percent, _ := d.read(humidity, x)
		ppm, _ := d.read(co2, x)
		decibel, _ := d.read(sound, x)
		o["health_idx"] = health(celsius, percent, ppm, decibel)
	case TypeStation:
		o["pressure_trend"] = change(pressure, 1)
		fallthrough
	default:
		o["temp_trend"] = change(temperature, 0.4)
	}
}

// mixNumbers writes the numbers in the other observed ways.
func mixNumbers(o object) {
	for key, v := range o {
		n, ok := v.(float64)
		if !ok {
			continue
		}
		switch key {
		case "Temperature", "Humidity", "WindStrength":
			o[key] = strconv.FormatFloat(n, 'f', -1, 64)
		case "CO2", "min_temp", "Rain":
			o[key] = json.Number(fmt.Sprintf("%.3f", n))
		case "Pressure", "max_temp":
			o[key] = json.Number(strconv.FormatFloat(n, 'e', -1, 64))
		case "Noise":
			o[key] = nil
		}
	}
}

func (d *device) stationName() string {
	if d.Name == "" {
		return d.home.Name
	}
	return fmt.Sprintf("%s (%s)", d.home.Name, d.Name)
}

// attenuation returns the loss of a radio signal in dB, as in rf_status and
// wifi_status.
func (d *device) attenuation(low, width uint64, k int64) int64 {
	return int64(low+d.seed%width) + int64(2*jitter(d.seed, 50, k))
}

// lastMessage is when a module's message reached the cloud. lastSeen is when
// the module was last in contact with its station: the earlier or the later of
// the two ends.
func (d *device) lastMessage(k int64) int64 {
	return d.schedule.shown(k).Add(-d.schedule.lag / 2).Unix()
}

func (d *device) lastSeen(k int64) int64 {
	if d.seed%2 == 0 {
		return d.lastMessage(k)
	}
	return d.stamp(k, 0)
}

// batteryRange is the voltage of an empty and of a full battery in mV.
var batteryRange = map[string][2]float64{
	TypeOutdoor: {3600, 6000}, TypeRain: {3600, 6000}, TypeIndoor: {4200, 6000}, TypeWind: {3950, 6000},
	TypeThermostat: {3000, 4500}, TypeValve: {2200, 3200}, "NACamDoorTag": {4300, 5500}, "NIS": {5300, 6200},
}

// battery runs down within about a year and is then replaced.
func (d *device) battery(k int64) (millivolts, percent int64) {
	const life = 400 * day
	age := (d.stamp(k, 0) + int64(d.seed%life)) % life
	left := 1 - 0.9*float64(age)/life
	if d.has(BatteryLow) {
		left = 0.02
	}
	r, ok := batteryRange[d.Type]
	if !ok {
		r = batteryRange[TypeThermostat]
	}
	return int64(r[0] + left*(r[1]-r[0])), int64(left * 100)
}

func (h *home) placeObject(altitude bool) object {
	p := h.Place
	o := object{"city": p.City, "country": p.Country, "timezone": p.Zone, "location": p.Location}
	if altitude && p.Altitude != 0 {
		o["altitude"] = p.Altitude
	}
	return o
}

func (d *device) heats() bool {
	return slices.Contains(d.home.gateways, d) || d.parent != nil && slices.Contains(d.home.gateways, d.parent)
}
