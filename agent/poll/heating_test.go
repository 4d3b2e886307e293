package poll_test

import (
	"testing"
	"testing/synctest"
	"time"

	"netatmo-agent/agent/netatmo"
)

// A home whose state Netatmo did not give once is asked about again a day later.
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
			t.Errorf("asked %d times in six hours", n)
		}
		refused = false
		a.sleep(49 * time.Hour)
		if len(a.readings()) == 0 {
			t.Error("never asked about again")
		}
		a.kill()
	})
}

// A home that leaves the account while the names of its devices are asked for
// leaves nothing behind.
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
