package simcloud

import "time"

// quotaReached is the wording of 2026; the code has always been 26.
var quotaReached = &apiError{429, 26, "API limit exceeded. This could be your Application limit or User limit."}

// window counts the requests of a sliding period.
type window struct {
	length time.Duration
	limit  int // negative: none
	times  []time.Time
}

func (w *window) full(now time.Time) bool {
	gone := 0
	for gone < len(w.times) && now.Sub(w.times[gone]) >= w.length {
		gone++
	}
	w.times = w.times[gone:]
	return w.limit >= 0 && len(w.times) >= w.limit
}

func (w *window) add(now time.Time) {
	if w.limit >= 0 {
		w.times = append(w.times, now)
	}
}

// quota is what a user and the app may request. A refused request does not
// count.
type quota struct {
	short, long int
	app         []*window
	users       map[string][]*window
	lockedUntil time.Time
}

func newQuota(per10s, perHour int) quota {
	if per10s == 0 {
		per10s = 50
	}
	if perHour == 0 {
		perHour = 500
	}
	return quota{short: per10s, long: perHour, app: windows(4*per10s, 4*perHour), users: make(map[string][]*window)}
}

func windows(per10s, perHour int) []*window {
	return []*window{{length: 10 * time.Second, limit: per10s}, {length: time.Hour, limit: perHour}}
}

// take counts a request, or refuses it.
func (q *quota) take(user string, now time.Time) bool {
	if now.Before(q.lockedUntil) {
		return false
	}
	if q.users[user] == nil {
		q.users[user] = windows(q.short, q.long)
	}
	all := append(q.users[user], q.app...)
	for _, w := range all {
		if w.full(now) {
			return false
		}
	}
	for _, w := range all {
		w.add(now)
	}
	return true
}
