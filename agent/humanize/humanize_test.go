package humanize_test

import (
	"testing"
	"time"

	"netatmo-agent/agent/humanize"
)

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                            "0 s",
		119 * time.Second:            "119 s",
		2 * time.Minute:              "2 min",
		90*time.Minute + time.Second: "90 min",
		2 * time.Hour:                "2 h",
		48 * time.Hour:               "2 days",
		400 * 24 * time.Hour:         "400 days",
	} {
		if got := humanize.Duration(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "no modules", 1: "1 module", 2: "2 modules"} {
		if got := humanize.Count(n, "module"); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}

func TestAgo(t *testing.T) {
	if got := humanize.Ago(time.Now().Add(-5*time.Minute), "never"); got != "5 min ago" {
		t.Errorf("got %q", got)
	}
	if got := humanize.Ago(time.Time{}, "never"); got != "never" {
		t.Errorf("a zero time is %q", got)
	}
}
