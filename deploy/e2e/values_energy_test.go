package e2e

import (
	"cmp"
	"maps"
	"slices"
	"testing"

	"netatmo-agent/agent/simcloud"
)

// The points that the agent must make from the state of a home, like
// oracle_test.go for weather: each key, its metric and its unit.
var (
	roomKeys = map[string][2]string{
		"therm_measured_temperature": {"netatmo.temperature", "Cel"},
		"therm_setpoint_temperature": {"netatmo.setpoint.temperature", "Cel"},
		"heating_power_request":      {"netatmo.heating.power_request", "%"},
		"humidity":                   {"netatmo.humidity", "%"},
		"open_window":                {"netatmo.window.open", ""},
		"anticipating":               {"netatmo.heating.anticipating", ""},
	}
	heatingKeys = map[string][2]string{
		"battery_level": {"netatmo.battery.voltage", "V"},
		"wifi_strength": {"netatmo.wifi.rssi", "dBm"},
		"rf_strength":   {"netatmo.radio.rssi", "dBm"},
		"boiler_status": {"netatmo.boiler.on", ""},
		"battery_state": {"netatmo.battery.state", ""},
		"boiler_error":  {"netatmo.boiler.error", ""},
		"cooler_status": {"netatmo.cooler.on", ""},

		"boiler_valve_comfort_boost": {"netatmo.boiler.boost", ""},
		"outdoor_temperature":        {"netatmo.boiler.outdoor_temperature", "Cel"},
	}
	heatingStatusKeys = map[string][2]string{
		"reachable":         {"netatmo.module.reachable", ""},
		"firmware_revision": {"netatmo.module.firmware", ""},
		"last_seen":         {"netatmo.module.last_seen", "s"},
	}
	setpointModes = []string{"schedule", "home", "away", "hg", "manual", "max", "off"}
	homeModes     = []string{"schedule", "away", "hg"}
	heatingTypes  = map[string]string{
		"NAPlug": "relay", "OTH": "relay", "NATherm1": "thermostat", "OTM": "thermostat", "BNS": "thermostat", "NRV": "valve",
	}
)

// Rooms, relays, thermostats and valves are exported with their names; what the
// home API says about weather stations, shutters and a room that no home has is
// not.
func TestEveryValueOfAHeatingArrives(t *testing.T) {
	t.Parallel()
	cloud := NewCloud(t, simcloud.Options{Scenario: heatedHome()})
	collector := NewCollector(t).Start()
	agent := NewAgent(t, cloud.Env().With(toCollector(collector, "grpc"), Env{"NETATMO_DEVICES": "weather,homecoach,energy"}))
	cloud.LogIn(agent, allScopes...)
	agent.Start()
	waitForExactly(t, collector, func() []Point {
		points := expectedOf(t, cloud, "getstationsdata", "gethomecoachsdata")
		homes, status := cloud.Served("homesdata"), cloud.Served("homestatus")
		if len(points) == 0 || len(homes) == 0 || len(status) == 0 {
			return nil
		}
		return append(points, expectedOfHome(decode(t, homes), decode(t, status))...)
	})
}

// heatedHome is the default account with odd heating devices.
func heatedHome() *simcloud.Scenario {
	s := simcloud.Default()
	h := &s.Homes[0]
	h.Quirks = simcloud.PhantomRoom
	relay := &h.Gateways[0]
	relay.Modules = append(relay.Modules,
		simcloud.Device{ID: "09:00:00:00:30:04", Type: simcloud.TypeValve, Room: "2746182003", Quirks: simcloud.Unreachable},
		simcloud.Device{ID: "09:00:00:00:30:05", Name: "Shy", Type: simcloud.TypeValve, Room: "2746182004", Quirks: simcloud.NoReachable | simcloud.BatteryLow},
		simcloud.Device{ID: "09:00:00:00:30:06", Name: "Shutter", Type: "NXO"},
		simcloud.Device{ID: "09:00:00:00:30:07", Name: "Never seen", Type: simcloud.TypeValve, Quirks: simcloud.NoStatus},
	)
	h.Gateways = append(h.Gateways,
		simcloud.Station{
			Device:  simcloud.Device{ID: "70:ee:50:00:31:01", Name: "OpenTherm", Type: "OTH"},
			Modules: []simcloud.Device{{ID: "11:00:00:00:31:02", Name: "Modulating", Type: "OTM", Room: "2746182001"}},
		},
		simcloud.Station{Device: simcloud.Device{ID: "70:ee:50:00:32:01", Name: "Smarther", Type: "BNS", Room: "2746182004"}},
	)
	h.Rooms = append(h.Rooms,
		simcloud.Device{ID: "2746182003", Name: "Cold"},
		simcloud.Device{ID: "2746182004", Name: "Aired", Quirks: simcloud.OpenWindow | simcloud.NoReachable | simcloud.EndTimeNull},
	)
	return s
}

// expectedOfHome lists the points for an answer of homestatus, with the names
// of homesdata.
func expectedOfHome(homes, status object) []Point {
	state := status["body"].(object)["home"].(object)
	base, names, rooms, mode := map[string]string{"home.id": text(state["id"])}, map[string]string{}, map[string]string{}, ""
	for _, h := range list(homes["body"].(object)["homes"]) {
		if h["id"] != state["id"] {
			continue
		}
		set(base, "home.name", text(h["name"]))
		for _, part := range append(list(h["rooms"]), list(h["modules"])...) {
			names[text(part["id"])] = text(part["name"])
			rooms[text(part["id"])] = text(part["room_id"])
		}
		mode = text(h["therm_mode"])
	}
	var points []Point
	states := func(metric, key, current string, all []string, attrs map[string]string) {
		for _, state := range all {
			withState := maps.Clone(attrs)
			withState[key] = state
			value := 0.0
			if state == current {
				value = 1
			}
			points = append(points, Point{Metric: metric, Type: "gauge", Attributes: withState, Value: value})
		}
	}
	add := func(o object, moduleType string, keys map[string][2]string) {
		attrs := maps.Clone(base)
		attrs["module.id"], attrs["module.type"] = text(o["id"]), moduleType
		attrs["module.name"] = cmp.Or(names[text(o["id"])], text(o["id"]))
		set(attrs, "room.name", names[rooms[text(o["id"])]])
		all := maps.Clone(heatingStatusKeys)
		if o["reachable"] != false {
			maps.Copy(all, keys)
			if mode := text(o["therm_setpoint_mode"]); mode != "" {
				states("netatmo.setpoint.mode", "setpoint.mode", mode, setpointModes, attrs)
			}
		}
		for key, metric := range all {
			if moduleType == "relay" && key == "rf_strength" {
				continue // not a link quality
			}
			if v, ok := heatingValue(key, o[key]); ok {
				points = append(points, Point{Metric: metric[0], Unit: metric[1], Type: "gauge", Attributes: attrs, Value: v})
			}
		}
	}
	for _, o := range list(state["rooms"]) {
		if text(o["id"]) != "0" {
			add(o, "room", roomKeys)
		}
	}
	for _, o := range list(state["modules"]) {
		if moduleType := heatingTypes[text(o["type"])]; moduleType != "" {
			add(o, moduleType, heatingKeys)
		}
	}
	attrs := maps.Clone(base)
	attrs["module.id"], attrs["module.type"], attrs["module.name"] = base["home.id"], "home", cmp.Or(base["home.name"], base["home.id"])
	states("netatmo.home.mode", "home.mode", mode, homeModes, attrs)
	return points
}

// heatingValue is valueOf for the keys of homestatus.
func heatingValue(key string, v any) (float64, bool) {
	n, ok := valueOf(key, v)
	switch key {
	case "battery_state":
		i := slices.Index([]string{"very_low", "low", "medium", "high", "full", "max"}, text(v))
		return float64(i), i >= 0
	case "boiler_error":
		faults, ok := v.([]any)
		if len(faults) > 0 {
			return 1, ok
		}
		return 0, ok
	case "wifi_strength", "rf_strength":
		return -n, ok
	case "battery_level":
		return n / 1000, ok
	}
	return n, ok
}
