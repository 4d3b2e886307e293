package simcloud

import (
	"fmt"
	"testing"
	"time"
)

// The login has only one user, so the quota of the app is tested here.
func TestQuotaOfTheApp(t *testing.T) {
	now := time.Unix(1760000000, 0)
	q := newQuota(0, 0)
	passed := 0
	for user := range 10 {
		for range 30 {
			if q.take(fmt.Sprint(user), now) {
				passed++
			}
		}
	}
	if passed != 200 {
		t.Errorf("%d requests of ten users passed within 10 s, want 200", passed)
	}
	q, passed = newQuota(0, 0), 0
	for i := range 3000 {
		if q.take(fmt.Sprint(i%10), now.Add(time.Duration(i)*time.Second)) {
			passed++
		}
	}
	if passed != 2000 {
		t.Errorf("%d requests of ten users passed within the hour, want 2000", passed)
	}
}
