package netatmo

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"netatmo-agent/agent/redact"
)

// homeDecoder turns the rooms and modules of a home into readings.
type homeDecoder struct {
	decoder
	home   Home
	wants  func(Family) bool
	errors []byte

	listed  map[string]Values // each module's status values in the answer
	bridges map[string]string // by module, if the answer names them
	away    map[string]bool   // what Netatmo cannot reach
	unknown map[string]int    // devices by types that are not in the table
}

func newHomeDecoder(h Home, wants func(Family) bool) *homeDecoder {
	return &homeDecoder{home: h, wants: wants,
		listed: map[string]Values{}, bridges: map[string]string{}, away: map[string]bool{}, unknown: map[string]int{}}
}

func (d *homeDecoder) member(s *stream, key string) error {
	var err error
	switch key {
	case "rooms":
		_, err = s.list(d.room)
	case "modules":
		_, err = s.list(d.device)
	default:
		err = s.skip()
	}
	return err
}

func (d *homeDecoder) room(n int, raw []byte) {
	if d.full(n) {
		return
	}
	id, ok := d.open("room", n, raw)
	if !ok || id == "0" || !d.wants(Energy) { // 0 is not a room (observed)
		return
	}
	k := roomKind
	k.own = roomRules[d.setpoint()]
	d.add(d.reading(id, d.home.rooms[id], k), k, d.outer)
}

// setpoint returns the prefix of the setpoint keys that the room uses, empty if
// there are none.
func (d *homeDecoder) setpoint() string {
	for _, key := range []string{"temperature", "mode"} {
		for _, prefix := range setpoints {
			if raw := d.outer.get(prefix + key); raw != nil && string(raw) != "null" {
				return prefix
			}
		}
	}
	if d.outer.get("therm_measured_temperature") != nil {
		return setpoints[0]
	}
	return ""
}

func (d *homeDecoder) device(n int, raw []byte) {
	if d.full(n) {
		return
	}
	id, ok := d.open("module", n, raw)
	if !ok {
		return
	}
	known := d.home.modules[id]
	d.bridges[id] = cmp.Or(ident(d.outer.get("bridge")), known.bridge)
	wireType := firstName(text(d.outer.get("type")), known.kind)
	k, isKind := kinds[wireType]
	if !isKind && wireType != "" {
		d.unknown[wireType]++
	}
	d.scratch, d.states = d.scratch[:0], nil
	d.read(deviceKeys, d.outer)
	d.listed[id] = slices.Clone(d.scratch.keep(isStatus))
	if d.wants(k.family) {
		r := d.reading(id, known, k)
		r.Meter, r.Bridge = d.meter(id, wireType)
		d.add(r, k, d.outer)
	}
}

// full reports whether the decoder takes no n-th element of a list, because of its
// readings or of what else it remembers.
func (d *homeDecoder) full(n int) bool {
	d.more = d.more || n > MostDevices
	return d.decoder.full()
}

func (d *homeDecoder) open(element string, n int, raw []byte) (id string, ok bool) {
	if !d.outer.read(raw) {
		d.reject(ItemError{Place: nth(element, n), Reason: notAnObject})
		return "", false
	}
	if id = ident(d.outer.get("id")); id == "" {
		d.reject(ItemError{Place: nth(element, n), Reason: "has no id"})
	}
	return id, id != ""
}

func (d *homeDecoder) reading(id string, known part, k kind) Reading {
	r := Reading{
		Family:     k.family,
		ModuleID:   id,
		ModuleName: firstName(known.name, id),
		ModuleType: k.name,
		HomeID:     d.home.ID,
		HomeName:   d.home.Name,
		RoomName:   firstName(d.home.rooms[known.room].name),
		Wire:       WireNames{Module: known.name, Home: d.home.Name},
	}
	if known.name == "" {
		r.Wire.Module = "id-" + id
	}
	return r
}

// finish completes the readings once the whole answer is read. beside has the
// errors outside the body.
func (d *homeDecoder) finish(beside []byte) {
	d.faults(d.errors)
	d.faults(beside)
	for i := range d.readings {
		d.inherit(&d.readings[i])
	}
	answered := len(d.readings) > 0
	d.markAway()
	if d.wants(Energy) && slices.ContainsFunc(d.readings, func(r Reading) bool { return r.Family == Energy }) {
		d.addHome()
	}
	for _, wireType := range slices.Sorted(maps.Keys(d.unknown)) {
		reason := fmt.Sprintf("this version does not know the type; devices left out: %d", d.unknown[wireType])
		d.reject(ItemError{ID: fmt.Sprintf("type %q", redact.Line(wireType)), Reason: reason})
	}
	if answered && !d.more {
		d.findAbsent()
	}
}

// parent returns what a module's connection depends on: the whole device for a
// part such as 00:11#2, else its bridge. It is empty if the module depends on
// nothing.
func (d *homeDecoder) parent(id string) string {
	if whole, _, isPart := strings.Cut(id, "#"); isPart {
		return whole
	}
	return d.bridge(id)
}

// bridge returns the gateway of a module, empty for a gateway.
func (d *homeDecoder) bridge(id string) string {
	bridge := cmp.Or(d.bridges[id], d.home.modules[id].bridge)
	if bridge == id { // it names itself (observed)
		return ""
	}
	return bridge
}

// mostBridges limits the way up from a module, which may be circular.
const mostBridges = 5

// inherit completes a module with status that it lacks itself: all of it from
// the device that it is a part of, or whether its bridge is reachable.
func (d *homeDecoder) inherit(r *Reading) {
	if r.ModuleType == TypeRoom {
		return
	}
	if whole := d.parent(r.ModuleID); strings.Contains(r.ModuleID, "#") {
		for _, v := range d.listed[whole] {
			if _, has := r.Values.Get(v.Field); !has {
				r.Values = r.Values.set(v.Field, v.Number)
			}
		}
	}
	for id, n := r.ModuleID, 0; id != "" && n < mostBridges; id, n = d.parent(id), n+1 {
		if reachable, ok := d.listed[id].Get(Reachable); ok {
			r.Values = r.Values.set(Reachable, reachable)
			break
		}
	}
	slices.SortFunc(r.Values, func(a, b Value) int { return cmp.Compare(a.Field, b.Field) })
	if reachable, ok := r.Values.Get(Reachable); ok && reachable == 0 {
		r.withhold()
	}
	r.Seen = r.Values.moment(LastSeen)
}

// isAway reports whether Netatmo cannot reach the module or what it depends on.
func (d *homeDecoder) isAway(id string) bool {
	for n := 0; id != "" && n < mostBridges; id, n = d.parent(id), n+1 {
		if d.away[id] {
			return true
		}
	}
	return false
}

// markAway adds readings for everything that Netatmo cannot reach: such
// modules, and the rooms that they serve, are missing from the answer.
func (d *homeDecoder) markAway() {
	if len(d.away) == 0 {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(d.home.modules)) {
		m := d.home.modules[id]
		if k := kinds[m.kind]; d.wants(k.family) && d.isAway(id) {
			r := d.reading(id, m, k)
			r.Meter, r.Bridge = d.meter(id, m.kind)
			d.unreachable(r)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(d.home.rooms)) {
		if room := d.home.rooms[id]; d.wants(Energy) && d.roomIsAway(id) {
			d.unreachable(d.reading(id, room, roomKind))
		}
	}
}

// roomIsAway reports whether the room has climate devices, and all of its
// modules are away.
func (d *homeDecoder) roomIsAway(room string) bool {
	climate := false
	for id, m := range d.home.modules {
		if m.room != room {
			continue
		}
		if k := kinds[m.kind]; k.family != Weather && k.family != HomeCoach && !d.isAway(id) {
			return false
		}
		switch kinds[m.kind].name {
		case TypeThermostat, TypeValve, TypeAirConditioner:
			climate = true
		}
	}
	return climate
}

func (d *homeDecoder) unreachable(r Reading) {
	d.take(r)
	known := &d.readings[d.index[r.Key()]]
	known.withhold()
	known.Values = known.Values.set(Reachable, 0)
	slices.SortFunc(known.Values, func(a, b Value) int { return cmp.Compare(a.Field, b.Field) })
}

// addHome adds the reading of the home itself.
func (d *homeDecoder) addHome() {
	d.outer = append(d.outer[:0], member{[]byte("therm_mode"), d.home.mode})
	if firstName(text(d.home.mode)) != "" {
		d.add(d.reading(d.home.ID, part{name: d.home.Name}, homeKind), homeKind, d.outer)
	}
}

// findAbsent rejects the devices that the home declares and the answer lacks.
func (d *homeDecoder) findAbsent() {
	for _, id := range slices.Sorted(maps.Keys(d.home.modules)) {
		m := d.home.modules[id]
		if _, listed := d.listed[id]; listed || !d.wants(kinds[m.kind].family) || d.isAway(id) {
			continue
		}
		d.reject(ItemError{ID: id, Absent: true,
			Reason: fmt.Sprintf("%q is a device of the home, but Netatmo reports nothing about it", firstName(m.name, m.kind))})
	}
}

// faultNames explains the codes of body.errors (observed). They are not those
// of Error.Code.
var faultNames = map[int]string{
	2:   "Netatmo had an internal fault",
	4:   "Netatmo does not know the device",
	6:   "Netatmo cannot reach the device; check its power and network",
	8:   "the battery is too low",
	14:  "the device is busy",
	19:  "the module is out of its relay's range",
	27:  "the device is blocked for a while",
	503: "the device is offline",
}

// faults reads a list of [{"code":…,"id":…}]. Devices of the home that it calls
// unreachable are away; it rejects all others.
func (d *homeDecoder) faults(list []byte) {
	var o object
	i := 0
	for raw := range elements(bytes.Clone(list)) {
		i++
		if !o.read(raw) {
			continue
		}
		id := ident(o.get("id"))
		n, _ := number(o.get("code"))
		code := int(n)
		known, declared := d.home.modules[id]
		family := kinds[known.kind].family
		offline := family == Security && (code == 27 || code == 503) // what Netatmo says of cameras (reported)
		switch {
		case declared && (code == 6 || code == 19 || offline):
			d.away[id] = true
		case declared && known.kind != "" && !d.wants(family):
		default:
			fault := ItemError{ID: id, Code: code, Reason: cmp.Or(faultNames[code], "Netatmo reports a fault")}
			if id == "" {
				fault.Place = nth("fault", i)
			}
			d.reject(fault)
		}
	}
}
