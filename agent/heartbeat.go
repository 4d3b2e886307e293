package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"netatmo-agent/agent/config"
	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/outage"
	"netatmo-agent/agent/poll"
)

// heartbeat is what a running agent writes down for "check". Whether a loop
// hangs the agent judges itself, by its monotonic clock: a Raspberry Pi that
// learns the time of day is no reason for a restart. Nor are the login, Netatmo
// and the backend, which a restart does not cure.
type heartbeat struct {
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
	Written time.Time `json:"written"`
	Hanging []string  `json:"hanging,omitempty"` // loops, in words

	Polled  time.Time `json:"polled,omitzero"` // the last poll and push that succeeded
	Pushed  time.Time `json:"pushed,omitzero"`
	Failing bool      `json:"failing,omitempty"` // of these one has failed and never succeeded
}

// progress is how far a start has come.
type progress struct{ polled, pushed, failing bool }

func (h heartbeat) progress() progress {
	return progress{!h.Polled.IsZero(), !h.Pushed.IsZero(), h.Failing}
}

const (
	// beatInterval is between two heartbeats. Each costs half as much as a push.
	// After the wall clock was put forward, the last one looks old for so long.
	beatInterval = time.Minute
	// glance is between two looks at the start, for which no heartbeat waits.
	glance = time.Second
	// beatPatience is how late anything may be before it counts as hanging. A
	// suspended laptop or a busy SD card is no reason for a restart.
	beatPatience = 5 * time.Minute
	// pollPatience is longer: a poll waits for its part of the hourly budget,
	// and asks about one home after another.
	pollPatience = 3 * time.Hour
)

// heartbeatPath is one file for each token file, so that several agents on a
// machine do not meet.
func heartbeatPath(cfg *config.Config) string {
	dir := cmp.Or(os.Getenv("RUNTIME_DIRECTORY"), os.TempDir())
	sum := sha256.Sum256([]byte(cfg.TokenFile))
	return filepath.Join(dir, fmt.Sprintf("netatmo-agent-%x.heartbeat", sum[:6]))
}

// beat writes the heartbeat until ctx ends, and then removes it. Until a poll
// and a push have succeeded it also writes what has become of them.
func (a *agent) beat(ctx context.Context) {
	path, started := heartbeatPath(a.cfg), time.Now()
	trouble := outage.New(a.log, "writing the heartbeat")
	var told progress
	for next := started; ; {
		h := a.heartbeat(started)
		if is := h.progress(); is != told || !h.Written.Before(next) {
			if err := h.write(path); err != nil {
				trouble.Failed("write", err, "consequence", "\"check --live\" cannot tell that this agent is alive")
			} else {
				trouble.OK()
			}
			told, next = is, h.Written.Add(beatInterval)
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

// heartbeat looks at the loops that began at started.
func (a *agent) heartbeat(started time.Time) heartbeat {
	push, polls := a.pusher.Stats(), a.poller.Stats().Families
	h := heartbeat{PID: os.Getpid(), Started: started, Written: time.Now(), Pushed: push.LastSuccess}
	late := func(what string, due time.Time, patience time.Duration) {
		if by := time.Since(due); by > patience {
			h.Hanging = append(h.Hanging, fmt.Sprintf("%s is late by %s", what, span(by)))
		}
	}
	next := push.Next // also while the backend asks to wait
	if next.IsZero() {
		next = started
	}
	late("the push", next.Add(a.cfg.Push.ExportTimeout), beatPatience)
	pollFails := false
	for _, family := range a.cfg.Families {
		s := polls[netatmo.Family(family)]
		if s.LastSuccess.After(h.Polled) {
			h.Polled = s.LastSuccess
		}
		pollFails = pollFails || s.Err != nil && !s.Aside
		switch s.Activity {
		case poll.Waiting: // for a login, as long as it takes
		case poll.Sleeping:
			late("the poll of "+family, s.Next, beatPatience)
		case poll.Polling:
			since := s.Since
			if pause := a.gate.PausedUntil(); pause.After(since) { // Netatmo asked for it
				since = pause
			}
			late("the answer about "+family, since, pollPatience)
		default:
			late("the first poll of "+family, started, beatPatience)
		}
	}
	h.Failing = pollFails && h.Polled.IsZero() || len(push.Failures) > 0 && h.Pushed.IsZero()
	return h
}

// write replaces the file at path. The temporary directory is everybody's, so
// nothing that is there already is written through.
func (h heartbeat) write(path string) error {
	content, err := json.Marshal(h)
	if err != nil {
		return err
	}
	tmp := path + ".tmp"
	_ = os.Remove(tmp)
	file, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err := errors.Join(err, file.Close()); err != nil {
		_ = os.Remove(tmp)
		return err
	}
	return os.Rename(tmp, path)
}

// readHeartbeat returns the heartbeat of the agent with these settings. The
// error says that there is none or that the agent hangs.
func readHeartbeat(cfg *config.Config) (h heartbeat, err error) {
	path := heartbeatPath(cfg)
	content, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return h, fmt.Errorf("there is no heartbeat of an agent at %s", path)
	case err != nil:
		return h, err
	}
	if err := json.Unmarshal(content, &h); err != nil {
		return h, fmt.Errorf("the heartbeat at %s is damaged: %w", path, err)
	}
	if errors.Is(syscall.Kill(h.PID, 0), syscall.ESRCH) {
		return h, fmt.Errorf("the agent (process %d) has ended without a word: it was killed, or the machine was", h.PID)
	}
	if age := time.Since(h.Written); age > beatPatience {
		h.Hanging = append(h.Hanging, fmt.Sprintf("its last sign of life was %s ago", span(age)))
	}
	if len(h.Hanging) > 0 {
		return h, fmt.Errorf("the agent (process %d) hangs: %s", h.PID, strings.Join(h.Hanging, "; "))
	}
	return h, nil
}
