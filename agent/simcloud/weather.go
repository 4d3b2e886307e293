package simcloud

import (
	"hash/fnv"
	"math"
	"time"
)

// Every value of a sensor is a pure function of a seed and a Unix second, so
// that a live answer and the history of the same sample agree to the decimal,
// in one process or in two. Slow changes are value noise: random numbers on a
// grid in time, joined smoothly.

const (
	hour = 3600
	day  = 24 * hour

	tick   = 0.101    // mm of rain per tip of the gauge's bucket
	shower = 3 * hour // a period in which it rains once at most
)

// place is a location; devices at one location have the same weather.
type place struct {
	seed     uint64
	altitude float64
	zone     *time.Location
}

func seedOf(s string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(s))
	return mix(h.Sum64(), 0, 0)
}

// mix is the finaliser of splitmix64 over a seed, a salt and a count.
func mix(seed uint64, salt byte, n int64) uint64 {
	x := seed + uint64(salt)*0xd1342543de82ef95 + uint64(n)*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// unit is random in [0, 1), jitter in [-1, 1).
func unit(seed uint64, salt byte, n int64) float64 {
	return float64(mix(seed, salt, n)>>11) / (1 << 53)
}
func jitter(seed uint64, salt byte, n int64) float64 { return 2*unit(seed, salt, n) - 1 }

// noise varies within [-1, 1]; period is the spacing of its grid in seconds.
func noise(seed uint64, salt byte, t int64, period float64) float64 {
	x := float64(t) / period
	i := math.Floor(x)
	a, b := jitter(seed, salt, int64(i)), jitter(seed, salt, int64(i)+1)
	return a + (b-a)*smooth(x-i)
}

func smooth(x float64) float64 { return x * x * (3 - 2*x) }

func clamp(x, low, high float64) float64 { return math.Min(math.Max(x, low), high) }

// bump is 1 between the hours from and to and 0 outside, with slopes width
// hours wide.
func bump(h, from, to, width float64) float64 {
	return smooth(clamp((h-from)/width+0.5, 0, 1)) * smooth(clamp((to-h)/width+0.5, 0, 1))
}

// clock gives the local hour of the day and whether people work on that day.
func (p *place) clock(t int64) (h float64, workday bool) {
	_, offset := time.Unix(t, 0).In(p.zone).Zone()
	local := t + int64(offset)
	weekday := (local/day + 4) % 7
	return float64(local%day) / hour, weekday != 0 && weekday != 6
}

// midnight is the start of the local day of t.
func (p *place) midnight(t int64) int64 {
	y, m, d := time.Unix(t, 0).In(p.zone).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, p.zone).Unix()
}

// season is 1 in the middle of July and -1 in the middle of January.
func season(t int64) float64 {
	return math.Cos(2 * math.Pi * (float64(t)/day - 197) / 365.2425)
}

// outdoor is the temperature of the air in °C.
func (p *place) outdoor(t int64) float64 {
	h, _ := p.clock(t)
	s := season(t)
	return 10.5 + 9*s - 0.005*p.altitude +
		(3.8+1.7*s)*math.Cos(2*math.Pi*(h-15)/24) +
		4.5*noise(p.seed, 1, t, 3.5*day) + 1.2*noise(p.seed, 2, t, 5*hour)
}

// pressure is reduced to sea level, in hPa.
func (p *place) pressure(t int64) float64 {
	return 1014 + 14*noise(p.seed, 3, t, 4.5*day) + 6*noise(p.seed, 4, t, 1.3*day) +
		0.5*math.Cos(4*math.Pi*(float64(t%day)/hour-10)/24)
}

// wetness is 0 in high pressure and 1 in a deep low.
func (p *place) wetness(t int64) float64 { return clamp((1021-p.pressure(t))/22, 0, 1) }

// fallen counts the tips of a rain gauge after from, up to and including to.
func (p *place) fallen(from, to int64) int64 {
	var n int64
	for b := from / shower; b <= to/shower; b++ {
		start, length, tips := p.rain(b)
		if tips == 0 {
			continue
		}
		until := func(t int64) int64 {
			return int64(tips * smooth(clamp(float64(t-start)/length, 0, 1)))
		}
		n += until(to) - until(from)
	}
	return n
}

// rain is the one shower of a period; tips is 0 if it stays dry.
func (p *place) rain(stretch int64) (start int64, length, tips float64) {
	begin := stretch * shower
	wet := p.wetness(begin)
	if unit(p.seed, 5, stretch) > 0.03+0.32*wet {
		return 0, 0, 0
	}
	length = 15*60 + unit(p.seed, 6, stretch)*2*hour
	start = begin + int64(unit(p.seed, 7, stretch)*(shower-length))
	u := unit(p.seed, 8, stretch)
	return start, length, math.Floor(2 + u*u*(20+60*wet))
}

// wind is the mean of the last five minutes in km/h, before rounding.
func (p *place) wind(t int64) float64 {
	h, _ := p.clock(t)
	return 7 + 9*p.wetness(t) + 2.5*math.Cos(2*math.Pi*(h-15)/24) +
		6*noise(p.seed, 9, t, 4*hour) + 3*noise(p.seed, 10, t, 0.5*hour)
}

// direction is where the wind comes from, mostly the west.
func (p *place) direction(t int64) float64 {
	return 245 + 95*noise(p.seed, 11, t, 20*hour) + 30*noise(p.seed, 12, t, 2*hour)
}

// absolute converts a pressure reduced to sea level into that at the place.
func (p *place) absolute(pressure float64) float64 {
	return pressure * math.Pow(1-2.25577e-5*p.altitude, 5.25588)
}

// presence is how much of the household is in the room, 0 to 1. Rooms with an
// even seed are bedrooms, the others living rooms; every room has its own
// hours.
func (p *place) presence(room uint64, t int64) float64 {
	h, workday := p.clock(t)
	h += 0.7 * jitter(room, 13, 0)
	switch {
	case room%2 == 0:
		return bump(h, 22.5, 31, 1.5) + bump(h, -2, 7, 1.5)
	case workday:
		return 0.6*bump(h, 6.5, 8, 1) + bump(h, 17, 23, 2.5)
	default:
		return 0.7*bump(h, 8, 23, 3) + 0.3*bump(h, 18, 23, 2)
	}
}

// indoor is the temperature of an ordinary room in °C.
func (p *place) indoor(room uint64, t int64) float64 {
	warmth := 20.6 + 1.2*jitter(room, 14, 0) + 0.9*p.presence(room, t) + 0.5*noise(room, 15, t, 7*hour)
	return math.Max(warmth, 17.5+0.33*p.outdoor(t))
}

// setpoint is the target temperature of a room and the mode of its heating.
func (p *place) setpoint(room uint64, t int64) (celsius float64, mode string) {
	h, workday := p.clock(t)
	comfort := 20 + math.Round(2*unit(room, 16, 0))/2
	switch {
	case h < 6 || h >= 22.5:
		return comfort - 3, "schedule"
	case workday && h >= 9 && h < 16:
		return comfort - 4, "away"
	case !workday && h >= 18:
		return comfort + 1, "manual"
	}
	return comfort, "schedule"
}

// heated is the temperature of a room with a thermostat: it follows the
// setpoint with a lag, and the weather while the heating is off.
func (p *place) heated(room uint64, t int64) float64 {
	var lagged float64
	for i := range int64(4) {
		c, _ := p.setpoint(room, t-i*40*60)
		lagged += c / 4
	}
	return math.Max(lagged-0.2+0.3*noise(room, 17, t, 2*hour), 16+0.33*p.outdoor(t))
}

// health is Netatmo's health index: the worst of its parts, 0 healthy to 4
// unhealthy. The limits are invented.
func health(temperature, humidity, co2, noise float64) float64 {
	worst := 0.0
	for _, x := range []float64{
		(co2 - 700) / 350,
		math.Abs(humidity-47)/9 - 1,
		math.Abs(temperature-21)/2 - 1,
		(noise - 50) / 8,
	} {
		worst = math.Max(worst, math.Ceil(x))
	}
	return math.Min(worst, 4)
}
