package poll_test

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"netatmo-agent/agent/catalogue"
	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/poll"
	"netatmo-agent/agent/record"
)

// fake is a Source whose answers the test sets.
type fake struct {
	weather func() (netatmo.Answer, error)
	coaches func() (netatmo.Answer, error)
	homes   func() ([]netatmo.Home, error)
	status  func(netatmo.Home) (netatmo.Answer, error)
	measure func(netatmo.MeasureQuery) ([]netatmo.Sample, error)
	odd     int // rows of history in each answer that the client does not understand

	// world is held by the test, except while time passes, and by every request
	// and push, so that the test may read and change everything.
	world sync.Mutex
	times map[string][]time.Time // of the calls, by method
}

// called records a call, and locks the world until the call has its answer.
func (f *fake) called(method string) (release func()) {
	f.world.Lock()
	if f.times == nil {
		f.times = map[string][]time.Time{}
	}
	f.times[method] = append(f.times[method], time.Now())
	return f.world.Unlock
}

func (f *fake) calls(method string) []time.Time { return f.times[method] }

func (f *fake) Weather(context.Context, bool) (netatmo.Answer, error) {
	defer f.called("weather")()
	return f.weather()
}

func (f *fake) HomeCoaches(context.Context) (netatmo.Answer, error) {
	defer f.called("coaches")()
	return f.coaches()
}

func (f *fake) Homes(context.Context) ([]netatmo.Home, error) {
	defer f.called("homes")()
	return f.homes()
}

func (f *fake) HomeStatus(_ context.Context, h netatmo.Home) (netatmo.Answer, error) {
	defer f.called("status " + h.ID)()
	return f.status(h)
}

func (f *fake) Measure(_ context.Context, q netatmo.MeasureQuery, _ netatmo.Priority) (netatmo.Page, error) {
	defer f.called("measure " + q.DeviceID + q.RoomID + " " + q.ModuleID)()
	samples, err := f.measure(q)
	return netatmo.Page{Samples: samples, Odd: f.odd}, err
}

// answer returns a current answer.
func answer(readings ...netatmo.Reading) netatmo.Answer {
	now := time.Now()
	for i := range readings {
		readings[i].Answered = now
	}
	return netatmo.Answer{Readings: readings, Server: now}
}

// outdoor is the reading of an outdoor module of a station.
func outdoor(station, module string, measured time.Time, temperature float64) netatmo.Reading {
	return netatmo.Reading{
		Family: netatmo.Weather, ModuleID: module, ModuleName: "name of " + module, ModuleType: netatmo.TypeOutdoor,
		StationID: station, StationName: "name of " + station, Measured: measured, Seen: measured,
		Values: netatmo.Values{
			{Field: netatmo.Temperature, Number: temperature},
			{Field: netatmo.TemperatureMax, Number: 30},
			{Field: netatmo.BatteryPercent, Number: 80},
			{Field: netatmo.Reachable, Number: 1},
		},
	}
}

func value(t *testing.T, r netatmo.Reading, f netatmo.Field) float64 {
	t.Helper()
	v, ok := r.Values.Get(f)
	if !ok {
		t.Fatalf("%s has no field %d", r.ModuleID, f)
	}
	return v
}

func failure(class netatmo.Class) error {
	return &netatmo.Error{Class: class, Code: netatmo.NoCode, Endpoint: "test"}
}

// agent is a poller on a fake source.
type agent struct {
	*rig
	fake *fake
}

// newAgent returns an agent that is not started, with fixed intervals of ten
// minutes unless the test changes that.
func newAgent(t *testing.T, f *fake, families ...netatmo.Family) *agent {
	t.Helper()
	if f.measure == nil {
		f.measure = func(netatmo.MeasureQuery) ([]netatmo.Sample, error) { return nil, nil }
	}
	r := &rig{t: t, state: stateFile(t), backend: newBackend(), log: &bytes.Buffer{}, source: f}
	log := slog.New(slog.NewTextHandler(r.log, nil))
	r.cfg = poll.Config{Families: families, Interval: 10 * time.Minute, Logger: log}
	r.known = record.Config{MaxGap: 24 * time.Hour, History: catalogue.History, Logger: log}
	r.backend.world = &f.world
	f.world.Lock()
	return &agent{r, f}
}

// sleep lets time pass, until every goroutine waits.
func (a *agent) sleep(d time.Duration) {
	a.fake.world.Unlock()
	time.Sleep(d)
	synctest.Wait()
	a.fake.world.Lock()
}

func (a *agent) kill() {
	a.fake.world.Unlock()
	a.rig.kill()
	a.fake.world.Lock()
}

func (a *agent) terminate() {
	a.fake.world.Unlock()
	a.rig.terminate()
	a.fake.world.Lock()
}

func (a *agent) readings() map[string]netatmo.Reading {
	byID := map[string]netatmo.Reading{}
	for _, r := range a.record.Readings() {
		byID[r.ModuleID] = r
	}
	return byID
}
