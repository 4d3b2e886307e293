package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"netatmo-agent/auth/authtest"
)

// Logs are rotated, so the link is logged again once a day while it is needed.
func TestTheLinkIsLoggedOnceADay(t *testing.T) {
	d := newDay(t, "text", "weather")
	synctest.Test(t, func(t *testing.T) {
		d.t = t
		d.serve()
		d.begin()
		time.Sleep(25 * time.Hour)
		d.stop()
		if n := strings.Count(d.log.String(), "a login is needed"); n != 2 {
			t.Errorf("logged %d times in 25 hours:\n%s", n, d.log.String())
		}
	})
}

// If Netatmo withdraws a login, the log has one line when it stops working and
// one when the loss is final.
func TestALostLoginIsTwoLines(t *testing.T) {
	d := newDay(t, "text", "weather")
	synctest.Test(t, func(t *testing.T) {
		d.t = t
		d.start()
		time.Sleep(time.Hour)
		synctest.Wait()
		before := strings.Count(d.log.String(), "\n")
		d.cloud.Auth().Revoke()
		d.cloud.Auth().Inject(authtest.Fault{Kind: authtest.InvalidGrant, Times: -1})
		time.Sleep(12 * time.Hour)
		synctest.Wait()
		lines := strings.Split(strings.TrimSpace(d.log.String()), "\n")[before:]
		if len(lines) != 2 || !strings.Contains(lines[0], "a login is needed") || !strings.Contains(lines[1], "the login cannot be renewed") {
			t.Errorf("the log:\n%s", strings.Join(lines, "\n"))
		}
		d.stop()
	})
}

// A scope that is missing is a line with the link, and one about the family.
func TestAMissingScopeIsTwoLines(t *testing.T) {
	d := newDay(t, "text", "weather,homecoach")
	synctest.Test(t, func(t *testing.T) {
		d.t = t
		d.serve()
		d.logIn(3*time.Hour, "read_station")
		d.begin()
		time.Sleep(2 * time.Hour)
		d.stop()
		warnings := 0
		for line := range strings.Lines(d.log.String()) {
			if strings.Contains(line, "level=WARN") {
				warnings++
			}
		}
		if warnings != 2 || !strings.Contains(d.log.String(), `reason="the login lacks a scope; log in again to grant it. Everything else keeps working" missing_scopes=[read_homecoach]`) {
			t.Errorf("%d warnings:\n%s", warnings, d.log.String())
		}
	})
}
