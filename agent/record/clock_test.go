package record_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/poll"
	"netatmo-agent/agent/record"
)

// coaches is a Source with one home coach that counts requests. The local clock
// was an hour ahead of its first answer.
type coaches struct {
	netatmo.API
	asked int
}

func (c *coaches) HomeCoaches(context.Context) (netatmo.Answer, error) {
	offset := time.Duration(0)
	if c.asked++; c.asked == 1 {
		offset = time.Hour
	}
	now := time.Now().Add(-offset)
	return netatmo.Answer{Server: now, Offset: offset, Readings: []netatmo.Reading{{ModuleID: "c", StationID: "c", Measured: now, Answered: now}}}, nil
}

// A corrected clock is noticed within a minute, whatever else reads the clock
// meanwhile.
func TestACorrectedClockIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := slog.New(slog.DiscardHandler)
		state, err := record.OpenState(filepath.Join(t.TempDir(), record.StateName), log)
		if err != nil {
			t.Fatal(err)
		}
		source := &coaches{}
		r := record.New(record.Config{MaxGap: time.Hour, History: func(string) []netatmo.Column { return nil }, Logger: log}, state)
		p := poll.New(poll.Config{Families: []netatmo.Family{netatmo.HomeCoach}, Interval: time.Hour, Logger: log}, source, r)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { p.Run(ctx); close(done) }()
		time.Sleep(90 * time.Second)
		synctest.Wait()
		if r.ClockOK() {
			t.Error("a clock that is an hour off counts as right")
		}
		r.StepClock(-time.Hour)
		for range 3 { // as other callers do
			_, _ = r.ClockOK(), r.ClockMoved()
		}
		time.Sleep(70 * time.Second)
		synctest.Wait()
		if source.asked != 2 || !r.ClockOK() {
			t.Errorf("%d requests, clock right: %v", source.asked, r.ClockOK())
		}
		cancel()
		<-done
	})
}
