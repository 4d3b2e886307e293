package simcloud

import (
	"fmt"
	"time"
)

// Down switches the whole cloud off, the login included: every request is
// answered with a 503 and a page of HTML.
func (c *Cloud) Down(down bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = down
}

// Answer makes an endpoint, such as "getstationsdata", answer with exactly
// these bytes to those who may ask; nil ends it.
func (c *Cloud) Answer(endpoint string, body []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if body == nil {
		delete(c.answers, endpoint)
		return
	}
	c.answers[endpoint] = body
}

// Freeze stops the intake of data: answers are 200 with what was there, until
// it is switched off and everything measured meanwhile appears at once.
func (c *Cloud) Freeze(frozen bool) {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frozen.set(frozen, now)
}

// SetOffline takes a station, home coach or gateway off the network. It goes
// on measuring; what it measured appears the moment it is back. After 4 h, its
// modules after 1 h, it is no longer reachable (in proportion to the cadence);
// the home API says so of a gateway at once. It panics for an unknown id, as
// do the other methods that take one.
func (c *Cloud) SetOffline(stationID string, offline bool) {
	c.change(stationID, func(d *device, now time.Time) { d.schedule.offline.set(offline, now) })
}

// SetUnreachable takes a device out of radio range: no values, and those that
// were due meanwhile are lost.
func (c *Cloud) SetUnreachable(moduleID string, unreachable bool) {
	c.change(moduleID, func(d *device, now time.Time) { d.lost.set(unreachable, now) })
}

// RemoveModule takes a device out of the account, its history included.
func (c *Cloud) RemoveModule(moduleID string) {
	c.change(moduleID, func(d *device, now time.Time) { d.removed = now })
}

func (c *Cloud) change(id string, f func(*device, time.Time)) {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	d := c.devices[compact(id)]
	if d == nil {
		panic(fmt.Sprintf("simcloud: no device %q", id))
	}
	f(d, now)
}
