package poll_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/poll"
)

// weatherOnly answers with mostly stale values, which avoids many writes of the
// state file.
func weatherOnly() (netatmo.Answer, error) {
	return answer(outdoor("s", "m", time.Now().Add(-time.Hour).Truncate(2*time.Hour), 20)), nil
}

// A family that the account may not read or does not have is logged once and
// tried once a day; the others are not affected.
func TestFamilyPutAside(t *testing.T) {
	tests := map[string]struct {
		err     error // nil: an empty answer, which is not believed at first
		polls   int   // in three days
		refused int   // calls of OnScope in three days
	}{
		"scope refused":  {err: failure(netatmo.ClassScope), polls: 3, refused: 3},
		"no such device": {err: failure(netatmo.ClassNotFound), polls: 3},
		"empty answer":   {polls: 3 + 5},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAgent(t, &fake{
					weather: weatherOnly,
					coaches: func() (netatmo.Answer, error) { return answer(), test.err },
				}, netatmo.Weather, netatmo.HomeCoach)
				refused := 0
				a.cfg.OnScope = func(f netatmo.Family, granted bool) {
					if f != netatmo.HomeCoach || granted {
						t.Errorf("scope of %s: granted is %v", f, granted)
					}
					refused++
				}
				a.start()
				a.sleep(71 * time.Hour)
				if n := len(a.fake.calls("coaches")); n != test.polls {
					t.Errorf("%d polls in three days, want %d", n, test.polls)
				}
				if n := len(a.fake.calls("weather")); n != 71*6 && n != 71*6+1 {
					t.Errorf("%d polls of the other family", n)
				}
				if refused != test.refused {
					t.Errorf("OnScope called %d times, want %d", refused, test.refused)
				}
				if n := a.logged("left out"); n != 1 {
					t.Errorf("logged %d times:\n%s", n, a.log)
				}
				s := a.poller.Stats()
				if !s.Success || !s.Families[netatmo.HomeCoach].Aside {
					t.Errorf("stats: %+v", s)
				}
				a.kill()
			})
		})
	}
}

// A family that NETATMO_STATIONS filters out completely is left out without a
// warning, because the user wants that.
func TestFilteredFamily(t *testing.T) {
	for _, family := range []netatmo.Family{netatmo.Weather, netatmo.Energy} {
		t.Run(string(family), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, _ := newChanging(t, family)
				a.cfg.Allows = func(string, string) bool { return false }
				a.start()
				a.sleep(48 * time.Hour)
				a.kill()
				if a.logged("WARN") != 0 || a.logged("left out") != 1 || a.logged("NETATMO_STATIONS excludes them all") != 1 {
					t.Errorf("the log:\n%s", a.log)
				}
			})
		})
	}
}

// After a new login, the agent retries at once what the old login lacked.
func TestLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authorized, scope := false, false
		changed := make(chan struct{})
		a := newAgent(t, &fake{
			weather: weatherOnly,
			coaches: func() (netatmo.Answer, error) {
				if !scope {
					return netatmo.Answer{}, failure(netatmo.ClassScope)
				}
				return answer(outdoor("c", "c", time.Now(), 21)), nil
			},
		}, netatmo.Weather, netatmo.HomeCoach)
		locked := func(f func()) {
			a.fake.world.Lock()
			defer a.fake.world.Unlock()
			f()
		}
		var told []bool
		a.cfg.OnScope = func(_ netatmo.Family, granted bool) { told = append(told, granted) }
		login := uint64(0)
		a.cfg.Login = func() (now uint64) {
			locked(func() {
				if authorized {
					now = login
				}
			})
			return now
		}
		a.cfg.Changed = func() (c <-chan struct{}) { locked(func() { c = changed }); return c }
		change := func() {
			login++
			close(changed)
			changed = make(chan struct{})
			a.sleep(0)
		}
		a.start()
		a.sleep(24 * time.Hour)
		if len(a.fake.times) != 0 {
			t.Errorf("polled without a login: %v", a.fake.times)
		}
		if s := a.poller.Stats(); s.Success || s.Families[netatmo.Weather].Activity != poll.Waiting {
			t.Errorf("stats without a login: %+v", s)
		}

		authorized = true
		change()
		if len(a.fake.calls("weather")) != 1 || len(a.fake.calls("coaches")) != 1 {
			t.Errorf("after the login: %v", a.fake.times)
		}
		a.sleep(time.Hour)
		scope = true
		change()
		if len(a.fake.calls("coaches")) != 2 || len(a.readings()) != 2 {
			t.Errorf("after the second login: %v, %v", a.fake.times, a.readings())
		}
		if !slices.Equal(told, []bool{false, true}) {
			t.Errorf("OnScope was called with %v", told)
		}

		authorized = false
		a.sleep(24 * time.Hour)
		before := len(a.fake.calls("weather"))
		a.sleep(24 * time.Hour)
		if after := len(a.fake.calls("weather")); after != before {
			t.Errorf("%d polls without a login", after-before)
		}
		authorized = true
		change()
		if after := len(a.fake.calls("weather")); after != before+1 {
			t.Errorf("%d polls at the new login", after-before)
		}
		a.kill()
	})
}

// A refusal for lack of a scope that arrives after the login has gained it is
// about the old access token: the family is requested again at once.
func TestScopeGainedDuringAPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		a := newAgent(t, f, netatmo.HomeCoach)
		login, changed := uint64(1), make(chan struct{})
		f.coaches = func() (netatmo.Answer, error) {
			if login == 1 {
				login = 2
				close(changed)
				changed = make(chan struct{})
				return netatmo.Answer{}, failure(netatmo.ClassScope)
			}
			return answer(outdoor("c", "c", time.Now(), 21)), nil
		}
		a.cfg.Login = func() uint64 { f.world.Lock(); defer f.world.Unlock(); return login }
		a.cfg.Changed = func() <-chan struct{} { f.world.Lock(); defer f.world.Unlock(); return changed }
		a.cfg.OnScope = func(netatmo.Family, bool) { t.Error("the scope is reported as missing") }
		a.start()
		a.sleep(time.Minute)
		if len(a.fake.calls("coaches")) != 2 || len(a.readings()) != 1 || a.logged("left out") != 0 {
			t.Errorf("polls %v, readings %v\n%s", a.fake.calls("coaches"), a.readings(), a.log)
		}
		a.kill()
	})
}

// A failing family is first retried sooner than its next poll, then at growing
// intervals. The log has few lines, and the other families are not affected.
func TestFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var err error
		a := newAgent(t, &fake{
			weather: func() (netatmo.Answer, error) {
				if err != nil {
					return netatmo.Answer{}, err
				}
				return weatherOnly()
			},
			coaches: func() (netatmo.Answer, error) { return answer(outdoor("c", "c", time.Now(), 21)), nil },
		}, netatmo.Weather, netatmo.HomeCoach)
		a.start()
		a.sleep(time.Hour + time.Minute)
		err = failure(netatmo.ClassServer)
		a.sleep(10 * time.Minute)
		if a.poller.Stats().Success {
			t.Error("success while a family fails")
		}
		if len(a.readings()) != 2 {
			t.Errorf("%d readings after a failed poll", len(a.readings()))
		}
		a.sleep(5 * time.Hour)
		err = nil
		a.sleep(time.Hour)
		a.kill()

		calls := a.fake.calls("weather")
		var waits []time.Duration
		for i := range calls[1:] {
			waits = append(waits, calls[i+1].Sub(calls[i]))
		}
		i := slices.IndexFunc(waits, func(d time.Duration) bool { return d < 9*time.Minute })
		if waits[i] > 12*time.Second {
			t.Errorf("first retry after %s", waits[i])
		}
		if longest := slices.Max(waits); longest > 12*time.Minute {
			t.Errorf("%s between two polls", longest)
		}
		if n := len(calls); n > 60 {
			t.Errorf("%d polls in 7 hours", n)
		}
		if n := len(a.fake.calls("coaches")); n < 42 {
			t.Errorf("%d polls of the other family", n)
		}
		if n := a.logged("polling"); n > 8 || a.logged("works again") != 1 {
			t.Errorf("%d lines:\n%s", n, a.log)
		}
		if !a.poller.Stats().Success {
			t.Errorf("stats: %+v", a.poller.Stats())
		}
	})
}

// Homes that the account may not read are logged once and left alone. Names are
// requested every hour, and when a device without a name appears.
func TestHomes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		homes := []netatmo.Home{{ID: "mine"}, {ID: "guest"}, {ID: "filtered"}}
		valve, named := false, false
		a := newAgent(t, &fake{
			homes: func() ([]netatmo.Home, error) { return homes, nil },
			status: func(h netatmo.Home) (netatmo.Answer, error) {
				if h.ID != "mine" {
					return netatmo.Answer{}, failure(netatmo.ClassInvalid)
				}
				rs := []netatmo.Reading{room("hall", "Hall", 20)}
				if valve {
					name := "kitchen"
					if named {
						name = "Kitchen"
					}
					rs = append(rs, room("kitchen", name, 21))
				}
				return answer(rs...), nil
			},
		}, netatmo.Energy)
		a.cfg.Interval = 0
		a.cfg.Allows = func(_, home string) bool { return home != "filtered" }
		a.start()
		a.sleep(59 * time.Minute)
		if n := len(a.fake.calls("status mine")); n != 12 {
			t.Errorf("%d polls of the home in an hour", n)
		}
		if len(a.fake.calls("homes")) != 1 || len(a.fake.calls("status guest")) != 1 || len(a.fake.calls("status filtered")) != 0 {
			t.Errorf("calls: %v", a.fake.times)
		}
		if n := a.logged("home is left out"); n != 1 {
			t.Errorf("logged %d times:\n%s", n, a.log)
		}
		a.sleep(3 * time.Minute)
		if n := len(a.fake.calls("homes")); n != 2 {
			t.Errorf("names requested %d times in an hour", n)
		}

		valve = true
		a.sleep(4 * time.Minute)
		if n := len(a.fake.calls("homes")); n != 3 {
			t.Errorf("names requested %d times after a new device", n)
		}
		a.sleep(20 * time.Minute)
		if n := len(a.fake.calls("homes")); n != 3 {
			t.Errorf("names requested %d times although there is no name", n)
		}
		named = true
		a.sleep(time.Hour)
		if got := a.readings()["kitchen"].ModuleName; got != "Kitchen" {
			t.Errorf("name is %q", got)
		}
		if n := len(a.fake.calls("status guest")); n != 1 {
			t.Errorf("guest home requested %d times", n)
		}

		homes = homes[1:]
		a.sleep(2 * time.Hour)
		if n := len(a.readings()); n != 0 {
			t.Errorf("%d readings of a home that is gone", n)
		}
		a.kill()
	})
}

func room(id, name string, temperature float64) netatmo.Reading {
	return netatmo.Reading{
		Family: netatmo.Energy, ModuleID: id, ModuleName: name, ModuleType: netatmo.TypeRoom, HomeID: "mine", Measured: time.Now(),
		Values: netatmo.Values{{Field: netatmo.Temperature, Number: temperature}, {Field: netatmo.SetpointTemp, Number: 19}},
	}
}

// A home that fails does not affect the other.
func TestOneHomeFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgent(t, &fake{
			homes: func() ([]netatmo.Home, error) { return []netatmo.Home{{ID: "a"}, {ID: "b"}}, nil },
			status: func(h netatmo.Home) (netatmo.Answer, error) {
				if h.ID == "a" {
					return netatmo.Answer{}, failure(netatmo.ClassServer)
				}
				return answer(room("hall", "Hall", 20)), nil
			},
		}, netatmo.Energy)
		a.start()
		a.sleep(time.Hour)
		if len(a.readings()) != 1 || a.poller.Stats().Success {
			t.Errorf("readings %v, stats %+v", a.readings(), a.poller.Stats())
		}
		if err := a.poller.Stats().Families[netatmo.Energy].Err; err == nil || errors.Is(err, failure(netatmo.ClassServer)) {
			t.Errorf("error %v", err)
		}
		a.kill()
	})
}
