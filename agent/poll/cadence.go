package poll

import (
	"slices"
	"time"
)

// NominalCadence is the usual time between two uploads of a weather station, as
// observed. Other durations of the schedule are proportional to it, so that a
// simulated station can be faster.
const NominalCadence = 606 * time.Second

// cadence learns the time between two uploads from the measurement times in the
// answers.
type cadence struct {
	seen []time.Duration // the last accepted distances, oldest first
	sure bool            // there was no upload half way between two that were seen
	long time.Duration   // the last distance, if it was too long to be believed at once
}

const cadenceMemory = 5

// value returns the median, zero while unknown: stations also upload out of
// turn, when their button is pressed.
func (c *cadence) value() time.Duration {
	if len(c.seen) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(c.seen))
	return sorted[len(sorted)/2]
}

// observe takes the time between the newest two measurements. halfway means that
// an answer between them would have shown an upload at half that time, so that it
// is not a multiple of the true cadence. A long time usually means that the station
// was offline, so it counts only when it comes twice in a row.
func (c *cadence) observe(d time.Duration, halfway bool) {
	now := c.value()
	twice := near(d, c.long)
	c.long = 0
	switch {
	case d > NominalCadence*3/2:
	case now == 0, !c.sure && d < now*3/4, halfway && twice:
		c.seen, c.sure = []time.Duration{d}, halfway
	case near(d, now), d < now:
		c.seen = append(c.seen, d)
		c.sure = c.sure || halfway
		if len(c.seen) > cadenceMemory {
			c.seen = c.seen[1:]
		}
	case halfway:
		c.long = d
	}
}

func near(a, b time.Duration) bool { return (a - b).Abs() <= b/10 }

// scale returns d in proportion to the cadence.
func (c *cadence) scale(d time.Duration) time.Duration {
	if v := c.value(); v != 0 {
		return time.Duration(float64(d) * float64(v) / float64(NominalCadence))
	}
	return d
}
