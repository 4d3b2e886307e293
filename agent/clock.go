package main

import (
	"context"
	"time"

	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/record"
)

// timeAgain is the time between the first request for the time and the second
// one. It doubles five times.
const timeAgain = 10 * time.Second

// askTime asks Netatmo for the time, which needs no login, until the local clock
// is known to be right. With a login, the answer to the first poll has the time.
func (a *agent) askTime(ctx context.Context) {
	for n := 0; ; n++ {
		unsure, fault := a.record.Clock()
		switch {
		case !unsure:
			return
		case fault != nil && (n > 0 || a.source.Status().LoggedOut()) && a.gate.Wait(ctx, netatmo.Live) == nil:
			if _, _, _, err := a.client.Time(ctx); err != nil {
				a.log.Debug("requesting the time from Netatmo failed", "error", err)
			}
		}
		timer := time.NewTimer(timeAgain << min(n, 5))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// hear returns a func that records the time of answers other than Netatmo's
// readings.
func (a *agent) hear(witness record.Witness) func(server, local time.Time) {
	return func(server, local time.Time) { a.record.HearTime(witness, server, local) }
}
