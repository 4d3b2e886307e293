package heartbeat

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/outage"
	"netatmo-agent/agent/poll"
	"netatmo-agent/agent/telemetry"
	"netatmo-agent/agent/words"
)

// Loops are what has to turn in an agent that is alive.
type Loops struct {
	Poller        *poll.Poller
	Families      []netatmo.Family // that it polls
	Gate          *netatmo.Gate    // that its requests pass
	Pusher        *telemetry.Pusher
	ExportTimeout time.Duration // of a push
}

// progress is how far a start has come.
type progress struct{ polled, pushed, failing bool }

func (h Heartbeat) progress() progress {
	return progress{!h.Polled.IsZero(), !h.Pushed.IsZero(), h.Failing}
}

const (
	// interval is between two heartbeats. Each costs half as much as a push.
	// After the wall clock was put forward, the last one looks old for so long.
	interval = time.Minute
	// glance is between two looks at the start, for which no heartbeat waits.
	glance = time.Second
	// patience is how late anything may be before it counts as hanging. A
	// suspended laptop or a busy SD card is no reason for a restart.
	patience = 5 * time.Minute
	// pollPatience is longer: a poll waits for its part of the hourly budget,
	// and asks about one home after another.
	pollPatience = 3 * time.Hour
)

// Beat writes the heartbeat to path until ctx ends, and then removes it. Until a
// poll and a push have succeeded it also writes what has become of them.
func (l Loops) Beat(ctx context.Context, path string, log *slog.Logger) {
	started := time.Now()
	trouble := outage.New(log, "writing the heartbeat")
	var told progress
	for next := started; ; {
		h := l.look(started)
		if is := h.progress(); is != told || !h.Written.Before(next) {
			if err := h.Write(path); err != nil {
				trouble.Failed("write", err, "consequence", "\"check --live\" cannot tell that this agent is alive")
			} else {
				trouble.OK()
			}
			told, next = is, h.Written.Add(interval)
		}
		pause := glance
		if told.polled && told.pushed {
			pause = time.Until(next)
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			_ = os.Remove(path)
			return
		case <-timer.C:
		}
	}
}

// look judges the loops, which began at started.
func (l Loops) look(started time.Time) Heartbeat {
	push, polls := l.Pusher.Stats(), l.Poller.Stats().Families
	h := Heartbeat{PID: os.Getpid(), Started: started, Written: time.Now(), Pushed: push.LastSuccess}
	late := func(what string, due time.Time, limit time.Duration) {
		if by := time.Since(due); by > limit {
			h.Hanging = append(h.Hanging, fmt.Sprintf("%s is late by %s", what, words.Span(by)))
		}
	}
	next := push.Next // also while the backend asks to wait
	if next.IsZero() {
		next = started
	}
	late("the push", next.Add(l.ExportTimeout), patience)
	pollFails := false
	for _, family := range l.Families {
		s := polls[family]
		if s.LastSuccess.After(h.Polled) {
			h.Polled = s.LastSuccess
		}
		pollFails = pollFails || s.Err != nil && !s.Aside
		switch s.Activity {
		case poll.Waiting: // for a login, as long as it takes
		case poll.Sleeping:
			late("the poll of "+string(family), s.Next, patience)
		case poll.Polling:
			since := s.Since
			if pause := l.Gate.PausedUntil(); pause.After(since) { // Netatmo asked for it
				since = pause
			}
			late("the answer about "+string(family), since, pollPatience)
		default:
			late("the first poll of "+string(family), started, patience)
		}
	}
	h.Failing = pollFails && h.Polled.IsZero() || len(push.Failures) > 0 && h.Pushed.IsZero()
	return h
}
