package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"netatmo-agent/agent/config"
	"netatmo-agent/agent/outage"
	"netatmo-agent/agent/poll"
)

// heartbeat is what a running agent writes down for "check --live": when its
// loops last turned and when they mean to turn next. It says nothing about the
// login, Netatmo or the backend, because a restart cures none of them.
type heartbeat struct {
	PID     int                  `json:"pid"`
	Written time.Time            `json:"written"`
	Polls   map[string]pollBeat  `json:"polls"`
	Push    time.Time            `json:"push"`      // the last push ended, whatever its fate
	PushDue time.Time            `json:"push_due"`  // the next one begins at the latest
	Good    map[string]time.Time `json:"successes"` // for people: the last poll and push that succeeded
}

type pollBeat struct {
	Activity poll.Activity `json:"activity"`
	Since    time.Time     `json:"since"`
	Next     time.Time     `json:"next"`
}

const (
	beatInterval = 15 * time.Second
	// beatPatience is how late anything may be before it counts as stuck. A
	// suspended laptop or a busy SD card is no reason for a restart.
	beatPatience = 5 * time.Minute
	// pollPatience is longer, because a poll may wait out Netatmo's quota.
	pollPatience = 3 * time.Hour
)

// heartbeatPath is one file for each token file, so that several agents on a
// machine do not meet.
func heartbeatPath(cfg *config.Config) string {
	dir := os.Getenv("RUNTIME_DIRECTORY")
	if dir == "" {
		dir = os.TempDir()
	}
	sum := sha256.Sum256([]byte(cfg.TokenFile))
	return filepath.Join(dir, fmt.Sprintf("netatmo-agent-%x.heartbeat", sum[:6]))
}

// beat writes the heartbeat until ctx ends, and then removes it.
func (a *agent) beat(ctx context.Context) {
	path := heartbeatPath(a.cfg)
	trouble := outage.New(a.log, "heartbeat")
	tick := time.NewTicker(beatInterval)
	defer tick.Stop()
	for {
		if err := writeHeartbeat(path, a.heartbeat()); err != nil {
			trouble.Failed("write", err, "consequence", "\"check --live\" cannot tell that this agent is alive")
		} else {
			trouble.OK()
		}
		select {
		case <-ctx.Done():
			os.Remove(path)
			return
		case <-tick.C:
		}
	}
}

func (a *agent) heartbeat() heartbeat {
	push := a.pusher.Stats()
	h := heartbeat{
		PID: os.Getpid(), Written: time.Now(), Polls: map[string]pollBeat{},
		Push: push.LastSuccess, PushDue: push.LastSuccess.Add(a.cfg.Push.Interval + a.cfg.Push.ExportTimeout),
		Good: map[string]time.Time{"push": push.LastSuccess},
	}
	for family, s := range a.poller.Stats().Families {
		h.Polls[string(family)] = pollBeat{Activity: s.Activity, Since: s.Since, Next: s.Next}
		h.Good["poll "+string(family)] = s.LastSuccess
	}
	return h
}

func writeHeartbeat(path string, h heartbeat) error {
	content, err := json.Marshal(h)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".tmp", content, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}

// readHeartbeat returns the heartbeat at path and what is wrong with the agent
// that wrote it; nil if its loops turn.
func readHeartbeat(path string, now time.Time) (heartbeat, error) {
	var h heartbeat
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return h, fmt.Errorf("no agent runs: there is no heartbeat at %s", path)
	}
	if err != nil {
		return h, err
	}
	if err := json.Unmarshal(content, &h); err != nil {
		return h, fmt.Errorf("the heartbeat at %s is not one: %w", path, err)
	}
	return h, h.stuck(now)
}

func (h heartbeat) stuck(now time.Time) error {
	late := func(what string, due time.Time, patience time.Duration) error {
		if by := now.Sub(due); by > patience {
			return fmt.Errorf("%s is late by %s", what, by.Round(time.Second))
		}
		return nil
	}
	problems := []error{late("the heartbeat of process "+fmt.Sprint(h.PID), h.Written, beatPatience)}
	if !h.Push.IsZero() {
		problems = append(problems, late("the push", h.PushDue, beatPatience))
	}
	for family, p := range h.Polls {
		switch p.Activity {
		case poll.Sleeping:
			problems = append(problems, late("the poll of "+family, p.Next, beatPatience))
		case poll.Polling:
			problems = append(problems, late("the answer of "+family, p.Since, pollPatience))
		}
	}
	return errors.Join(problems...)
}
