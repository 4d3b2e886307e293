package netatmo

import (
	"bytes"
	"cmp"
	"context"
	"net/url"
)

const (
	homesEndpoint  = "homesdata"
	statusEndpoint = "homestatus"
)

// Home is a home as homesdata describes it: HomeStatus gives values without
// names, so the names come from here.
type Home struct {
	ID   string
	Name string // empty where Netatmo has none

	rooms   map[string]part
	modules map[string]part
}

type part struct{ name, kind string }

// Homes returns the homes that HomeStatus may know something about: those with
// a room or an energy device. It makes one request of priority Live.
func (c *Client) Homes(ctx context.Context) ([]Home, error) {
	var homes []Home
	_, err := c.call(ctx, request{endpoint: homesEndpoint}, func(s *stream) error {
		homes = nil
		return s.only("homes", func(_ int, raw []byte) {
			if h, ok := readHome(raw); ok {
				homes = append(homes, h)
			}
		})
	})
	if err != nil {
		return nil, err
	}
	return homes, nil
}

func readHome(raw []byte) (Home, bool) {
	var o object
	o.read(raw)
	h := Home{
		ID:      ident(o.get("id")),
		Name:    firstName(text(o.get("name"))),
		rooms:   readParts(o.get("rooms")),
		modules: readParts(o.get("modules")),
	}
	useful := len(h.rooms) > 0
	for _, m := range h.modules {
		useful = useful || kinds[m.kind].family == Energy
	}
	return h, useful && h.ID != ""
}

func readParts(raw []byte) map[string]part {
	parts := map[string]part{}
	var o object
	for element := range elements(raw) {
		if o.read(element) {
			parts[ident(o.get("id"))] = part{text(o.get("name")), text(o.get("type"))}
		}
	}
	delete(parts, "")
	return parts
}

// HomeStatus returns the state of the rooms and energy devices of h, by one
// request of priority Live. Weather stations and home coaches, which this
// endpoint lists too, are left to their own endpoints. An account may see homes
// that it may not ask about: those fail with ClassInvalid, always.
func (c *Client) HomeStatus(ctx context.Context, h Home) (Answer, error) {
	r := request{endpoint: statusEndpoint, subject: "home " + h.ID, form: url.Values{"home_id": {h.ID}}}
	var d homeDecoder
	env, err := c.call(ctx, r, func(s *stream) error {
		d = homeDecoder{home: h, decoder: decoder{family: Energy}}
		return s.object(func(key string) error {
			switch key {
			case "home":
				return s.object(func(key string) error { return d.member(s, key) })
			case "errors":
				raw, err := s.value()
				d.errors = bytes.Clone(raw)
				return err
			}
			return s.skip()
		})
	})
	if err != nil {
		return Answer{}, err
	}
	d.faults(d.errors)
	d.faults(env.errors)
	return env.answer(d.decoder), nil
}

// homeDecoder turns the rooms and modules of a home into readings.
type homeDecoder struct {
	decoder
	home   Home
	errors []byte
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
	id, ok := d.open("room", n, raw)
	if !ok || id == "0" { // that one exists in no home (observed)
		return
	}
	r := d.reading(id, d.home.rooms[id].name, roomKind)
	if reachable, ok := truth(d.outer.get("reachable")); reachable || !ok {
		r.SetpointMode = firstName(text(d.outer.get("therm_setpoint_mode")))
	}
	d.add(r, roomKind, d.outer)
}

func (d *homeDecoder) device(n int, raw []byte) {
	id, ok := d.open("module", n, raw)
	if !ok {
		return
	}
	known := d.home.modules[id]
	k := kinds[firstName(text(d.outer.get("type")), known.kind)]
	if k.family != Energy {
		return
	}
	d.add(d.reading(id, known.name, k), k, d.outer)
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

func (d *homeDecoder) reading(id, name string, k kind) Reading {
	r := Reading{
		Family:     Energy,
		ModuleID:   id,
		ModuleName: firstName(name, id),
		ModuleType: k.name,
		HomeID:     d.home.ID,
		HomeName:   d.home.Name,
		Wire:       WireNames{Module: name, Home: d.home.Name},
	}
	if name == "" {
		r.Wire.Module = "id-" + id
	}
	return r
}

// faultNames explains the codes of body.errors (observed). They have nothing
// to do with those of Error.Code.
var faultNames = map[int]string{
	2:  "Netatmo failed inside",
	4:  "Netatmo does not know the device",
	6:  "Netatmo does not reach the device; see whether it has power and network",
	8:  "the battery is too low",
	14: "the device is busy",
	19: "the module is out of reach of its relay",
	27: "the device is banned for a while",
}

// faults takes in a list of [{"code":…,"id":…}]. A device of the home that it
// calls unreachable gets a reading that says so, and is not rejected.
func (d *homeDecoder) faults(list []byte) {
	var o object
	i := 0
	for raw := range elements(list) {
		i++
		if !o.read(raw) {
			continue
		}
		id := ident(o.get("id"))
		n, _ := number(o.get("code"))
		known := d.home.modules[id]
		k := kinds[known.kind]
		if known.kind != "" && k.family != Energy {
			continue // a camera, say
		}
		if known.kind != "" && (n == 6 || n == 19) {
			d.unreachable(d.reading(id, known.name, k))
			continue
		}
		fault := ItemError{ID: id, Code: int(n), Reason: cmp.Or(faultNames[int(n)], "Netatmo reports a fault")}
		if id == "" {
			fault.Place = nth("fault", i)
		}
		d.reject(fault)
	}
}

func (d *homeDecoder) unreachable(r Reading) {
	d.take(r)
	known := &d.readings[d.index[identity{r.StationID, r.ModuleID, r.ModuleType}]]
	known.Values = known.Values.keep(statusFields).set(Reachable, 0)
}
