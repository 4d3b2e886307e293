package poll

import (
	"slices"
	"time"
)

// NominalCadence is the usual distance of two uploads of a weather station, as
// observed. Other spans of the schedule are proportions of it, so that a
// simulated station may be faster.
const NominalCadence = 606 * time.Second

// cadence learns the distance of two uploads from the measurement times that
// the answers show.
type cadence struct {
	seen []time.Duration // the last accepted distances, oldest first
	sure bool            // an upload half way between two that were seen is out of the question
	long time.Duration   // the last distance, if it was too long to be believed at once
}

const cadenceMemory = 5

// value is the median of what was seen, zero while unknown. Netatmo's stations
// also upload out of turn, when somebody presses their button.
func (c *cadence) value() time.Duration {
	if len(c.seen) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(c.seen))
	return sorted[len(sorted)/2]
}

// observe takes the distance of the newest two measurements. halfway says that
// an answer between them would have shown an upload at half the distance, so
// that the distance is no multiple of the true one. A long distance mostly
// says that the station was away; it is believed when it comes twice in a row.
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

// scale is d in proportion to the cadence.
func (c *cadence) scale(d time.Duration) time.Duration {
	if v := c.value(); v != 0 {
		return time.Duration(float64(d) * float64(v) / float64(NominalCadence))
	}
	return d
}
