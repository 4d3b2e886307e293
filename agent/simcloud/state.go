package simcloud

import (
	"fmt"
	"time"
)

// Down turns the whole cloud off, including the login: it answers every request
// with a 503 and an HTML page.
func (c *Cloud) Down(down bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = down
}

// Answer makes an endpoint, such as "getstationsdata", answer permitted
// requests with exactly these bytes; nil ends that.
func (c *Cloud) Answer(endpoint string, body []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if body == nil {
		delete(c.answers, endpoint)
		return
	}
	c.answers[endpoint] = body
}

// Freeze stops the intake of data: answers are 200 with the old data. After the
// end of the freeze, everything measured meanwhile appears at once.
func (c *Cloud) Freeze(frozen bool) {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frozen.set(frozen, now)
}

// SetOffline takes a station, home coach or gateway off the network. It
// continues to measure; its measurements appear when it is back. It counts as
// unreachable after 4 h, its modules after 1 h (in proportion to the cadence),
// a gateway in the home API at once. It panics for an unknown id, as do the
// other methods that take one.
func (c *Cloud) SetOffline(stationID string, offline bool) {
	c.change(stationID, func(d *device, now time.Time) { d.schedule.offline.set(offline, now) })
}

// SetUnreachable takes a device out of radio range: it has no values, and those
// that it measures meanwhile are lost.
func (c *Cloud) SetUnreachable(moduleID string, unreachable bool) {
	c.change(moduleID, func(d *device, now time.Time) { d.lost.set(unreachable, now) })
}

// RemoveModule removes a device and its history from the account.
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
