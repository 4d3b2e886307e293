package netatmo

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// decoder turns devices into readings. A device that is not understood is put
// on the list rejected and costs nothing else.
type decoder struct {
	family   Family
	readings []Reading
	rejected []ItemError
	index    map[identity]int // where in readings

	outer, inner, dash object // reused
	scratch            Values // reused
}

// mostRejected bounds what an answer of nothing but nonsense costs.
const mostRejected = 1000

// reject takes an element that is not understood, or that Netatmo could not
// reach, off the answer.
func (d *decoder) reject(e ItemError) {
	if len(d.rejected) == mostRejected {
		return
	}
	e.ID = clean(e.ID)
	d.rejected = append(d.rejected, e)
}

const notAnObject = "is not a JSON object"

// nth is the place of the n-th element of a list.
func nth(element string, n int) string { return element + " " + strconv.Itoa(n) }

// device reads a station or home coach, the n-th of the answer, and the modules
// in it.
func (d *decoder) device(n int, raw []byte) {
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
		d.reject(ItemError{ID: id, Reason: fmt.Sprintf("has the unknown type %q", clean(wireType))})
		return
	}
	if k.family != d.family {
		return // another endpoint reports it
	}
	r.ModuleID, r.ModuleName, r.ModuleType = id, firstName(name, id), k.name
	if k.name == TypeHomeCoach { // the app's name of a home coach is there, often there alone (observed)
		r.ModuleName = firstName(name, text(o.get("station_name")), id)
	}
	r.Wire.Module = name
	if name == "" {
		r.Wire.Module = "id-" + text(o.get("_id"))
	}
	d.add(r, k, o)
}

// add completes r with what o says and takes it into the readings.
func (d *decoder) add(r Reading, k kind, o object) {
	v, dead := k.own.read(d.scratch[:0], o)
	if d.dash.read(o.get("dashboard_data")) {
		v, _ = k.dash.read(v, d.dash)
	}
	if reachable, ok := v.Get(Reachable); ok && reachable == 0 {
		v = v.keep(statusFields)
	} else if dead {
		v = v.keep(^powerFields)
	}
	d.scratch = v
	slices.SortFunc(v, func(a, b Value) int { return cmp.Compare(a.Field, b.Field) })
	r.Values = slices.Clone(v)
	r.Measured, r.Seen = r.Values.moment(MeasurementTime), r.Values.moment(LastSeen)
	d.take(r)
}

// take appends r to the readings. Of two with one identity it keeps the first,
// but prefers the user's own to a favourite's.
func (d *decoder) take(r Reading) {
	id := identity{r.StationID, r.ModuleID, r.ModuleType}
	if i, ok := d.index[id]; ok {
		if d.readings[i].Foreign && !r.Foreign {
			d.readings[i] = r
		}
		return
	}
	if d.index == nil {
		d.index = map[identity]int{}
	}
	d.index[id] = len(d.readings)
	d.readings = append(d.readings, r)
}

type identity struct{ station, module, kind string }

// read adds to v what the members of o say under the rules. It reports
// whether one of them is a value that only a dead module has.
func (rs rules) read(v Values, o object) (Values, bool) {
	dead := false
	for _, m := range o {
		rule, ok := rs[string(m.key)]
		if !ok {
			continue
		}
		switch n, is := rule.read(m.value); is {
		case said:
			v = v.set(rule.field, n)
		case lifeless:
			dead = true
		}
	}
	return v, dead
}

func (v Values) set(f Field, n float64) Values {
	for i := range v {
		if v[i].Field == f {
			v[i].Number = n
			return v
		}
	}
	return append(v, Value{f, n})
}

func (v Values) keep(f fields) Values {
	return slices.DeleteFunc(v, func(x Value) bool { return !f.has(x.Field) })
}

func (v Values) anyOf(f fields) bool {
	return slices.ContainsFunc(v, func(x Value) bool { return f.has(x.Field) })
}

// moment returns the time in field f, zero if there is none.
func (v Values) moment(f Field) time.Time {
	n, ok := v.Get(f)
	if !ok {
		return time.Time{}
	}
	return time.Unix(int64(n), 0).UTC()
}

// ahead is how far a time may lie after Netatmo's own clock.
const ahead = 10 * time.Minute

// absurd reports whether t is in the future of server. A zero server is unknown.
func absurd(t, server time.Time) bool { return !server.IsZero() && t.After(server.Add(ahead)) }

// settle completes r with what the envelope tells about times. One in the
// future stays in the values as Netatmo said it, but counts as the time of the
// answer: it must neither hide later measurements nor make this one fresh for
// longer. An energy answer is about now. Elsewhere a new module may have no
// time_utc (observed), so its last contact stands in; values without any time
// are dropped.
func (r *Reading) settle(e *envelope) {
	r.Answered = e.now()
	for _, t := range []*time.Time{&r.Measured, &r.Seen} {
		if absurd(*t, e.server) {
			*t = e.server
		}
	}
	switch {
	case r.Family == Energy && r.Values.anyOf(^statusFields):
		r.Measured = r.Answered
	case r.Measured.IsZero() && r.Values.anyOf(dashFields):
		r.Measured = r.Seen
		if r.Seen.IsZero() {
			r.Values = r.Values.keep(^dashFields)
		}
	}
}
