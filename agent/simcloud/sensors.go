package simcloud

import (
	"math"
	"strings"
)

// sensor is a type of measurement by its name in getmeasure and dashboard_data.
type sensor string

const (
	temperature  sensor = "Temperature" // °C
	humidity     sensor = "Humidity"    // %
	co2          sensor = "CO2"         // ppm
	sound        sensor = "Noise"       // dB
	pressure     sensor = "Pressure"    // hPa at sea level
	rain         sensor = "Rain"        // mm since the sample before
	windStrength sensor = "WindStrength"
	windAngle    sensor = "WindAngle"
	gustStrength sensor = "GustStrength"
	gustAngle    sensor = "GustAngle"
	setpoint     sensor = "Sp_Temperature" // °C
	boilerOn     sensor = "BoilerOn"       // seconds since the sample before
	boilerOff    sensor = "BoilerOff"
)

// The types of devices, as Netatmo sends them; it sends none for a room.
const (
	TypeStation    = "NAMain"
	TypeOutdoor    = "NAModule1"
	TypeWind       = "NAModule2"
	TypeRain       = "NAModule3"
	TypeIndoor     = "NAModule4"
	TypeHomeCoach  = "NHC"
	TypeRelay      = "NAPlug"
	TypeThermostat = "NATherm1"
	TypeValve      = "NRV"
	TypeRoom       = "room"
)

// senses are the types of measurement with history by type of device.
var senses = map[string][]sensor{
	TypeStation:    {temperature, co2, humidity, pressure, sound},
	TypeHomeCoach:  {temperature, co2, humidity, pressure, sound},
	TypeOutdoor:    {temperature, humidity},
	TypeIndoor:     {temperature, co2, humidity},
	TypeWind:       {windStrength, windAngle, gustStrength, gustAngle},
	TypeRain:       {rain},
	TypeThermostat: {temperature, setpoint, boilerOn, boilerOff},
	TypeRoom:       {temperature, setpoint},
}

// sense finds a type of measurement of the device, in any case.
func (d *device) sense(name string) (sensor, bool) {
	for _, s := range senses[d.Type] {
		if strings.EqualFold(string(s), name) {
			return s, true
		}
	}
	return "", false
}

// read returns the sensor's value in sample x; false if it sent none.
func (d *device) read(s sensor, x sample) (float64, bool) {
	switch s {
	case temperature:
		return round(d.celsius(x.t), s), true
	case humidity:
		return round(d.humid(x.t), s), true
	case co2:
		if d.has(Calibrating) || d.has(Gaps) && unit(d.seed, 30, x.t) < 0.1 {
			return 0, false
		}
		p := d.home.place.presence(d.seed, x.t)
		return round(430+(500+500*unit(d.seed, 46, 0))*p+60*noise(d.seed, 31, x.t, 1.5*hour)+12*jitter(d.seed, 32, x.t), s), true
	case sound:
		p := d.home.place.presence(d.seed, x.t)
		if d.seed%2 == 0 {
			p *= 0.2 // the inhabitants sleep
		}
		return round(36+11*p+3*jitter(d.seed, 33, x.t), s), true
	case pressure:
		return round(d.home.place.pressure(x.t)+0.1*jitter(d.seed, 34, x.t), s), true
	case rain:
		return d.millimetres(d.home.place.fallen(x.t-x.step, x.t)), true
	case setpoint:
		c, _ := d.home.place.setpoint(d.heatedRoom(), x.t)
		return c, true
	case boilerOn, boilerOff:
		on := math.Round(float64(x.step) * d.powerRequest(x.t) / 100)
		if s == boilerOff {
			return float64(x.step) - on, true
		}
		return on, true
	default:
		return d.blow(s, x.t)
	}
}

func (d *device) blow(s sensor, t int64) (float64, bool) {
	if d.Type != TypeWind {
		return 0, false
	}
	strength := math.Max(0, round(d.home.place.wind(t)+2*jitter(d.seed, 35, t), windStrength))
	angle := d.home.place.direction(t)
	switch s {
	case windStrength:
		return strength, true
	case gustStrength:
		return round(strength*(1.4+0.5*unit(d.seed, 36, t))+2*unit(d.seed, 37, t), s), true
	case windAngle:
		if d.has(NoAngle) && unit(d.seed, 38, t) < 0.5 {
			return -1, true
		}
		return math.Mod(round(angle+12*jitter(d.seed, 39, t), s)+720, 360), true
	case gustAngle:
		return math.Mod(round(angle+30*jitter(d.seed, 40, t), s)+720, 360), true
	default:
		return 0, false
	}
}

func (d *device) celsius(t int64) float64 {
	p, wobble := d.home.place, 0.15*jitter(d.seed, 41, t)
	switch d.Type {
	case TypeOutdoor:
		return p.outdoor(t) + 0.6*jitter(d.seed, 42, 0) + wobble
	case TypeRoom, TypeThermostat:
		room := d.heatedRoom()
		return p.heated(room, t) + 0.15*jitter(room, 41, t)
	}
	return p.indoor(d.seed, t) + wobble
}

func (d *device) humid(t int64) float64 {
	p, wobble := d.home.place, 0.8*jitter(d.seed, 43, t)
	s := season(t)
	if d.Type == TypeOutdoor {
		h, _ := p.clock(t)
		return clamp(70-6*s-(11+5*s)*math.Cos(2*math.Pi*(h-15)/24)+13*p.wetness(t)+wobble, 18, 100)
	}
	return 45 + 8*s + 4*p.presence(d.seed, t) + 5*noise(d.seed, 44, t, 9*hour) + wobble
}

// heatedRoom is the seed of the room of a heating device.
func (d *device) heatedRoom() uint64 {
	if d.room != nil {
		return d.room.seed
	}
	return d.seed
}

// powerRequest is the room's share of full heating power, in %.
func (d *device) powerRequest(t int64) float64 {
	room, p := d.heatedRoom(), d.home.place
	want, _ := p.setpoint(room, t)
	return math.Round(clamp(45*(want-p.heated(room, t)), 0, 100))
}

// boiler reports whether the boiler burns at this moment.
func (d *device) boiler(t int64) bool {
	return d.powerRequest(t) > 100*unit(d.heatedRoom(), 45, t)
}

// millimetres converts tips of the rain gauge. Netatmo mostly sends 0.303,
// sometimes 0.30300000000000005.
func (d *device) millimetres(tips int64) float64 {
	mm := float64(tips) * tick
	if d.has(FloatNoise) {
		return mm
	}
	return math.Round(mm*1000) / 1000
}

// round rounds as Netatmo does: temperatures and pressures to a tenth, the
// rest to whole numbers.
func round(v float64, s sensor) float64 {
	switch s {
	case temperature, setpoint, pressure:
		return math.Round(v*10) / 10
	case rain:
		return math.Round(v*1000) / 1000
	default:
		return math.Round(v)
	}
}

// trend compares the value at t with that twelve hours earlier, the span that
// Netatmo documents.
func trend(now, before, threshold float64) string {
	switch {
	case now-before > threshold:
		return "up"
	case before-now > threshold:
		return "down"
	}
	return "stable"
}
