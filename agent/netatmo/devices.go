package netatmo

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"

	"netatmo-agent/agent/redact"
)

// decoder turns devices into readings. A device that it does not understand goes
// to rejected and affects no other.
type decoder struct {
	family   Family
	readings []Reading
	rejected []ItemError
	index    map[Key]int // where in readings
	more     bool        // than MostDevices

	outer, inner, dash object // reused
	scratch            Values // reused
	states             []State
}

// MostDevices is how many rooms and devices of an account are read: those of a
// thousand stations with six modules each. More would need more memory than the
// deployments in this repository allow.
const MostDevices = 7000

// ErrTooMany is what is rejected of an account with more than MostDevices.
var ErrTooMany = ItemError{ID: "the account", Reason: fmt.Sprintf("has more than %d rooms and devices, which is the most that this agent reads; the others are left out", MostDevices)}

// mostRejected limits the memory for an answer full of nonsense.
const mostRejected = 1000

// reject records an element that the decoder does not understand, or that
// Netatmo cannot reach.
func (d *decoder) reject(e ItemError) {
	if len(d.rejected) == mostRejected {
		return
	}
	e.ID = redact.Line(e.ID)
	d.rejected = append(d.rejected, e)
}

const notAnObject = "is not a JSON object"

// nth names the n-th element of a list.
func nth(element string, n int) string { return element + " " + strconv.Itoa(n) }

// device reads a station or home coach, the n-th of the answer, and the modules
// in it.
func (d *decoder) device(n int, raw []byte) {
	if d.full() {
		return
	}
	if !d.outer.read(raw) {
		d.reject(ItemError{Place: nth("device", n), Reason: notAnObject})
		return
	}
	o := d.outer
	name, home := text(o.get("station_name")), text(o.get("home_name"))
	id := ident(o.get("_id"))
	readOnly, _ := truth(o.get("read_only"))
	favorite, _ := truth(o.get("favorite"))
	base := Reading{
		Family:      d.family,
		HomeID:      ident(o.get("home_id")),
		HomeName:    firstName(home),
		StationID:   id,
		StationName: firstName(name, home, text(o.get("module_name")), id),
		Wire:        WireNames{Station: name, Home: home},
		Foreign:     readOnly || favorite,
	}
	if id == "" {
		d.reject(ItemError{Place: nth("device", n), Reason: "has no id"})
	} else {
		d.module(base, o)
	}
	i := 0
	for raw := range elements(o.get("modules")) {
		i++
		switch {
		case d.full():
			return
		case !d.inner.read(raw):
			d.reject(ItemError{ID: id, Place: nth("module", i), Reason: notAnObject})
		case ident(d.inner.get("_id")) == "":
			d.reject(ItemError{ID: id, Place: nth("module", i), Reason: "has no id"})
		default:
			d.module(base, d.inner)
		}
	}
}

// module adds the reading of o, a station itself or a module of it.
func (d *decoder) module(r Reading, o object) {
	id, name := ident(o.get("_id")), text(o.get("module_name"))
	wireType := text(o.get("type"))
	k, known := kinds[wireType]
	if !known {
		d.reject(ItemError{ID: id, Reason: fmt.Sprintf("has the unknown type %q", redact.Line(wireType))})
		return
	}
	if k.family != d.family {
		return // another endpoint reports it
	}
	r.ModuleID, r.ModuleName, r.ModuleType = id, firstName(name, id), k.name
	if k.name == TypeHomeCoach { // the name from the app is often only there, for home coaches (observed)
		r.ModuleName = firstName(name, text(o.get("station_name")), id)
	}
	r.Wire.Module = name
	if name == "" {
		r.Wire.Module = "id-" + text(o.get("_id"))
	}
	d.add(r, k, o)
}

// add completes r with the values in o and adds it to the readings.
func (d *decoder) add(r Reading, k kind, o object) {
	d.scratch, d.states = d.scratch[:0], nil
	dead := d.read(k.own, o)
	if d.dash.read(o.get("dashboard_data")) {
		d.read(k.dash, d.dash)
	}
	if dead {
		d.scratch = d.scratch.keep(needsNoContact)
	}
	slices.SortFunc(d.scratch, func(a, b Value) int { return cmp.Compare(a.Field, b.Field) })
	r.Values, r.States = slices.Clone(d.scratch), d.states
	if reachable, ok := r.Values.Get(Reachable); ok && reachable == 0 {
		r.withhold()
	}
	r.Measured, r.Seen = r.Values.moment(MeasurementTime), r.Values.moment(LastSeen)
	d.take(r)
}

// withhold removes everything that an unreachable module cannot know.
func (r *Reading) withhold() {
	r.Values, r.States = r.Values.keep(isStatus), nil
}

// full reports whether the decoder takes no more devices, and remembers that
// there are some.
func (d *decoder) full() bool {
	d.more = d.more || len(d.readings) >= MostDevices
	return d.more
}

// finished ends the answer.
func (d *decoder) finished() {
	if d.more {
		d.rejected = append(d.rejected, ErrTooMany)
	}
}

// take appends r to the readings. Of two readings with the same key it keeps
// the first, but prefers the user's own station to a favourite.
func (d *decoder) take(r Reading) {
	id := r.Key()
	if i, ok := d.index[id]; ok {
		if d.readings[i].Foreign && !r.Foreign {
			d.readings[i] = r
		}
		return
	}
	if d.index == nil {
		d.index = map[Key]int{}
	}
	d.index[id] = len(d.readings)
	d.readings = append(d.readings, r)
}

// read adds to the scratch the values in o that the rules know. It reports
// whether one of them is a value that only a dead module has.
func (d *decoder) read(rs rules, o object) (dead bool) {
	for _, m := range o {
		rule := rs[string(m.key)]
		if rule.read == nil {
			continue
		}
		switch n, is := rule.read(m.value); is {
		case said:
			if !rule.field.measurable(n) {
				continue
			}
			d.scratch = d.scratch.set(rule.field, n)
			if rule.field.isState() {
				d.states = append(d.states, State{rule.field, text(m.value)})
			}
		case lifeless:
			dead = true
		}
	}
	return dead
}

// ahead is how far a time may be ahead of Netatmo's own clock.
const ahead = 10 * time.Minute

// absurd reports whether t is in the future of server. A zero server is unknown.
func absurd(t, server time.Time) bool { return !server.IsZero() && t.After(server.Add(ahead)) }

// endless is the end of a setpoint that has none (observed).
const endless = 1<<31 - 1

// settle completes the times of r. A time in the future stays in the values as
// Netatmo sent it, but counts as the time of the answer: it must neither hide
// later measurements nor keep this one fresh for longer. An answer about a home
// describes the current state. A new weather module may have no time_utc
// (observed); then its last contact counts, and values without any time are
// dropped.
func (r *Reading) settle(e *envelope) {
	r.Answered = e.now()
	for _, t := range []*time.Time{&r.Measured, &r.Seen} {
		if absurd(*t, e.server) {
			*t = e.server
		}
	}
	if end, ok := r.Values.Get(SetpointEnd); ok && (end <= float64(r.Answered.Unix()) || end >= endless) {
		r.Values = r.Values.keep(func(f Field) bool { return f != SetpointEnd })
	}
	switch {
	case r.Family.InHomes() && (r.Values.anyOf(Sensor) || r.Values.anyOf(Radio)):
		r.Measured = r.Answered
	case r.Measured.IsZero() && r.Values.anyOf(Sensor):
		r.Measured = r.Seen
		if r.Seen.IsZero() {
			r.Values = r.Values.keep(isOfModule)
		}
	}
}
