package simcloud

import (
	"encoding/json"
	"maps"
	"strconv"
	"strings"
	"time"
)

// Module is a device or room for tests to judge by.
type Module struct {
	ID, Name, Type   string // ID without blanks; Type as on the wire, or TypeRoom
	StationID        string // of the station or gateway; its own for those themselves
	HomeID, HomeName string
	Types            []string // of measurement, with history
	Foreign          bool     // a guest's or favourite's
}

// Sample is one value that a sensor measured.
type Sample struct {
	Time  time.Time // whole seconds
	Value float64
}

// Modules lists every device and room that was not removed.
func (c *Cloud) Modules() []Module {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []Module
	for _, d := range c.order {
		if !d.exists(now) {
			continue
		}
		m := Module{
			ID: d.id, Name: d.Name, Type: d.Type, StationID: d.gateway().id,
			HomeID: d.home.ID, HomeName: d.home.Name, Foreign: d.home.has(Guest | Favorite),
		}
		for _, s := range senses[d.Type] {
			m.Types = append(m.Types, string(s))
		}
		list = append(list, m)
	}
	return list
}

// Held is what the cloud holds now of a sensor: the samples that were uploaded
// with a stamp from from to to, both included, ascending, without those that
// said nothing. It is what getmeasure, or getroommeasure, answers with
// scale=max. It is nil for devices and types that are not known.
func (c *Cloud) Held(moduleID, typ string, from, to time.Time) []Sample {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	d := c.devices[compact(moduleID)]
	if d == nil || !d.exists(now) {
		return nil
	}
	s, ok := d.sense(typ)
	if !ok {
		return nil
	}
	var list []Sample
	first := from.Add(time.Second - 1).Unix() // rounded up
	for x := range d.held(first, to.Unix(), c.asOf(now)) {
		if v, ok := d.read(s, x); ok {
			list = append(list, Sample{time.Unix(x.t, 0), v})
		}
	}
	return list
}

// ValueAt is the live value that answers at the time t had for a device, and
// when it was measured. typ is a type of measurement or any key of the answer
// that has a number or a flag, such as "sum_rain_1", "battery_percent" or
// "therm_setpoint_temperature"; case does not matter. It is false where the
// answer had none: no such key, null, unreachable, not there yet.
func (c *Cloud) ValueAt(moduleID, typ string, t time.Time) (float64, time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := c.devices[compact(moduleID)]
	t = c.asOf(t)
	if d == nil || !d.exists(t) {
		return 0, time.Time{}, false
	}
	if key, ok := liveKeys[strings.ToLower(typ)]; ok && (d.heats() || d.Type == TypeRoom) {
		typ = key
	}
	answer := d.alone(t)
	dash, _ := answer["dashboard_data"].(object)
	for _, o := range []object{dash, answer} {
		for key, v := range o {
			if n, ok := number(v); ok && strings.EqualFold(key, typ) {
				k, _ := d.newest(t)
				return n, time.Unix(d.stamp(k, 0), 0), true
			}
		}
	}
	return 0, time.Time{}, false
}

// liveKeys are the types of measurement that the home API calls otherwise.
var liveKeys = map[string]string{
	"temperature":    "therm_measured_temperature",
	"sp_temperature": "therm_setpoint_temperature",
}

// number understands every way in which numbers and flags are sent.
func number(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case int:
		return float64(v), true
	case int64:
		return float64(v), true
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	case string:
		n, err := strconv.ParseFloat(v, 64)
		return n, err == nil
	case json.Number:
		n, err := v.Float64()
		return n, err == nil
	}
	return 0, false
}

// Requests counts the API requests so far, also those that failed, by
// endpoint, such as "getstationsdata".
func (c *Cloud) Requests() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.requests)
}
