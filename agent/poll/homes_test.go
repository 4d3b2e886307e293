package poll_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"netatmo-agent/agent/netatmo"
)

// A home whose state Netatmo refused is requested again a day later.
func TestRefusedHomeIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := true
		a := newAgent(t, &fake{
			homes: func() ([]netatmo.Home, error) { return []netatmo.Home{{ID: "mine"}}, nil },
			status: func(netatmo.Home) (netatmo.Answer, error) {
				if refused {
					return netatmo.Answer{}, failure(netatmo.ClassNotFound)
				}
				return answer(room("hall", "Hall", 20)), nil
			},
		}, netatmo.Energy)
		a.start()
		a.sleep(6 * time.Hour)
		if n := len(a.fake.calls("status mine")); n != 1 {
			t.Errorf("%d requests in six hours", n)
		}
		refused = false
		a.sleep(49 * time.Hour)
		if len(a.readings()) == 0 {
			t.Error("never requested again")
		}
		a.kill()
	})
}

// A home that leaves the account while the names of its devices are requested
// leaves no readings.
func TestHomeLeavesWhileNamesAreAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		homes, nameless := []netatmo.Home{{ID: "mine"}}, false
		a := newAgent(t, &fake{
			homes: func() ([]netatmo.Home, error) { return homes, nil },
			status: func(netatmo.Home) (netatmo.Answer, error) {
				readings := []netatmo.Reading{room("hall", "Hall", 20)}
				if nameless {
					readings = append(readings, room("new", "new", 20))
				}
				return answer(readings...), nil
			},
		}, netatmo.Energy)
		a.start()
		a.sleep(11 * time.Minute)
		if len(a.readings()) != 1 {
			t.Fatalf("readings %v", a.readings())
		}
		nameless, homes = true, nil
		a.sleep(48 * time.Hour)
		if n := len(a.readings()); n != 0 {
			t.Errorf("%d readings of a home that left two days ago", n)
		}
		a.kill()
	})
}

// What Netatmo refuses for one home is not attributed to the login or to other
// homes.
func TestOneHomeIsDeniedForLackOfAScope(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		denied := map[string]bool{"a": true, "c": true}
		var scopes []bool
		a := newAgent(t, &fake{
			homes: func() ([]netatmo.Home, error) { return []netatmo.Home{{ID: "a"}, {ID: "b"}, {ID: "c"}}, nil },
			status: func(h netatmo.Home) (netatmo.Answer, error) {
				if denied[h.ID] {
					return netatmo.Answer{}, failure(netatmo.ClassScope)
				}
				return answer(room("hall-"+h.ID, "Hall", 20)), nil
			},
		}, netatmo.Energy)
		a.cfg.OnScope = func(_ netatmo.Family, granted bool) {
			a.fake.world.Lock()
			defer a.fake.world.Unlock()
			scopes = append(scopes, granted)
		}
		login, changed := uint64(1), make(chan struct{})
		a.cfg.Login = func() uint64 {
			a.fake.world.Lock()
			defer a.fake.world.Unlock()
			return login
		}
		a.cfg.Changed = func() <-chan struct{} {
			a.fake.world.Lock()
			defer a.fake.world.Unlock()
			return changed
		}
		a.start()
		a.sleep(6 * time.Hour)
		if len(a.readings()) != 1 || len(scopes) != 0 || a.logged("home is left out") != 2 || len(a.fake.calls("status a")) != 1 {
			t.Errorf("readings %v, scopes %v, %d requests", a.readings(), scopes, len(a.fake.calls("status a")))
		}
		// A new login grants it.
		clear(denied)
		login = 2
		close(changed)
		changed = make(chan struct{})
		a.sleep(10 * time.Minute)
		if len(a.readings()) != 3 {
			t.Errorf("readings after the new login: %v", a.readings())
		}
		// If every home is refused, the login lacks the scope.
		denied = map[string]bool{"a": true, "b": true, "c": true}
		a.sleep(10 * time.Minute)
		if len(scopes) != 0 {
			t.Error("believed at once")
		}
		a.sleep(30 * time.Minute)
		if len(scopes) == 0 || scopes[len(scopes)-1] {
			t.Errorf("scopes %v", scopes)
		}
		a.kill()
	})
}

// A home that has left the account is refused before the list of homes is due
// again. A home that was refused by mistake returns.
func TestAHomeThatAnsweredIsNotRefusedForADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		homes, refused := []netatmo.Home{{ID: "old"}}, map[string]bool{}
		a := newAgent(t, &fake{
			homes: func() ([]netatmo.Home, error) { return homes, nil },
			status: func(h netatmo.Home) (netatmo.Answer, error) {
				if refused[h.ID] {
					return netatmo.Answer{}, failure(netatmo.ClassInvalid)
				}
				return answer(room("hall-"+h.ID, "Hall", 20)), nil
			},
		}, netatmo.Energy)
		a.start()
		a.sleep(11 * time.Minute)
		refused["old"] = true
		a.sleep(12 * time.Minute)
		delete(refused, "old")
		a.sleep(6 * time.Minute)
		if a.logged("left out") != 0 || len(a.readings()) != 1 {
			t.Errorf("after a temporary refusal: %v", a.readings())
		}
		homes, refused["old"] = []netatmo.Home{{ID: "new"}}, true
		a.sleep(12 * time.Minute)
		if _, ok := a.readings()["hall-new"]; !ok || a.logged("has left the account") != 1 {
			t.Errorf("after the home was replaced: %v", a.readings())
		}
		a.kill()
	})
}

// A failing home affects no other if all are requested together, either.
func TestAskReturnsTheOtherHomesReadings(t *testing.T) {
	for name, row := range map[string]struct {
		classes map[string]netatmo.Class // of the homes that fail
		rooms   int
		class   netatmo.Class
	}{
		"one is shared":                {map[string]netatmo.Class{"a": netatmo.ClassInvalid}, 1, ""},
		"one is denied":                {map[string]netatmo.Class{"a": netatmo.ClassScope}, 1, ""},
		"all are denied":               {map[string]netatmo.Class{"a": netatmo.ClassScope, "b": netatmo.ClassScope}, 0, netatmo.ClassScope},
		"one is shared, one is denied": {map[string]netatmo.Class{"a": netatmo.ClassInvalid, "b": netatmo.ClassScope}, 0, netatmo.ClassScope},
		"one fails":                    {map[string]netatmo.Class{"a": netatmo.ClassServer}, 1, netatmo.ClassServer},
		"the quota is reached":         {map[string]netatmo.Class{"a": netatmo.ClassQuota}, 0, netatmo.ClassQuota},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fake{
				homes: func() ([]netatmo.Home, error) { return []netatmo.Home{{ID: "a"}, {ID: "b"}}, nil },
				status: func(h netatmo.Home) (netatmo.Answer, error) {
					if class := row.classes[h.ID]; class != "" {
						return netatmo.Answer{}, failure(class)
					}
					return answer(room("hall-"+h.ID, "Hall", 20)), nil
				},
			}
			got, err := netatmo.Ask(t.Context(), f, netatmo.Question{Family: netatmo.Energy})
			var class netatmo.Class
			if e, ok := errors.AsType[*netatmo.Error](err); ok {
				class = e.Class
			}
			if len(got.Readings) != row.rooms || class != row.class {
				t.Errorf("%d rooms, error %v", len(got.Readings), err)
			}
		})
	}
}

// A home that is only shared does not count as answered, either: what the
// others lack is the login's scope.
func TestASharedHomeSaysNothingAboutTheLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var scopes []bool
		a := newAgent(t, &fake{
			homes: func() ([]netatmo.Home, error) { return []netatmo.Home{{ID: "mine"}, {ID: "shared"}}, nil },
			status: func(h netatmo.Home) (netatmo.Answer, error) {
				if h.ID == "shared" {
					return netatmo.Answer{}, failure(netatmo.ClassInvalid)
				}
				return netatmo.Answer{}, failure(netatmo.ClassScope)
			},
		}, netatmo.Energy)
		a.cfg.OnScope = func(_ netatmo.Family, granted bool) {
			a.fake.world.Lock()
			defer a.fake.world.Unlock()
			scopes = append(scopes, granted)
		}
		a.start()
		a.sleep(time.Minute)
		if len(scopes) != 1 || scopes[0] {
			t.Errorf("scopes %v", scopes)
		}
		a.kill()
	})
}
