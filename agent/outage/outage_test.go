package outage_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"netatmo-agent/agent/outage"
)

func TestOneLinePerChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := outage.New(slog.New(slog.NewTextHandler(&out, nil)), "push")
		l.OK()
		for range 150 {
			l.Failed("unreachable", errors.New("connection refused"))
			time.Sleep(time.Minute)
		}
		l.Failed("auth", errors.New("status 401"))
		if !l.Failing() {
			t.Error("Failing() = false during an outage")
		}
		l.OK()
		l.OK()

		want := []string{
			`msg="push failed" error="connection refused"`,
			`msg="push still failing" error="connection refused"`,
			`msg="push still failing" error="connection refused"`,
			`msg="push failed" error="status 401"`,
			`msg="push works again" after=2h30m0s failures=151`,
		}
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if len(lines) != len(want) {
			t.Fatalf("%d lines, want %d:\n%s", len(lines), len(want), out.String())
		}
		for i := range want {
			if !strings.Contains(lines[i], want[i]) {
				t.Errorf("line %d is %q, want it to contain %q", i+1, lines[i], want[i])
			}
		}
	})
}

// A faulty proxy whose answers alternate is not news each time.
func TestReasonsThatAlternate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := outage.New(slog.New(slog.NewTextHandler(&out, nil)), "push")
		for range 300 {
			l.Failed("unavailable", errors.New("status 502"))
			time.Sleep(time.Minute)
			l.Failed("timeout", errors.New("status 504"))
			time.Sleep(time.Minute)
		}
		if lines := strings.Count(out.String(), "level=WARN"); lines != 20 {
			t.Errorf("%d lines in ten hours:\n%s", lines, out.String())
		}
	})
}
