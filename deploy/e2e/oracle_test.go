package e2e

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// The points that the agent must make from an answer about weather stations and
// home coaches, specified a second time, as simply as possible, from the
// README: each key of the answer, its metric and its unit.
var (
	sensorKeys = map[string][2]string{
		"time_utc":         {"netatmo.measurement.time", "s"},
		"Temperature":      {"netatmo.temperature", "Cel"},
		"min_temp":         {"netatmo.temperature_min", "Cel"},
		"max_temp":         {"netatmo.temperature_max", "Cel"},
		"temp_trend":       {"netatmo.temperature_trend", ""},
		"Humidity":         {"netatmo.humidity", "%"},
		"CO2":              {"netatmo.co2", "ppm"},
		"Noise":            {"netatmo.noise", "dB"},
		"Pressure":         {"netatmo.pressure", "hPa"},
		"AbsolutePressure": {"netatmo.absolute_pressure", "hPa"},
		"pressure_trend":   {"netatmo.pressure_trend", ""},
		"Rain":             {"netatmo.rain.amount", "mm"},
		"sum_rain_1":       {"netatmo.rain.hour", "mm"},
		"sum_rain_24":      {"netatmo.rain.day", "mm"},
		"WindStrength":     {"netatmo.wind.speed", "km/h"},
		"WindAngle":        {"netatmo.wind.direction", "deg"},
		"GustStrength":     {"netatmo.gust.speed", "km/h"},
		"GustAngle":        {"netatmo.gust.direction", "deg"},
		"max_wind_str":     {"netatmo.wind.speed_max", "km/h"},
		"max_wind_angle":   {"netatmo.wind.direction_max", "deg"},
		"health_idx":       {"netatmo.health_index", ""},
	}
	radioKeys = map[string][2]string{
		"co2_calibrating": {"netatmo.co2_calibrating", ""},
		"battery_percent": {"netatmo.battery.charge", "%"},
		"battery_vp":      {"netatmo.battery.voltage", "V"},
		"wifi_status":     {"netatmo.wifi.rssi", "dBm"},
		"rf_status":       {"netatmo.radio.rssi", "dBm"},
	}
	statusKeys = map[string][2]string{
		"reachable":         {"netatmo.module.reachable", ""},
		"firmware":          {"netatmo.module.firmware", ""},
		"last_seen":         {"netatmo.module.last_seen", "s"},
		"last_status_store": {"netatmo.module.last_seen", "s"},
	}
	moduleTypes = map[string]string{
		"NAMain": "station", "NAModule1": "outdoor", "NAModule2": "wind", "NAModule3": "rain", "NAModule4": "indoor",
		"NHC": "home_coach",
	}
)

const staleAge = 20 * time.Minute

type object = map[string]any

// decode keeps numbers as they are written.
func decode(t testing.TB, answer []byte) object {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(answer))
	d.UseNumber()
	var o object
	if err := d.Decode(&o); err != nil {
		t.Fatalf("the cloud's answer: %v", err)
	}
	return o
}

// expectedOf lists the points for the latest answers of the endpoints; none
// before each has answered.
func expectedOf(t testing.TB, cloud *Cloud, endpoints ...string) []Point {
	t.Helper()
	var points []Point
	for _, endpoint := range endpoints {
		answer := cloud.Served(endpoint)
		if len(answer) == 0 {
			return nil
		}
		points = append(points, expected(t, answer)...)
	}
	return points
}

// expected lists the points for an answer, at the time of that answer.
func expected(t testing.TB, answer []byte) []Point {
	t.Helper()
	o := decode(t, answer)
	server := seconds(o["time_server"])
	var points []Point
	for _, d := range list(o["body"].(object)["devices"]) {
		base := map[string]string{}
		set(base, "home.id", text(d["home_id"]))
		set(base, "home.name", text(d["home_name"]))
		set(base, "station.id", id(d))
		set(base, "station.name", cmp.Or(text(d["station_name"]), text(d["home_name"]), text(d["module_name"]), id(d)))
		for _, m := range append([]object{d}, list(d["modules"])...) {
			attrs := maps.Clone(base)
			set(attrs, "module.id", id(m))
			set(attrs, "module.name", cmp.Or(text(m["module_name"]), id(m)))
			if m["type"] == "NHC" { // its station_name is the device's name
				set(attrs, "module.name", cmp.Or(text(m["module_name"]), text(m["station_name"]), id(m)))
			}
			set(attrs, "module.type", moduleTypes[text(m["type"])])
			points = append(points, ofModule(m, attrs, server)...)
		}
	}
	slices.SortFunc(points, func(a, b Point) int { return strings.Compare(a.Series(), b.Series()) })
	return points
}

func ofModule(m object, attrs map[string]string, server time.Time) []Point {
	dash, _ := m["dashboard_data"].(object)
	reachable := m["reachable"] != false
	measured := seconds(dash["time_utc"])
	seen := slices.MaxFunc([]time.Time{measured, seconds(m["last_seen"]), seconds(m["last_status_store"])}, time.Time.Compare)
	var points []Point
	add := func(from object, keys map[string][2]string) {
		for key, metric := range keys {
			if v, ok := valueOf(key, from[key]); ok {
				points = append(points, Point{Metric: metric[0], Unit: metric[1], Type: "gauge", Attributes: attrs, Value: v})
			}
		}
	}
	add(m, statusKeys)
	if reachable && server.Sub(seen) <= staleAge {
		add(m, radioKeys)
	}
	if reachable && server.Sub(measured) <= staleAge {
		if m["type"] == "NAModule2" { // a wind gauge has no temperature, whatever it sends
			dash = maps.Clone(dash)
			delete(dash, "min_temp")
			delete(dash, "max_temp")
		}
		add(dash, sensorKeys)
	}
	return points
}

// valueOf converts a value of the answer to the metric's; false if there is
// none.
func valueOf(key string, v any) (float64, bool) {
	switch v := v.(type) {
	case bool:
		return map[bool]float64{false: 0, true: 1}[v], true
	case string:
		n, ok := map[string]float64{"up": 1, "stable": 0, "down": -1}[v]
		return n, ok
	case json.Number:
		n, err := v.Float64()
		if err != nil {
			return 0, false
		}
		switch key {
		case "wifi_status", "rf_status":
			return -n, n != 255
		case "battery_vp":
			return n / 1000, n != 65535
		case "firmware":
			return n, n != 255
		case "last_seen", "last_status_store":
			return n, n != 0
		case "WindAngle", "GustAngle", "max_wind_angle":
			return n, n >= 0
		}
		return n, true
	}
	return 0, false
}

func set(m map[string]string, key, value string) {
	if value != "" {
		m[key] = value
	}
}

func id(o object) string { return strings.ReplaceAll(text(o["_id"]), " ", "") }

func text(v any) string {
	s, _ := v.(string)
	return s
}

func list(v any) []object {
	var objects []object
	elements, _ := v.([]any)
	for _, e := range elements {
		objects = append(objects, e.(object))
	}
	return objects
}

func seconds(v any) time.Time {
	n, _ := v.(json.Number)
	s, err := n.Int64()
	if err != nil {
		return time.Time{}
	}
	return time.Unix(s, 0)
}

// rebase shifts every time in an answer so that it was given at now, and
// returns the shift in seconds.
func rebase(t testing.TB, answer []byte, now time.Time) ([]byte, int64) {
	t.Helper()
	o := decode(t, answer)
	shift := now.Unix() - seconds(o["time_server"]).Unix()
	moveTimes(o, shift)
	moved, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return moved, shift
}

func moveTimes(o object, shift int64) {
	for key, v := range o {
		switch v := v.(type) {
		case object:
			moveTimes(v, shift)
		case []any:
			for _, e := range v {
				if e, ok := e.(object); ok {
					moveTimes(e, shift)
				}
			}
		case json.Number:
			isTime := key == "time_server" || key == "time_utc" || strings.HasPrefix(key, "last_") || strings.HasPrefix(key, "date_")
			if n, err := v.Int64(); isTime && err == nil && n != 0 {
				o[key] = n + shift
			}
		}
	}
}
