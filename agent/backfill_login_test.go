package main

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"netatmo-agent/agent/logtest"
	"netatmo-agent/auth/authtest"
)

// Netatmo may refuse a refresh token for some minutes and then accept it again.
// A backfill waits for that, like the agent.
func TestBackfillWaitsWhileTheRefusalOfTheLoginIsInDoubt(t *testing.T) {
	for name, test := range map[string]struct {
		args  []string
		left  time.Duration // of the access token's lifetime
		times int
	}{
		"before it begins":  {[]string{"--since", "1d", "--dry-run"}, -time.Minute, 2},
		"while it is at it": {[]string{"--since", "30d"}, 10 * time.Second, 2},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDay(t, "text", "weather")
			synctest.Test(t, func(t *testing.T) {
				d.t = t
				d.serve()
				d.logIn(test.left)
				d.cloud.Auth().Inject(authtest.Fault{Kind: authtest.InvalidGrant, Times: test.times})
				var out, log logtest.Log
				code := execute(t.Context(), append([]string{"backfill"}, test.args...), strings.NewReader(""), &out, &log)
				if code != exitDone {
					t.Errorf("exit code %d:\n%s%s", code, out.String(), log.String())
				}
				if n := d.cloud.Auth().Stats().Requests[authtest.Request{Grant: "refresh_token", Outcome: "invalid_grant"}]; n != test.times {
					t.Errorf("%d refusals: %+v", n, d.cloud.Auth().Stats().Requests)
				}
			})
		})
	}
}

// The exit code says that a backfill ended before it was done.
func TestInterruptedBackfillExitsWith1(t *testing.T) {
	d := newDay(t, "text", "weather")
	synctest.Test(t, func(t *testing.T) {
		d.t = t
		d.serve()
		d.logIn(3 * time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var out, log logtest.Log
		code := execute(ctx, []string{"backfill", "--since", "30d"}, strings.NewReader(""), &out, &log)
		if code != exitFailed || !strings.Contains(log.String(), "interrupted; run the same command again to resume") {
			t.Errorf("exit code %d:\n%s%s", code, out.String(), log.String())
		}
	})
}
