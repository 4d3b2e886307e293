package netatmo

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"slices"
)

const (
	homesEndpoint  = "homesdata"
	statusEndpoint = "homestatus"
)

// Home is a home as homesdata describes it. HomeStatus returns values without
// names, so the names come from here.
type Home struct {
	ID   string
	Name string // empty if Netatmo has none

	mode    []byte // therm_mode
	rooms   map[string]part
	modules map[string]part
}

// part is a room or module of a home.
type part struct {
	name, kind string
	room       string   // id, of a module
	bridge     string   // id, of a module
	modules    []string // ids, of a room
}

// wants reports whether the client reports devices of the family.
func (c *Client) wants(f Family) bool {
	return f.InHomes() && (len(c.o.Families) == 0 || slices.Contains(c.o.Families, f))
}

// mostHomes is how many homes of an account are read. A thousand take two and a
// half hours at the usual budget of requests.
const mostHomes = 1000

// Homes returns the homes with a room or device of the client's families, or
// with a device of an unknown type. It makes one request of priority Live. It
// leaves out the homes after the first thousand, and those with which the account
// would have more than MostDevices, and logs that when it begins.
func (c *Client) Homes(ctx context.Context) ([]Home, error) {
	var homes []Home
	var devices, left int
	_, err := c.call(ctx, request{endpoint: homesEndpoint}, func(s *stream) error {
		homes, devices, left = nil, 0, 0
		return s.only("homes", func(_ int, raw []byte) {
			if left > 0 && len(homes) >= mostHomes {
				return
			}
			h := readHome(raw)
			if h.ID == "" || !h.useful(c.wants) {
				return
			}
			if size := len(h.rooms) + len(h.modules); len(homes) < mostHomes && devices+size <= MostDevices {
				homes, devices = append(homes, h), devices+size
			} else {
				left++
			}
		})
	})
	if err != nil {
		return nil, err
	}
	if many := left > 0; c.manyHomes.Swap(many) != many && many {
		c.o.Logger.Warn(fmt.Sprintf("the account has more than %d homes, or more than %d rooms and devices in homes, which is the most that this agent reads; the other homes are left out", mostHomes, MostDevices))
	}
	return homes, nil
}

func readHome(raw []byte) Home {
	var o object
	o.read(raw)
	h := Home{
		ID:      ident(o.get("id")),
		Name:    firstName(text(o.get("name"))),
		mode:    bytes.Clone(o.get("therm_mode")),
		rooms:   readParts(o.get("rooms")),
		modules: readParts(o.get("modules")),
	}
	for id, room := range h.rooms {
		for _, m := range room.modules {
			if p, known := h.modules[m]; known && p.room == "" {
				p.room = id
				h.modules[m] = p
			}
		}
	}
	return h
}

func (h *Home) useful(wants func(Family) bool) bool {
	if len(h.rooms) > 0 && wants(Energy) {
		return true
	}
	for _, m := range h.modules {
		if k, known := kinds[m.kind]; known && wants(k.family) || !known && m.kind != "" {
			return true
		}
	}
	return false
}

func readParts(raw []byte) map[string]part {
	parts := map[string]part{}
	var o object
	for element := range elements(raw) {
		if !o.read(element) {
			continue
		}
		p := part{name: text(o.get("name")), kind: text(o.get("type")), room: ident(o.get("room_id")), bridge: ident(o.get("bridge"))}
		for id := range elements(o.get("module_ids")) {
			p.modules = append(p.modules, ident(id))
		}
		parts[ident(o.get("id"))] = p
	}
	delete(parts, "")
	return parts
}

// HomeStatus returns the state of the rooms and devices of h that belong to the
// client's families, with one request. It ignores weather stations and home
// coaches, which this endpoint lists too but which have their own. An account
// may list homes whose state it may not read: those always fail with
// ClassInvalid.
func (c *Client) HomeStatus(ctx context.Context, h Home) (Answer, error) {
	r := request{endpoint: statusEndpoint, priority: Homes, subject: "home " + h.ID, form: url.Values{"home_id": {h.ID}}}
	var d *homeDecoder
	env, err := c.call(ctx, r, func(s *stream) error {
		d = newHomeDecoder(h, c.wants)
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
	d.finish(env.errors)
	d.finished()
	return env.answer(d.decoder), nil
}
