package poll_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"netatmo-agent/agent/catalogue"
	"netatmo-agent/agent/history"
	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/simcloud"
)

const (
	switchboard = "00:04:74:00:60:00"
	heatPump    = "00:04:74:00:00:00:60:01"
	waterHeater = "00:04:74:00:00:00:60:04"
	ecometer    = "00:04:74:00:67:00"
	thermostat  = "04:00:00:00:30:02"
)

// meters are some of the household's, with the columns of their history.
var meters = []struct {
	module, typ string
	field       netatmo.Field
}{
	{heatPump, "sum_energy_buy_from_grid$1", netatmo.EnergyPeak},
	{heatPump, "sum_energy_buy_from_grid$2", netatmo.EnergyOffPeak},
	{waterHeater, "sum_energy_buy_from_grid$2", netatmo.EnergyOffPeak},
	{ecometer + "#5", "sum_energy_elec$1", netatmo.EnergyPeak},
	{ecometer + "#6", "sum_energy_elec$0", netatmo.GasAmount},
	{ecometer + "#8", "sum_energy_elec$0", netatmo.WaterAmount},
}

// meterRig is an agent for a household with all families.
func meterRig(t *testing.T, s *simcloud.Scenario) (*rig, *countedMeters) {
	t.Helper()
	r := newRig(t, simcloud.Options{Scenario: s, QuotaPer10s: -1, QuotaPerHour: -1}, netatmo.Weather, netatmo.Energy)
	scopes := append(strings.Fields(simcloud.ScopesInHomes), "read_station", "read_homecoach")
	counted := &countedMeters{source: r.clientOf(r.cloud.Auth().Grant(scopes...).Access), asked: map[string][]time.Time{}}
	r.source = counted
	r.known.Meters = true
	return r, counted
}

// countedMeters notes the requests for meters.
type countedMeters struct {
	source
	asked map[string][]time.Time
}

func (c *countedMeters) Measure(ctx context.Context, q netatmo.MeasureQuery, p netatmo.Priority) (netatmo.Page, error) {
	if q.Meter != netatmo.NoMeter {
		c.asked[q.ModuleID] = append(c.asked[q.ModuleID], time.Now())
	}
	return c.source.Measure(ctx, q, p)
}

// complete checks that the backend has the amounts of all buckets from then on, as
// the cloud has them now: up to an hour after they could last grow, and nothing of
// those that may.
func (r *rig) complete(from time.Time) {
	r.t.Helper()
	const latest = 3*time.Hour + 10*time.Minute
	to, settled := time.Now().Add(-latest), time.Now().Add(-2*time.Hour)
	for _, m := range meters {
		held := r.cloud.Held(m.module, m.typ, from, to)
		s := series{"", m.module, m.field}
		for _, x := range held {
			if !r.backend.has(s, x.Time, x.Value) {
				r.t.Errorf("%s %s: the bucket that ends at %s is missing or not %g", m.module, m.typ, x.Time.UTC(), x.Value)
			}
		}
		if len(held) == 0 && m.field != netatmo.EnergyOffPeak {
			r.t.Errorf("%s %s: the cloud has nothing", m.module, m.typ)
		}
		if newest := r.backend.ends()[s]; newest.After(settled) {
			r.t.Errorf("%s %s: the bucket that ends at %s was pushed while it could grow", m.module, m.typ, newest.UTC())
		}
	}
}

// TestMeters: every half hour is pushed once, when it no longer grows, by at most a
// request an hour, over restarts and an offline gateway.
func TestMeters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, counted := meterRig(t, simcloud.Household())
		r.start()
		began := time.Now()
		time.Sleep(30 * time.Hour)
		r.complete(began.Add(time.Minute))

		r.terminate()
		time.Sleep(9 * time.Hour)
		r.start()
		time.Sleep(time.Hour)
		r.complete(began.Add(time.Minute))

		r.cloud.SetOffline(switchboard, true)
		time.Sleep(8 * time.Hour)
		r.cloud.SetOffline(switchboard, false)
		time.Sleep(3 * time.Hour)
		r.kill()
		r.complete(began.Add(time.Minute))

		if r.backend.twice > 0 {
			t.Errorf("%d points came twice", r.backend.twice)
		}
		for module, times := range counted.asked {
			for i, at := range times[1:] {
				if d := at.Sub(times[i]); d < time.Hour {
					t.Errorf("%s was asked for %s after the time before", module, d)
				}
			}
		}
		on := r.backend.points[series{"", thermostat, netatmo.BoilerOnTime}]
		for ms, seconds := range on {
			if ms%1800000 != 0 || seconds < 0 || seconds > 1800 {
				t.Errorf("boiler on for %g s at %d", seconds, ms)
			}
		}
		if len(on) < 60 {
			t.Errorf("%d points of the boiler", len(on))
		}
		for _, none := range []string{ecometer, "00:04:74:00:00:00:60:07", "00:04:74:00:00:00:60:09", "70:ee:50:00:64:00"} {
			if n := len(counted.asked[none]); n > 0 {
				t.Errorf("%s has no history and was asked for it %d times", none, n)
			}
		}
	})
}

// TestMetersCanBeOff: netatmo-exporter has no names for amounts.
func TestMetersCanBeOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, counted := meterRig(t, simcloud.Household())
		r.known.Meters = false
		r.start()
		time.Sleep(6 * time.Hour)
		r.kill()
		if len(counted.asked) > 0 {
			t.Errorf("meters asked for: %v", counted.asked)
		}
	})
}

// A meter whose history Netatmo refuses is asked for less and less, and named once.
func TestRefusedMeter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		meter := netatmo.Reading{Family: netatmo.Control, ModuleID: "m", ModuleName: "Plug", ModuleType: netatmo.TypePlug, HomeID: "h",
			Meter: netatmo.Electricity, Bridge: "g", Values: netatmo.Values{{Field: netatmo.Power, Number: 5}}}
		a := newAgent(t, &fake{
			homes: func() ([]netatmo.Home, error) { return []netatmo.Home{{ID: "h"}}, nil },
			status: func(netatmo.Home) (netatmo.Answer, error) {
				now := meter
				now.Measured = time.Now()
				now.Answered = time.Now()
				return answer(now), nil
			},
			measure: func(netatmo.MeasureQuery) ([]netatmo.Sample, error) { return nil, failure(netatmo.ClassInvalid) },
		}, netatmo.Control)
		a.known.Meters = true
		a.start()
		a.sleep(10 * 24 * time.Hour)
		a.kill()
		if n := len(a.fake.calls("measure g m")); n < 8 || n > 16 {
			t.Errorf("asked %d times in ten days", n)
		}
		if a.logged("refuses a meter's history") != 1 {
			t.Errorf("log:\n%s", a.log)
		}
	})
}

// TestBackfillOfMeters delivers the settled buckets of a period, once, whatever runs
// later.
func TestBackfillOfMeters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := meterRig(t, simcloud.Household())
		since := time.Now().AddDate(0, 0, -40)
		for range 2 {
			r.backfill(since, func(string) []netatmo.Column { return nil })
		}
		r.complete(since.Add(time.Hour))
		if r.backend.twice > 0 {
			t.Errorf("%d points came twice", r.backend.twice)
		}
	})
}

// TestBackfillOfCoarseRooms takes half hours where Netatmo has no more.
func TestBackfillOfCoarseRooms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := simcloud.Household()
		s.Homes[0].Quirks |= simcloud.CoarseRooms
		r, _ := meterRig(t, s)
		r.backfill(time.Now().AddDate(0, 0, -40), catalogue.History)
		for _, room := range []string{"2746182001", "2746182002"} {
			if n := len(r.backend.points[series{"", room, netatmo.SetpointTemp}]); n < 40*48-2 || n > 40*48+1 {
				t.Errorf("%s: %d half hours", room, n)
			}
		}
		if n := strings.Count(r.log.String(), "only in steps of half an hour"); n != 1 {
			t.Errorf("the log says %d times that rooms have half hours", n)
		}
	})
}

// backfill runs the command's backfill to its end.
func (r *rig) backfill(since time.Time, columns func(string) []netatmo.Column) {
	r.t.Helper()
	b, err := history.OpenBackfill(r.t.Context(), history.BackfillConfig{
		Families: []netatmo.Family{netatmo.Energy}, History: columns, Meters: true, Since: since,
		File: r.state + ".backfill", Logger: slog.New(slog.NewTextHandler(r.log, nil)),
	}, r.source)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := b.Run(r.t.Context(), r.backend, nil); err != nil {
		r.t.Fatal(err)
	}
}

// TestCoarseRooms: the gap of a room is filled from half hours where Netatmo has
// no more, which is found out once.
func TestCoarseRooms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := simcloud.Default()
		s.Homes[0].Quirks |= simcloud.CoarseRooms
		r := newRig(t, simcloud.Options{Scenario: s}, netatmo.Energy)
		r.start()
		time.Sleep(2 * time.Hour)
		for range 2 {
			r.terminate()
			away := time.Now()
			time.Sleep(6 * time.Hour)
			r.start()
			time.Sleep(4 * time.Hour)
			for _, room := range []string{"2746182001", "2746182002"} {
				filled := 0
				for ms := range r.backend.history[series{"", room, netatmo.Temperature}] {
					if at := time.UnixMilli(ms); at.After(away) && at.Before(away.Add(6*time.Hour)) {
						filled++
					}
				}
				if filled < 11 || filled > 13 {
					t.Errorf("%s: %d half hours of six hours", room, filled)
				}
			}
		}
		r.kill()
		if n := strings.Count(r.log.String(), "only in steps of half an hour"); n != 2 { // once a process
			t.Errorf("said %d times:\n%s", n, r.log)
		}
	})
}
