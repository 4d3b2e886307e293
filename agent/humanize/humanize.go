// Package humanize writes counts and durations as people read them.
package humanize

import (
	"fmt"
	"time"
)

// Count returns "no modules", "1 module" or "2 modules".
func Count(n int, what string) string {
	switch n {
	case 0:
		return "no " + what + "s"
	case 1:
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Duration returns d in its largest suitable unit, such as "90 min" or "2 days".
func Duration(d time.Duration) string {
	units := []struct {
		size, until time.Duration
		name        string
	}{
		{time.Second, 2 * time.Minute, "s"},
		{time.Minute, 2 * time.Hour, "min"},
		{time.Hour, 48 * time.Hour, "h"},
	}
	for _, u := range units {
		if d < u.until {
			return fmt.Sprintf("%.0f %s", d.Round(u.size).Seconds()/u.size.Seconds(), u.name)
		}
	}
	return fmt.Sprintf("%.0f days", d.Hours()/24)
}

// Ago returns how long ago t was, such as "5 min ago", or never if t is zero.
func Ago(t time.Time, never string) string {
	if t.IsZero() {
		return never
	}
	return Duration(max(0, time.Since(t))) + " ago"
}
