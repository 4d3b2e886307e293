package simcloud

import (
	"encoding/json"
	"maps"
	"math"
	"strconv"
	"strings"
	"time"
)

// Module describes a device or room to tests.
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

// Held returns the samples of a sensor that the cloud has now: those uploaded
// with a time from from to to, both included, ascending, without null. It is
// what getmeasure, or getroommeasure, answers with scale=max. For a meter, it returns
// the amounts of half hours, by the time of their end. It is nil for unknown devices
// and types.
func (c *Cloud) Held(moduleID, typ string, from, to time.Time) []Sample {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	d := c.devices[compact(moduleID)]
	if d == nil || !d.exists(now) {
		return nil
	}
	var list []Sample
	s, ok := d.sense(typ)
	if name := d.counter(); !ok && name != "" && strings.HasPrefix(typ, name) {
		return d.buckets(strings.TrimPrefix(typ, name), from, to, c.asOf(now))
	} else if !ok {
		return nil
	}
	first := from.Add(time.Second - 1).Unix() // rounded up
	for x := range d.held(first, to.Unix(), c.asOf(now)) {
		if v, ok := d.read(s, x); ok {
			list = append(list, Sample{time.Unix(x.t, 0), v})
		}
	}
	return list
}

// buckets returns a meter's amounts of a tariff, such as $1.
func (d *device) buckets(suffix string, from, to, asOf time.Time) (list []Sample) {
	asked := tariff(0)
	if suffix != "" {
		asked = tariff(suffix[1])
	}
	const length = 30 * time.Minute
	b := buckets{d: d, scale: "30min", realTime: true}
	for _, r := range b.amounts([]tariff{asked}, from.Add(-length).Unix(), to.Add(-length).Unix(), asOf, math.MaxInt) {
		if n, ok := r.values[0].(float64); ok {
			list = append(list, Sample{time.Unix(r.t, 0).Add(length), n})
		}
	}
	return list
}

// ValueAt returns the live value of a device in answers at the time t, and when
// it was measured. typ is a type of measurement or any key of the answer that
// has a number or a flag, such as "sum_rain_1", "battery_percent" or
// "therm_setpoint_temperature", in any case. It returns false if the answer had
// no value: no such key, null, unreachable, or not uploaded yet.
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

// liveKeys are the home API's names for types of measurement, if they differ.
var liveKeys = map[string]string{
	"temperature":    "therm_measured_temperature",
	"sp_temperature": "therm_setpoint_temperature",
}

// number reads a number or flag in any form in which Netatmo sends one.
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

// Requests returns the number of API requests so far, including failed ones, by
// endpoint, such as "getstationsdata".
func (c *Cloud) Requests() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.requests)
}
