package poll_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/simcloud"
)

// notOnce lists the samples of a time that the backend does not have exactly
// once, and those it has that no sensor measured then.
func (r *rig) notOnce(from, to time.Time) (wrong []string, expected int) {
	r.backend.mu.Lock()
	defer r.backend.mu.Unlock()
	for _, m := range r.cloud.Modules() {
		for _, c := range moduleHistory(m) {
			s := series{stationOf(m), m.ID, c.Field}
			held := r.cloud.Held(m.ID, c.Type, from, to)
			expected += len(held)
			stray := 0
			for ms := range r.backend.points[s] {
				if at := time.UnixMilli(ms); !at.Before(from) && !at.After(to) {
					stray++
				}
			}
			for _, x := range held {
				if v, ok := r.backend.points[s][x.Time.UnixMilli()]; !ok || v != x.Value {
					wrong = append(wrong, fmt.Sprintf("%s %s at %s: %v", m.Name, c.Type, x.Time.UTC().Format(time.DateTime), ok))
				} else {
					stray--
				}
			}
			if stray > 0 {
				wrong = append(wrong, fmt.Sprintf("%s %s: %d points astray", m.Name, c.Type, stray))
			}
		}
	}
	return wrong, expected
}

// owning is an account of stations with so many modules, stations included.
func owning(modules int) *simcloud.Scenario {
	stations := (modules + 6) / 7
	s := simcloud.Large(stations)
	for i, left := 0, modules; i < stations; i++ {
		n := left / (stations - i)
		s.Homes[i].Stations[0].Modules = s.Homes[i].Stations[0].Modules[:n-1]
		left -= n
	}
	return s
}

// Every measurement arrives once, at its own time, within the budget, however many
// modules there are. Where the budget is too small for all at once, the agent says
// so once, and they are only late.
func TestMeasured(t *testing.T) {
	for _, test := range []struct {
		modules, perHour int
		latest           time.Duration // from a measurement to its arrival
		short            bool
	}{
		{1, 7, 11 * time.Minute, false},
		{7, 42, 12 * time.Minute, false},
		{30, 180, 15 * time.Minute, false},
		{120, 250, 55 * time.Minute, true},
	} {
		t.Run(fmt.Sprint(test.modules, " modules"), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, simcloud.Options{Scenario: owning(test.modules)}, netatmo.Weather)
				r.known.Measured, r.known.Budget = true, 300
				var latest time.Duration
				r.backend.onHistory = func(at time.Time) { latest = max(latest, time.Since(at)) }
				r.start()
				begin := time.Now()
				time.Sleep(2 * time.Hour)
				before := r.cloud.Requests()
				r.backend.mu.Lock() // which guards latest
				latest = 0
				r.backend.mu.Unlock()
				const hours = 10
				time.Sleep(hours * time.Hour)
				after := r.cloud.Requests()
				r.terminate()
				wrong, expected := r.notOnce(begin.Add(time.Minute), time.Now().Add(-test.latest))
				measures := float64(after["getmeasure"]-before["getmeasure"]) / hours
				polls := float64(after["getstationsdata"]-before["getstationsdata"]) / hours
				t.Logf("%d modules: %.1f requests for history and %.1f polls an hour, latest arrival %s after the measurement, %d samples expected, %d wrong, %d twice",
					test.modules, measures, polls, latest.Round(time.Second), expected, len(wrong), r.backend.twice)
				if len(wrong) > 0 || r.backend.twice > 0 || expected == 0 {
					t.Errorf("%v\n%s", wrong[:min(len(wrong), 20)], r.log)
				}
				if measures > float64(test.perHour) || latest > test.latest {
					t.Errorf("want at most %d requests an hour, and %s", test.perHour, test.latest)
				}
				if said := r.logged("measurements arrive late") == 1; said != test.short {
					t.Errorf("said that the budget is short: %v\n%s", said, r.log)
				}
				if n := r.logged("gap filled"); n > 0 {
					t.Errorf("%d gaps, of which there are none", n)
				}
			})
		})
	}
}

// Through outages of everything, at random, every measurement of the window arrives
// once; twice only where the agent was killed before it could note that.
func TestMeasuredThroughOutages(t *testing.T) {
	for seed := range *runs {
		for _, ordered := range []bool{false, true} {
			t.Run(fmt.Sprint(seed, " in order: ", ordered), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					random := rand.New(rand.NewPCG(seed, 11))
					r := newRig(t, simcloud.Options{}, netatmo.Weather, netatmo.HomeCoach, netatmo.Energy)
					r.known.Measured, r.known.MaxGap, r.backend.ordered = true, 72*time.Hour, ordered
					r.backend.onLive = func(now time.Time, x netatmo.Reading) {
						for _, c := range r.known.History(x.ModuleType) {
							if _, ok := x.Values.Get(c.Field); ok {
								t.Errorf("%s: a live value of field %d of %s", now, c.Field, x.ModuleName)
							}
						}
					}
					r.start()
					begin := time.Now()
					time.Sleep(40 * time.Minute)
					killed := false
					for range 8 {
						names := make([]string, 0, len(outages))
						for name := range outages {
							names = append(names, name)
						}
						slices.Sort(names)
						name := names[random.IntN(len(names))]
						killed = killed || agentOutage(name)
						end := outages[name](r)
						time.Sleep(time.Duration(random.ExpFloat64() * float64(90*time.Minute)))
						end()
						time.Sleep(time.Duration(random.ExpFloat64() * float64(40*time.Minute)))
					}
					time.Sleep(3 * time.Hour)
					r.terminate()
					wrong, expected := r.notOnce(begin.Add(time.Minute), time.Now().Add(-time.Hour))
					t.Logf("%d samples expected, %d wrong, %d twice", expected, len(wrong), r.backend.twice)
					if len(wrong) > 0 || expected == 0 || r.backend.twice > 0 && !killed {
						t.Errorf("%v\n%s", wrong[:min(len(wrong), 20)], r.log)
					}
				})
			})
		}
	}
}

// The steps of a day's rain add up to what Netatmo says of the day.
func TestMeasuredRain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const days = 14
		r := newRig(t, simcloud.Options{}, netatmo.Weather)
		r.known.Measured = true
		zone, err := time.LoadLocation("Europe/Berlin")
		if err != nil {
			t.Fatal(err)
		}
		r.start()
		begin := time.Now().In(zone)
		time.Sleep((days + 1) * 24 * time.Hour)
		r.terminate()
		wet := 0
		for _, m := range r.cloud.Modules() {
			if m.Type != simcloud.TypeRain {
				continue
			}
			for n := range days {
				day := time.Date(begin.Year(), begin.Month(), begin.Day()+1+n, 0, 0, 0, 0, zone)
				total := 0.0
				for ms, v := range r.backend.points[series{m.StationID, m.ID, netatmo.Rain}] {
					if at := time.UnixMilli(ms); !at.Before(day) && at.Before(day.AddDate(0, 0, 1)) {
						total += v
					}
				}
				if want := r.rainOf(m, day); math.Abs(total-want) > 0.0005 {
					t.Errorf("%s: the steps give %.3f mm, Netatmo says %.3f mm", day.Format(time.DateOnly), total, want)
				} else if want > 0 {
					wet++
				}
			}
		}
		if wet < 3 {
			t.Errorf("%d days with rain", wet)
		}
		t.Logf("%d days, %d of them wet", days, wet)
	})
}

// rainOf asks Netatmo for the rain of a day.
func (r *rig) rainOf(m simcloud.Module, day time.Time) float64 {
	r.t.Helper()
	form := url.Values{
		"device_id": {m.StationID}, "module_id": {m.ID}, "scale": {"1day"}, "type": {"sum_rain"}, "limit": {"1"},
		"date_begin": {strconv.FormatInt(day.Unix(), 10)}, "optimize": {"false"}, "access_token": {r.cloud.Auth().Grant("read_station").Access},
	}
	w := httptest.NewRecorder()
	r.cloud.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/getmeasure?"+form.Encode(), nil))
	var answer struct{ Body map[string][]float64 }
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		r.t.Fatalf("%v: %s", err, w.Body)
	}
	for _, values := range answer.Body {
		return values[0]
	}
	return 0
}

// What Netatmo's history shows late is late, and not lost; the agent does not ask
// more often meanwhile than about twice an upload.
func TestMeasuredThatShowsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const lag = 12 * time.Minute
		m := &twoModules{}
		hidden := func(at time.Time) bool { return at.After(time.Now().Add(-lag)) }
		a := newAgent(t, &fake{weather: m.weather, measure: sampled(hidden)}, netatmo.Weather)
		a.known.Measured = true
		a.start()
		begin := time.Now()
		a.sleep(24 * time.Hour)
		for at := begin.Truncate(5 * time.Minute).Add(5 * time.Minute); at.Before(time.Now().Add(-30 * time.Minute)); at = at.Add(5 * time.Minute) {
			if _, ok := a.backend.points[series{"s", "a", netatmo.Temperature}][at.UnixMilli()]; !ok {
				t.Errorf("the sample of %s is missing", at.UTC().Format(time.TimeOnly))
			}
		}
		if n := len(a.fake.calls("measure s a")); n > 2*24*6+5 || a.backend.twice > 0 {
			t.Errorf("%d requests, %d points twice", n, a.backend.twice)
		}
		a.kill()
	})
}

// If Netatmo refuses a module's history, its newest values are pushed live.
func TestMeasuredThatIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &twoModules{}
		a := newAgent(t, &fake{weather: m.weather, measure: func(q netatmo.MeasureQuery) ([]netatmo.Sample, error) {
			if q.ModuleID == "b" {
				return nil, failure(netatmo.ClassInvalid)
			}
			return sampled(nil)(q)
		}}, netatmo.Weather)
		a.known.Measured = true
		pushes := livePushes(a)
		a.start()
		a.sleep(3 * time.Hour)
		if len(pushes["a"]) > 0 || len(pushes["b"]) < 100 || len(pushes["battery a"]) < 100 {
			t.Errorf("live pushes: %d of a, %d of b, %d of a's battery\n%s", len(pushes["a"]), len(pushes["b"]), len(pushes["battery a"]), a.log)
		}
		a.kill()
	})
}
