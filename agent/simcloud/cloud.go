package simcloud

import (
	"net/http"
	"strings"
	"sync"
	"time"

	"netatmo-agent/auth/authtest"
)

const (
	realMeasure = 5 * time.Minute   // how often real devices measure
	realUpload  = 606 * time.Second // how often real stations upload, as observed
)

// Options describe a cloud.
type Options struct {
	// The app and its user, see authtest.Options.
	ClientID, ClientSecret string
	RedirectURIs           []string
	TokenLife              time.Duration
	AutoConsent            bool
	NoRotation             bool
	GrantScopes            []string

	// Measure and Upload are the cadence; 0 is the real one, 5 min and 606 s.
	// Measure is raised to 2 s, because Netatmo's times are whole seconds, and
	// Upload to Measure. Delays shrink in proportion; days, hours and the
	// weather do not.
	Measure, Upload time.Duration

	Start    time.Time // of the oldest sample; zero: 60 days ago
	Scenario *Scenario // nil: Default()

	// The quota of the user; 0 is Netatmo's 50 and 500, negative is none. The
	// app's is four times as high.
	QuotaPer10s, QuotaPerHour int

	Now func() time.Time // nil: time.Now
}

// Cloud is a simulated Netatmo cloud: a handler for /oauth2/… and /api/…. It
// is safe for concurrent use.
type Cloud struct {
	auth   *authtest.Server
	now    func() time.Time
	upload time.Duration
	homes  []*home
	// devices by id without blanks, in the order of the scenario
	devices map[string]*device
	order   []*device

	mu       sync.Mutex // never held while waiting
	quota    quota
	faults   []Fault
	answers  map[string][]byte
	requests map[string]int
	frozen   spans
	down     bool
	turns    int // answers about devices that go Backwards
}

type home struct {
	Home
	place                              *place
	stations, coaches, gateways, rooms []*device
}

func (h *home) has(q Quirk) bool { return h.Quirks&q != 0 }

// New returns a cloud. Nobody is logged in yet; see Auth.
func New(o Options) *Cloud {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Measure == 0 {
		o.Measure = realMeasure
	}
	if o.Upload == 0 {
		o.Upload = realUpload
	}
	if o.Start.IsZero() {
		o.Start = o.Now().AddDate(0, 0, -60)
	}
	if o.Scenario == nil {
		o.Scenario = Default()
	}
	o.Measure = max(o.Measure, 2*time.Second)
	o.Upload = max(o.Upload, o.Measure)
	c := &Cloud{
		auth: authtest.New(authtest.Options{
			ClientID: o.ClientID, ClientSecret: o.ClientSecret, RedirectURIs: o.RedirectURIs,
			TokenLife: o.TokenLife, UserID: userID, AutoConsent: o.AutoConsent,
			NoRotation: o.NoRotation, GrantScopes: o.GrantScopes, Now: o.Now,
		}),
		now:      o.Now,
		upload:   o.Upload,
		devices:  make(map[string]*device),
		quota:    newQuota(o.QuotaPer10s, o.QuotaPerHour),
		answers:  make(map[string][]byte),
		requests: make(map[string]int),
	}
	for _, h := range o.Scenario.Homes {
		c.settle(h, o)
	}
	return c
}

// Auth returns the cloud's OAuth server, with its tokens, faults and
// statistics.
func (c *Cloud) Auth() *authtest.Server { return c.auth }

// settle creates a home and its devices.
func (c *Cloud) settle(from Home, o Options) {
	zone, err := time.LoadLocation(from.Place.Zone)
	if err != nil {
		zone = time.UTC
	}
	h := &home{Home: from, place: &place{seed: seedOf(from.ID), altitude: float64(from.Place.Altitude), zone: zone}}
	c.homes = append(c.homes, h)
	group := func(from Station) *device {
		top := c.device(from.Device, h, nil, o)
		for _, m := range from.Modules {
			top.children = append(top.children, c.device(m, h, top, o))
		}
		return top
	}
	for _, s := range from.Stations {
		h.stations = append(h.stations, group(s))
	}
	for _, d := range from.Coaches {
		h.coaches = append(h.coaches, c.device(d, h, nil, o))
	}
	for _, g := range from.Gateways {
		h.gateways = append(h.gateways, group(g))
	}
	for _, r := range from.Rooms {
		if room := c.furnish(r, h, o); room != nil {
			h.rooms = append(h.rooms, room)
		}
	}
}

// furnish creates a room from the heating devices that name it, nil if there
// are none.
func (c *Cloud) furnish(r Device, h *home, o Options) *device {
	r.Type = TypeRoom
	var room *device
	for _, g := range h.gateways {
		for _, m := range append([]*device{g}, g.children...) {
			if m.Room != r.ID {
				continue
			}
			if room == nil {
				room = c.device(r, h, g, o)
			}
			m.room = room
			room.children = append(room.children, m)
		}
	}
	return room
}

// device creates a device, or finds it, because a module can belong to two
// stations.
func (c *Cloud) device(from Device, h *home, parent *device, o Options) *device {
	id := compact(from.ID)
	if d, ok := c.devices[id]; ok {
		return d
	}
	d := &device{Device: from, id: id, seed: seedOf(id), home: h, parent: parent, start: o.Start.Unix()}
	if parent == nil {
		d.schedule = newSchedule(d.seed, o.Measure, o.Upload)
		if d.has(Offline) {
			d.schedule.offline.set(true, o.Start)
		}
	} else {
		d.schedule = parent.schedule
		d.offset = scaled(time.Duration((1+64*unit(d.seed, 22, 0))*float64(time.Second)), o.Measure)
	}
	if d.has(Unreachable) {
		d.lost.set(true, o.Start)
	}
	c.devices[id] = d
	c.order = append(c.order, d)
	return d
}

// ServeHTTP serves the login and the API.
func (c *Cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Date", c.now().UTC().Format(http.TimeFormat))
	endpoint, isAPI := strings.CutPrefix(r.URL.Path, "/api/")
	if c.isDown() {
		unavailable.write(w)
		return
	}
	if !isAPI {
		c.auth.ServeHTTP(w, r)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
	badForm := r.ParseForm() != nil // reads the body, so that a client that leaves is noticed
	fault := c.arrive(endpoint)
	if fault.replaces() {
		fault.serve(w, r)
		return
	}
	fault.spoil(w, r, c.reply(endpoint, r, badForm))
}

func (c *Cloud) isDown() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.down
}
