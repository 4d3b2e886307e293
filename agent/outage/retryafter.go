package outage

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// RetryAfter returns how long an HTTP answer asks to wait: at most most, and 0
// if it does not ask. The header is a number of seconds, or a date, which is
// relative to the answer's own date.
func RetryAfter(h http.Header, most time.Duration) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if value != "" && strings.Trim(value, "0123456789") == "" {
		if n, err := strconv.Atoi(value); err == nil && n < int(most/time.Second) {
			return time.Duration(n) * time.Second
		}
		return most
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	sent, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		sent = time.Now()
	}
	return min(max(at.Sub(sent), 0), most)
}
