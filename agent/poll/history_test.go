package poll_test

import (
	"testing"
	"testing/synctest"
	"time"

	"netatmo-agent/agent/netatmo"
)

// Answers that begin before the requested period, and end there, do not make
// the agent repeat the request for ever.
func TestHistoryWithoutProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		measured := time.Now()
		a := newAgent(t, &fake{
			weather: func() (netatmo.Answer, error) { return answer(outdoor("s", "m", measured, 20)), nil },
			measure: func(q netatmo.MeasureQuery) ([]netatmo.Sample, error) {
				first := netatmo.Value{Field: q.Columns[0].Field, Number: 1}
				return []netatmo.Sample{{Time: q.Begin.Add(-time.Hour), Values: netatmo.Values{first}}}, nil
			},
		}, netatmo.Weather)
		a.start()
		a.sleep(time.Minute)
		a.kill()
		measured = time.Now().Add(5 * time.Hour)
		a.sleep(5 * time.Hour)
		a.start()
		a.sleep(30 * time.Minute)
		if n := len(a.fake.calls("measure s m")); n == 0 || n > 5 {
			t.Errorf("%d requests for one gap", n)
		}
		a.kill()
	})
}

// A gap is logged as filled only if the backend accepted some of it.
func TestRefusedGapIsNotFilled(t *testing.T) {
	for _, refuses := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			m := &twoModules{}
			a := newAgent(t, &fake{weather: m.weather, measure: sampled(nil)}, netatmo.Weather)
			a.backend.refuses = refuses
			a.start()
			a.sleep(time.Hour)
			a.kill()
			a.sleep(3 * time.Hour)
			a.start()
			a.sleep(time.Hour)
			a.kill()
			if said := a.logged("gap filled") > 0; said == refuses {
				t.Errorf("refused: %v, logged: %v\n%s", refuses, said, a.log)
			}
		})
	}
}
