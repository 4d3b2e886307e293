package poll_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/simcloud"
)

// Every line of the log distinguishes modules that have the same name: by the
// station, and by the id if that is the same, too.
func TestModulesOfOneNameInTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var away, gone, old time.Time // of one of them, since then
		refuses := false
		named := func(station, id string, measured time.Time) netatmo.Reading {
			r := outdoor(station, id, measured, 20)
			r.ModuleName = "Garden"
			return r
		}
		a := newAgent(t, &fake{weather: func() (netatmo.Answer, error) {
			now := time.Now()
			north, south, east := named("north", "n1", now), named("south", "s1", now), named("south", "s2", now)
			if !away.IsZero() {
				north.Values = netatmo.Values{{Field: netatmo.Reachable, Number: 0}}
				north.Measured = away
			}
			if !old.IsZero() {
				south.Measured = old
			}
			if !gone.IsZero() {
				return answer(north, south), nil
			}
			return answer(north, south, east), nil
		}, measure: func(q netatmo.MeasureQuery) ([]netatmo.Sample, error) {
			if refuses {
				return nil, failure(netatmo.ClassInvalid)
			}
			return sampled(nil)(q)
		}}, netatmo.Weather)
		a.start()
		a.sleep(time.Hour)
		away, refuses = time.Now(), true
		a.sleep(2 * time.Hour)
		away = time.Time{}
		a.sleep(2 * time.Hour)
		refuses = false
		old = time.Now()
		a.sleep(2 * time.Hour)
		old = time.Time{}
		a.sleep(time.Hour)
		gone = time.Now()
		a.sleep(time.Hour)
		a.kill()
		for _, want := range []string{
			`"modules found" family=weather modules="Garden of name of north, Garden of name of south (s1), Garden of name of south (s2)"`,
			`"modules are out of reach; check batteries, the distance to the station, and the station's power and Wi-Fi" family=weather modules="Garden of name of north"`,
			`"modules are within reach again" family=weather modules="Garden of name of north"`,
			`module="Garden of name of north" error=`,
			`"modules report no new values, although Netatmo calls them reachable; withholding their values until they do" family=weather modules="Garden of name of south (s1)"`,
			`"modules report new values again" family=weather modules="Garden of name of south (s1)"`,
			`"modules are no longer in Netatmo's answer" family=weather modules="Garden of name of south (s2)"`,
		} {
			if a.logged(want) != 1 {
				t.Errorf("%d lines with %s", a.logged(want), want)
			}
		}
		if t.Failed() {
			t.Logf("the log:\n%s", a.log)
		}
	})
}

// Stations that have the same name are distinguished by their ids.
func TestStationsOfOneNameInTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stood := time.Now()
		a := newAgent(t, &fake{weather: func() (netatmo.Answer, error) {
			silent, fine := outdoor("s", "s", stood, 20), outdoor("t", "t", time.Now(), 20)
			silent.StationName, fine.StationName = "Home", "Home"
			return answer(silent, fine), nil
		}}, netatmo.Weather)
		a.start()
		a.sleep(3 * time.Hour)
		a.kill()
		if a.logged(`a station reports no new values`) != 1 || a.logged(`station="Home (s)"`) != 1 {
			t.Errorf("the log:\n%s", a.log)
		}
	})
}

// A module that measures nothing new, unlike its station, causes one warning; a
// module that misses a few values causes none.
func TestModuleThatMeasuresNothing(t *testing.T) {
	for name, tt := range map[string]struct {
		lasts time.Duration
		lines int
	}{"for hours": {5 * time.Hour, 1}, "for some minutes": {40 * time.Minute, 0}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stood := time.Time{}
				a := newAgent(t, &fake{weather: func() (netatmo.Answer, error) {
					now := time.Now()
					module := outdoor("s", "m", now, 20)
					if !stood.IsZero() {
						module.Measured = stood
					}
					return answer(outdoor("s", "s", now, 20), module), nil
				}}, netatmo.Weather)
				a.start()
				a.sleep(time.Hour)
				stood = time.Now()
				a.sleep(tt.lasts)
				if got := a.logged("modules report no new values"); got != tt.lines || a.logged("station reports") > 0 {
					t.Errorf("the log:\n%s", a.log)
				}
				stood = time.Time{}
				a.sleep(time.Hour)
				a.kill()
				if a.logged("modules report new values again") != tt.lines || a.logged("no new values") != tt.lines {
					t.Errorf("the log:\n%s", a.log)
				}
			})
		})
	}
}

// Rows of history that the client does not understand cause one warning with
// their number, as long as the module's history has such rows.
func TestMalformedRowsOfHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &twoModules{}
		a := newAgent(t, &fake{weather: m.weather, measure: sampled(nil)}, netatmo.Weather)
		gap := func(odd int) {
			a.start()
			a.sleep(time.Hour)
			a.kill()
			a.sleep(3 * time.Hour)
			a.fake.odd = odd
			a.start()
			a.sleep(20 * time.Minute)
			m.away = true // of one module
			a.sleep(2 * time.Hour)
			m.away = false
			a.sleep(2 * time.Hour)
			a.kill()
		}
		gap(0)
		if a.logged("are malformed") != 0 {
			t.Errorf("without odd rows:\n%s", a.log)
		}
		gap(3)
		if a.logged("are malformed") != 1 || a.logged(`rows=6 modules="name of a, name of b"`) != 1 {
			t.Errorf("two gaps with odd rows:\n%s", a.log)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		m := &twoModules{}
		a := newAgent(t, &fake{weather: m.weather, measure: sampled(nil)}, netatmo.Weather)
		a.start()
		a.sleep(time.Hour)
		for i, odd := range []int{2, 2, 0, 7} {
			a.fake.odd, m.away = odd, true
			a.sleep(3 * time.Hour)
			m.away = false
			a.sleep(3 * time.Hour)
			if got, want := a.logged("are malformed"), []int{1, 1, 1, 2}[i]; got != want {
				t.Errorf("after gap %d: %d lines, want %d\n%s", i, got, want, a.log)
			}
		}
		a.kill()
		if a.logged(`rows=2 modules="name of b"`) != 1 || a.logged(`rows=7 modules="name of b"`) != 1 {
			t.Errorf("the log:\n%s", a.log)
		}
	})
}

// A home's device without a state is left out with one line in the log.
func TestDeviceWithoutAState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, simcloud.Options{Scenario: &simcloud.Scenario{Homes: []simcloud.Home{{
			ID: "5f0000000000000000000001", Name: "Home", Place: simcloud.Place{Zone: "UTC"},
			Gateways: []simcloud.Station{{
				Device: simcloud.Device{ID: "70:ee:50:00:00:09", Name: "Relay", Type: simcloud.TypeRelay},
				Modules: []simcloud.Device{
					{ID: "04:00:00:00:00:01", Name: "Hall", Type: simcloud.TypeThermostat},
					{ID: "09:00:00:00:00:02", Name: "Attic", Type: simcloud.TypeValve, Quirks: simcloud.NoStatus},
				},
			}},
		}}}}, netatmo.Energy)
		r.start()
		time.Sleep(12 * time.Hour)
		r.stop()
		n := 0
		for line := range strings.Lines(r.log.String()) {
			if strings.Contains(line, "left out") {
				n++
			}
		}
		if n != 1 || !strings.Contains(r.log.String(), "09:00:00:00:00:02") {
			t.Errorf("the log:\n%s", r.log)
		}
	})
}

// A station that never had values is said to be silent, too, but not if one answer
// lacks them.
func TestStationWithoutValues(t *testing.T) {
	for name, tt := range map[string]struct {
		without func(i int) bool
		warns   int
	}{
		"always": {func(int) bool { return true }, 1},
		"once":   {func(i int) bool { return i == 3 }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i := 0
				a := newAgent(t, &fake{weather: func() (netatmo.Answer, error) {
					station, module := outdoor("s", "s", time.Now(), 20), outdoor("s", "m", time.Now(), 20)
					if i++; tt.without(i) {
						for _, r := range []*netatmo.Reading{&station, &module} {
							r.Measured, r.Values = time.Time{}, netatmo.Values{{Field: netatmo.Reachable, Number: 1}}
						}
					}
					return answer(station, module), nil
				}}, netatmo.Weather)
				a.start()
				a.sleep(5 * time.Hour)
				a.kill()
				if a.logged("no new values") != tt.warns || a.logged("new values again") != 0 {
					t.Errorf("the log:\n%s", a.log)
				}
			})
		})
	}
}

// Devices in homes have no station.
func TestDevicesInHomesAreToldNothingAboutStations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgent(t, &fake{
			homes: func() ([]netatmo.Home, error) { return []netatmo.Home{{ID: "mine"}}, nil },
			status: func(netatmo.Home) (netatmo.Answer, error) {
				valve := room("1", "Valve", 20)
				valve.ModuleType, valve.Values = netatmo.TypeValve, netatmo.Values{{Field: netatmo.Reachable, Number: 0}}
				return answer(valve), nil
			},
		}, netatmo.Energy)
		a.start()
		a.sleep(time.Hour)
		a.kill()
		if a.logged("modules are out of reach; check their power or batteries, and their gateway's power and network") != 1 || a.logged("station") != 0 {
			t.Errorf("the log:\n%s", a.log)
		}
	})
}
