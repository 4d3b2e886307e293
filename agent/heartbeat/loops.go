package heartbeat

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"netatmo-agent/agent/humanize"
	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/outage"
	"netatmo-agent/agent/poll"
	"netatmo-agent/agent/telemetry"
)

// Loops are the loops of an agent that must not hang.
type Loops struct {
	Poller        *poll.Poller
	Families      []netatmo.Family // that Poller polls
	Gate          *netatmo.Gate    // for Poller's requests
	Pusher        *telemetry.Pusher
	ExportTimeout time.Duration // of a push
	Authorized    func() bool   // whether there is a login
}

// progress is how far the start has come.
type progress struct{ polled, pushed, failing bool }

func (h Heartbeat) progress() progress {
	return progress{!h.Polled.IsZero(), !h.Pushed.IsZero(), h.Failing}
}

const (
	// interval is the time between heartbeats. Each costs half as much as a push.
	// After the wall clock jumps forward, the last one looks old for this long.
	interval = time.Minute
	// glance is the time between checks until the first poll and push succeed.
	glance = time.Second
	// patience is how late a loop may be before it counts as hanging. A suspended
	// laptop or a busy SD card is no reason for a restart.
	patience = 5 * time.Minute
	// pollPatience is longer: a poll waits for its share of the hourly budget, and
	// asks for one home after another.
	pollPatience = 3 * time.Hour
)

// Beat writes the heartbeat of the agent with this token file every minute until
// ctx ends, then removes it. Until a poll and a push have succeeded, it also writes
// within a second of a change. It sends each heartbeat to systemd too.
func (l Loops) Beat(ctx context.Context, tokenFile string, log *slog.Logger) {
	started := time.Now()
	trouble, unheard := outage.New(log, "writing the heartbeat"), outage.New(log, "notifying systemd")
	var told progress
	for next := started; ; {
		h := l.look(started)
		if is := h.progress(); is != told || !h.Written.Before(next) {
			if err := h.Write(tokenFile); err != nil {
				trouble.Failed("write", err, "consequence", "\"check --live\" reports this agent as unhealthy")
			} else {
				trouble.OK()
			}
			if err := notify(h.systemdState(l.Authorized())); err != nil {
				unheard.Failed("notify", err, "consequence", "systemd may restart this agent")
			} else {
				unheard.OK()
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
			remove(tokenFile)
			_ = notify("STOPPING=1")
			return
		case <-timer.C:
		}
	}
}

// look checks the loops, which started at started.
func (l Loops) look(started time.Time) Heartbeat {
	push, polls := l.Pusher.Stats(), l.Poller.Stats().Families
	h := Heartbeat{PID: os.Getpid(), Started: started, Written: time.Now(), Pushed: push.LastSuccess}
	late := func(what string, due time.Time, limit time.Duration) {
		if by := time.Since(due); by > limit {
			h.Hanging = append(h.Hanging, fmt.Sprintf("%s is late by %s", what, humanize.Duration(by)))
		}
	}
	next := push.Next // later while the backend asks to wait
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
		case poll.Waiting: // for a login, without a limit
		case poll.Sleeping:
			late("the poll of "+string(family), s.Next, patience)
		case poll.Polling:
			since := s.Since
			if pause := l.Gate.PausedUntil(); pause.After(since) { // Netatmo asked for a pause
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
