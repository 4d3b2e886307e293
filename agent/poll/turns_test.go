package poll_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"netatmo-agent/agent/netatmo"
)

// gated is a fake with Netatmo's limits.
type gated struct {
	*fake
	gate *netatmo.Gate
}

func (g gated) Weather(ctx context.Context, favorites bool) (netatmo.Answer, error) {
	if err := g.gate.Wait(ctx, netatmo.Live); err != nil {
		return netatmo.Answer{}, err
	}
	return g.fake.Weather(ctx, favorites)
}

func (g gated) HomeStatus(ctx context.Context, h netatmo.Home) (netatmo.Answer, error) {
	if err := g.gate.Wait(ctx, netatmo.Live); err != nil {
		return netatmo.Answer{}, err
	}
	return g.fake.HomeStatus(ctx, h)
}

func (g gated) Measure(ctx context.Context, q netatmo.MeasureQuery, p netatmo.Priority) (netatmo.Page, error) {
	if err := g.gate.Wait(ctx, p); err != nil {
		return netatmo.Page{}, err
	}
	return g.fake.Measure(ctx, q, p)
}

// household is a station of six modules, and this number of rooms.
func household(rooms int) *fake {
	return &fake{
		weather: func() (netatmo.Answer, error) {
			var all []netatmo.Reading
			for i := range 6 {
				all = append(all, outdoor("s", fmt.Sprint("m", i), time.Now().Truncate(5*time.Minute), 1))
			}
			return answer(all...), nil
		},
		homes: func() ([]netatmo.Home, error) { return []netatmo.Home{{ID: "h"}}, nil },
		status: func(netatmo.Home) (netatmo.Answer, error) {
			var all []netatmo.Reading
			for i := range rooms {
				id, at := fmt.Sprint("r", i), time.Now()
				all = append(all, netatmo.Reading{
					Family: netatmo.Energy, ModuleID: id, ModuleName: "room " + id, ModuleType: netatmo.TypeRoom,
					HomeID: "h", Measured: at, Seen: at, Values: netatmo.Values{{Field: netatmo.Temperature, Number: 20}},
				})
			}
			return answer(all...), nil
		},
		measure: sampled(nil),
	}
}

// However many rooms wait for Netatmo's limits, a station's history is
// delivered before its live values resume, so that a backend that accepts
// nothing older than its newest point accepts all of it. Every gap is filled
// before any is reread, except for a module whose history Netatmo fails to
// return.
func TestStationsBeforeRoomsAndFillsBeforeSecondLooks(t *testing.T) {
	for _, test := range []struct {
		rooms int
		fails int // requests for a module's history, the first ones
	}{{60, 0}, {300, 0}, {300, 1}, {60, 1000}} {
		t.Run(fmt.Sprint(test), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := household(test.rooms)
				fails := test.fails
				f.measure = func(q netatmo.MeasureQuery) ([]netatmo.Sample, error) {
					if q.ModuleID == "m0" && fails > 0 {
						fails--
						return nil, failure(netatmo.ClassServer)
					}
					return sampled(nil)(q)
				}
				a := newAgent(t, f, netatmo.Weather, netatmo.Energy)
				a.source = gated{f, netatmo.NewGate(400)}
				a.backend.ordered = true
				a.start()
				a.sleep(time.Hour)
				a.terminate()
				stopped := time.Now()
				a.sleep(2 * time.Hour)
				a.start()
				back := time.Now()
				a.sleep(3 * time.Hour)
				a.kill()

				for i := range 6 {
					id := fmt.Sprint("m", i)
					for at := stopped.Add(5 * time.Minute).Truncate(5 * time.Minute); at.Before(back); at = at.Add(5 * time.Minute) {
						if !a.backend.has(series{"s", id, netatmo.Temperature}, at, float64(at.Unix()%1000)) && (i > 0 || test.fails < 2) {
							t.Errorf("%s has nothing from %s", id, at.Sub(back))
						}
					}
				}
				var filled, look time.Time // the last first request, the first rereading
				for i := range test.rooms {
					calls := f.calls(fmt.Sprintf("measure r%d ", i))
					if len(calls) == 0 {
						t.Fatalf("room %d is not filled", i)
					}
					if calls[0].After(filled) {
						filled = calls[0]
					}
				}
				for i := 1; i < 6; i++ {
					if calls := f.calls(fmt.Sprintf("measure s m%d", i)); look.IsZero() || calls[1].Before(look) {
						look = calls[1]
					}
				}
				if look.Before(filled) {
					t.Errorf("a gap was reread %s after the start, the last gap filled %s after it", look.Sub(back), filled.Sub(back))
				}
			})
		})
	}
}
