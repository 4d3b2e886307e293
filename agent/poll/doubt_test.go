package poll_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"netatmo-agent/agent/netatmo"
)

// changing is an account whose answers sometimes have no devices.
type changing struct{ empty bool }

func (c *changing) weather() (netatmo.Answer, error) {
	if c.empty {
		return answer(), nil
	}
	return answer(outdoor("s", "m", time.Now(), 20)), nil
}

func (c *changing) homes() ([]netatmo.Home, error) {
	if c.empty {
		return nil, nil
	}
	return []netatmo.Home{{ID: "mine"}}, nil
}

func (c *changing) status(netatmo.Home) (netatmo.Answer, error) {
	return answer(room("hall", "Hall", 20)), nil
}

func newChanging(t *testing.T, family netatmo.Family) (*agent, *changing) {
	t.Helper()
	c := &changing{}
	return newAgent(t, &fake{weather: c.weather, homes: c.homes, status: c.status}, family), c
}

// In temporary outages, too, Netatmo answers without any device. Such answers
// cost minutes, not the day for which a family without devices is left alone,
// and no readings are dropped.
func TestTemporaryEmptyAnswers(t *testing.T) {
	for _, family := range []netatmo.Family{netatmo.Weather, netatmo.Energy} {
		t.Run(string(family), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, account := newChanging(t, family)
				account.empty = true
				a.start()
				a.sleep(3 * time.Minute)
				if s := a.poller.Stats().Families[family]; !s.Aside || s.Err == nil {
					t.Errorf("stats: %+v", s)
				}
				account.empty = false
				a.sleep(3 * time.Minute)
				if len(a.readings()) != 1 || !a.poller.Stats().Success {
					t.Errorf("readings %v, stats %+v", a.readings(), a.poller.Stats())
				}

				a.sleep(time.Hour) // the homes are due again
				account.empty = true
				a.sleep(12 * time.Minute)
				account.empty = false
				a.sleep(2 * time.Minute)
				if len(a.readings()) != 1 {
					t.Error("the devices are gone")
				}
				if a.logged("WARN") > 0 || a.logged("no longer in Netatmo's answer") > 0 {
					t.Errorf("logged too much:\n%s", a.log)
				}
				a.kill()
			})
		})
	}
}

// A family that stays empty is logged once and tried once a day; its readings
// are gone.
func TestLastingEmptyAnswers(t *testing.T) {
	for family, method := range map[netatmo.Family]string{netatmo.Weather: "weather", netatmo.Energy: "homes"} {
		t.Run(string(family), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, account := newChanging(t, family)
				account.empty = true
				a.start()
				a.sleep(4 * time.Minute)
				if n := a.logged("left out"); n != 0 {
					t.Errorf("logged too early:\n%s", a.log)
				}
				a.sleep(4 * time.Minute)
				asked := len(a.fake.calls(method))
				if asked != 6 || a.logged("left out") != 1 {
					t.Errorf("%d requests, want 6:\n%s", asked, a.log)
				}
				a.sleep(47 * time.Hour)
				if n := len(a.fake.calls(method)) - asked; n != 1 {
					t.Errorf("%d requests in the next two days", n)
				}
				account.empty = false
				a.sleep(25 * time.Hour)
				if len(a.readings()) != 1 {
					t.Error("new devices were not noticed within a day")
				}

				account.empty = true
				a.sleep(72 * time.Hour)
				if len(a.readings()) != 0 || a.logged("left out") != 2 || a.logged("no longer in Netatmo's answer") != 1 && family == netatmo.Weather {
					t.Errorf("readings %v\n%s", a.readings(), a.log)
				}
				a.kill()
			})
		})
	}
}

// An answer in which nothing is understood is doubted if there were stations, so
// that it costs no more than a moment.
func TestNothingIsUnderstoodForAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		odd := false
		a := newAgent(t, &fake{weather: func() (netatmo.Answer, error) {
			if odd {
				an := answer()
				an.Rejected = []netatmo.ItemError{{ID: "s", Reason: "has an unknown type"}}
				return an, nil
			}
			return answer(outdoor("s", "m", time.Now().Truncate(10*time.Minute), 20)), nil
		}}, netatmo.Weather)
		a.cfg.Interval = 0
		a.start()
		a.sleep(59 * time.Minute)
		odd = true
		a.sleep(3 * time.Minute)
		odd = false
		before := len(a.fake.calls("weather"))
		a.sleep(3 * time.Minute)
		if asked := len(a.fake.calls("weather")) - before; asked == 0 || len(a.readings()) != 1 {
			t.Errorf("asked %d times within 3 minutes, readings %v", asked, a.readings())
		}
		odd = true
		a.sleep(24 * time.Hour)
		if a.logged("a device in Netatmo's answer is left out") != 1 {
			t.Errorf("the log:\n%s", a.log)
		}
		a.kill()
	})
}

// A home whose state is empty briefly keeps its devices and its pace.
func TestHomeIsEmptyForAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		empty := false
		a := newAgent(t, &fake{
			homes: func() ([]netatmo.Home, error) { return []netatmo.Home{{ID: "mine"}}, nil },
			status: func(netatmo.Home) (netatmo.Answer, error) {
				if empty {
					return answer(), nil
				}
				return answer(room("hall", "Hall", 20)), nil
			},
		}, netatmo.Energy)
		a.cfg.Interval = 0
		a.start()
		a.sleep(7 * time.Minute)
		empty = true
		a.sleep(15 * time.Minute)
		empty = false
		a.sleep(6 * time.Minute)
		if n := len(a.fake.calls("status mine")); n != 6 || len(a.readings()) != 1 {
			t.Errorf("%d requests in 28 minutes, readings %v", n, a.readings())
		}
		empty = true
		a.sleep(3 * time.Hour)
		if len(a.readings()) != 0 {
			t.Errorf("readings %v", a.readings())
		}
		a.kill()
	})
}

// Each rejected part of answers is logged once, wherever it is in the answer.
func TestRejectedDevicesAreLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		damaged := func(r netatmo.Reading) (netatmo.Answer, error) {
			n++
			an := answer(r)
			first, second := "module 1", "module 2"
			if n%3 == 0 {
				first, second = "module 3", "module 1"
			}
			an.Rejected = []netatmo.ItemError{{Place: first, Reason: "has no id"}, {Place: second, Reason: "is not a JSON object"}}
			return an, nil
		}
		a := newAgent(t, &fake{
			weather: func() (netatmo.Answer, error) { return damaged(outdoor("s", "m", time.Now(), 20)) },
			homes:   func() ([]netatmo.Home, error) { return []netatmo.Home{{ID: "mine"}}, nil },
			status:  func(netatmo.Home) (netatmo.Answer, error) { return damaged(room("hall", "Hall", 20)) },
		}, netatmo.Weather, netatmo.Energy)
		a.start()
		a.sleep(24 * time.Hour)
		if a.logged("left out") != 4 || a.logged(`family=weather error="module 1 of the answer: has no id"`) != 1 ||
			a.logged(`family=energy home=mine error="module 1 of the answer: has no id"`) != 1 {
			t.Errorf("the log:\n%s", a.log)
		}
		a.kill()
	})
}

// An account full of unknown devices costs a few lines, not thousands.
func TestManyRejectedDevicesAreAFewLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgent(t, &fake{weather: func() (netatmo.Answer, error) {
			an := answer(outdoor("s", "m", time.Now(), 20))
			for i := range 20_000 {
				an.Rejected = append(an.Rejected, netatmo.ItemError{ID: fmt.Sprint(i), Reason: "is of a type that is not known"})
			}
			return an, nil
		}}, netatmo.Weather)
		a.start()
		a.sleep(time.Hour)
		if a.logged("left out") != 11 || a.logged("number=19990") != 1 {
			t.Errorf("the log:\n%s", a.log)
		}
		a.kill()
	})
}
