package simcloud

import (
	"testing"
	"time"
)

// TestWeatherIsPlausible checks a year of the default home, hour by hour.
func TestWeatherIsPlausible(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	c := New(Options{Start: now.AddDate(-1, 0, 0), Now: func() time.Time { return now }})
	monthly := func(d *device, s sensor) (low, high, mean float64, months [13]float64) {
		low, high = 1e9, -1e9
		n, byMonth := 0.0, [13]float64{}
		for x := range d.held(0, now.Unix(), now) {
			v, ok := d.read(s, x)
			if !ok {
				continue
			}
			low, high, mean, n = min(low, v), max(high, v), mean+v, n+1
			m := time.Unix(x.t, 0).Month()
			months[m] += v
			byMonth[m]++
		}
		for m := range months {
			months[m] /= max(1, byMonth[m])
		}
		return low, high, mean / n, months
	}
	for _, tc := range []struct {
		id               string
		sensor           sensor
		lowest, lowMean  float64 // no value is below, the mean is above
		highMean, height float64
	}{
		{"02:00:00:00:10:02", temperature, -20, 7, 12, 38},
		{"02:00:00:00:10:02", humidity, 18, 60, 85, 100},
		{"70:ee:50:00:10:01", temperature, 17, 20, 23.5, 30},
		{"70:ee:50:00:10:01", co2, 340, 480, 1000, 2000},
		{"70:ee:50:00:10:01", sound, 30, 35, 45, 65},
		{"70:ee:50:00:10:01", pressure, 970, 1009, 1018, 1045},
		{"06:00:00:00:10:04", windStrength, 0, 6, 16, 60},
		{"06:00:00:00:10:04", windAngle, 0, 180, 300, 359},
		{"2746182001", temperature, 12, 17, 22, 30},
	} {
		low, high, mean, months := monthly(c.devices[tc.id], tc.sensor)
		if low < tc.lowest || high > tc.height || mean < tc.lowMean || mean > tc.highMean {
			t.Errorf("%s of %s: %v to %v, mean %.1f", tc.sensor, tc.id, low, high, mean)
		}
		if tc.id == "02:00:00:00:10:02" && tc.sensor == temperature && months[time.July]-months[time.January] < 12 {
			t.Errorf("outside January has %.1f °C, July %.1f", months[time.January], months[time.July])
		}
	}
	_, heaviest, mean, _ := monthly(c.devices["05:00:00:00:10:05"], rain)
	if year := mean * 104000; year < 400 || year > 1300 || heaviest < 1 {
		t.Errorf("%.0f mm of rain in a year, %v mm in five minutes at most", year, heaviest)
	}
	living := c.devices["70:ee:50:00:10:01"]
	night, evening := c.air(living, 3), c.air(living, 21)
	if evening-night < 200 {
		t.Errorf("CO2 in the living room: %.0f ppm at night, %.0f in the evening", night, evening)
	}
}

// air is the mean CO2 of a device at an hour of the day, UTC.
func (c *Cloud) air(d *device, hour int) float64 {
	total := 0.0
	for i := range 30 {
		at := time.Date(2025, 3, 1+i, hour, 0, 0, 0, time.UTC).Unix()
		v, _ := d.read(co2, sample{at, 300})
		total += v / 30
	}
	return total
}

// Two clouds of one scenario have the same data.
func TestWeatherIsAFunctionOfIDAndTime(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func() time.Time { return now }
	a, b := New(Options{Now: at}), New(Options{Now: at})
	for _, m := range a.Modules() {
		for _, typ := range m.Types {
			x, y := a.Held(m.ID, typ, now.AddDate(0, 0, -1), now), b.Held(m.ID, typ, now.AddDate(0, 0, -1), now)
			if len(x) == 0 || len(x) != len(y) {
				t.Fatalf("%s %s: %d samples here, %d there", m.Name, typ, len(x), len(y))
			}
			for i := range x {
				if x[i] != y[i] {
					t.Errorf("%s %s: %v here, %v there", m.Name, typ, x[i], y[i])
				}
			}
		}
	}
}
