package outage_test

import (
	"net/http"
	"testing"
	"time"

	"netatmo-agent/agent/outage"
)

func TestRetryAfter(t *testing.T) {
	date := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(http.TimeFormat) }
	for _, tt := range []struct {
		header, date string
		want         time.Duration
	}{
		{"17", "", 17 * time.Second},
		{" 17 ", "", 17 * time.Second},
		{"1000000000", "", time.Hour},
		{"99999999999999999999999", "", time.Hour},
		{"0", "", 0},
		{"-17", "", 0},
		{"soon", "", 0},
		{"", "", 0},
		{date(-time.Hour), "", 0},
		{date(48 * time.Hour), "", time.Hour},
		{date(-9 * time.Minute), date(-10 * time.Minute), time.Minute}, // a server whose clock is slow
	} {
		h := http.Header{"Retry-After": {tt.header}, "Date": {tt.date}}
		if got := outage.RetryAfter(h, time.Hour); got != tt.want {
			t.Errorf("%q at %q: %s, want %s", tt.header, tt.date, got, tt.want)
		}
	}
}
