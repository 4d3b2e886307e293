package poll_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"netatmo-agent/agent/netatmo"
)

// paced is what an account with a weather station and homes saw in six hours.
type paced struct {
	weather  time.Duration // longest time between two requests for the station, beyond its cadence
	home     time.Duration // longest time between two requests for the state of a home
	last     time.Duration // until the last home was first requested
	requests int           // most in any hour
	stale    int           // homes without a current value, seen every minute after the first round
}

// pace runs an agent with so many homes for six hours, behind the real gate.
func pace(t *testing.T, homes, budget int) (p paced) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		list := make([]netatmo.Home, homes)
		for i := range list {
			list[i].ID = fmt.Sprintf("home%03d", i)
		}
		begin := time.Now()
		f := &fake{
			weather: func() (netatmo.Answer, error) {
				since := time.Since(begin)
				return answer(outdoor("station", "garden", begin.Add(since.Truncate(10*time.Minute)), since.Minutes())), nil
			},
			homes: func() ([]netatmo.Home, error) { return list, nil },
			status: func(h netatmo.Home) (netatmo.Answer, error) {
				r := room("room of "+h.ID, "Hall", 20)
				r.HomeID = h.ID
				return answer(r), nil
			},
		}
		a := newAgent(t, f, netatmo.Weather, netatmo.Energy)
		a.cfg.Interval, a.cfg.PerHour = 0, budget
		gated := &gatedFake{fake: f, gate: netatmo.NewGate(budget)}
		a.source = gated
		a.start()
		round := max(5*time.Minute, time.Duration(homes)*2*time.Hour/time.Duration(budget))
		for range 6 * 60 {
			a.sleep(time.Minute)
			if time.Since(begin) < round+30*time.Minute {
				continue
			}
			current := 0
			for _, r := range a.readings() {
				if r.HomeID != "" && time.Since(r.Answered) <= r.Lasts(20*time.Minute) {
					current++
				}
			}
			p.stale += homes - current
		}
		a.kill()
		p.weather = longestPause(f.calls("weather")) - 10*time.Minute
		for _, h := range list {
			calls := f.calls("status " + h.ID)
			p.home, p.last = max(p.home, longestPause(calls)), max(p.last, calls[0].Sub(begin))
		}
		p.requests = gated.most()
	})
	return p
}

func longestPause(calls []time.Time) (longest time.Duration) {
	for i := 1; i < len(calls); i++ {
		longest = max(longest, calls[i].Sub(calls[i-1]))
	}
	return longest
}

// gatedFake waits for the real gate before each request, as the client does.
type gatedFake struct {
	*fake
	gate *netatmo.Gate

	mu   sync.Mutex
	sent []time.Time
}

func (g *gatedFake) wait(ctx context.Context, p netatmo.Priority) error {
	if err := g.gate.Wait(ctx, p); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sent = append(g.sent, time.Now())
	return nil
}

// most is how many requests the busiest hour had.
func (g *gatedFake) most() (most int) {
	for i, first := 0, 0; i < len(g.sent); i++ {
		for g.sent[i].Sub(g.sent[first]) >= time.Hour {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

func (g *gatedFake) Weather(ctx context.Context, favorites bool) (netatmo.Answer, error) {
	if err := g.wait(ctx, netatmo.Live); err != nil {
		return netatmo.Answer{}, err
	}
	return g.fake.Weather(ctx, favorites)
}

func (g *gatedFake) Homes(ctx context.Context) ([]netatmo.Home, error) {
	if err := g.wait(ctx, netatmo.Homes); err != nil {
		return nil, err
	}
	return g.fake.Homes(ctx)
}

func (g *gatedFake) HomeStatus(ctx context.Context, h netatmo.Home) (netatmo.Answer, error) {
	if err := g.wait(ctx, netatmo.Homes); err != nil {
		return netatmo.Answer{}, err
	}
	return g.fake.HomeStatus(ctx, h)
}

// Half of the budget is for homes. Their round is as short as that allows, and a
// weather station beside them keeps its own time.
func TestPace(t *testing.T) {
	const budget = 400
	t.Logf("%5s  %18s  %15s  %10s  %16s", "homes", "weather late by", "a home's round", "all after", "requests an hour")
	for _, homes := range []int{1, 35, 100, 300} {
		p := pace(t, homes, budget)
		t.Logf("%5d  %18s  %15s  %10s  %16d", homes, p.weather.Round(time.Second), p.home.Round(time.Second), p.last.Round(time.Second), p.requests)
		round := max(5*time.Minute, time.Duration(homes)*2*time.Hour/budget)
		if p.weather > time.Minute {
			t.Errorf("%d homes: the station was polled %s late", homes, p.weather)
		}
		if p.home > round+time.Minute {
			t.Errorf("%d homes: a home was not polled for %s, want %s at most", homes, p.home, round)
		}
		if p.requests > budget {
			t.Errorf("%d homes: %d requests in an hour", homes, p.requests)
		}
		if p.stale > 0 {
			t.Errorf("%d homes: values were withheld %d times", homes, p.stale)
		}
	}
}

// NETATMO_REQUESTS_PER_HOUR sets the pace of fewer homes too.
func TestPaceOfASmallBudget(t *testing.T) {
	p := pace(t, 10, 100)
	if p.home > 12*time.Minute+time.Second || p.home < 11*time.Minute || p.requests > 100 || p.weather > time.Minute || p.stale > 0 {
		t.Errorf("a round of %s, want 12 minutes; %+v", p.home, p)
	}
}
