package pages

import (
	"crypto/rand"
	"crypto/subtle"
	"net/http"
	"slices"
	"time"
)

const (
	attemptLife  = 10 * time.Minute
	maxAttempts  = 32 // tabs of one user; the oldest is dropped first
	cookiePrefix = "netatmo-agent-login-"
)

// attempt is a login that has gone to Netatmo's pages. The state returns in the
// address; the secret stays in a cookie of the browser that started the
// attempt, so that an overheard state is useless in another browser. Each
// attempt has its own cookie, so that tabs do not disturb each other.
type attempt struct {
	state, secret string
	expiry        time.Time
}

type attempts []attempt

func (as *attempts) start() attempt {
	as.dropExpired()
	if len(*as) >= maxAttempts {
		*as = slices.Delete(*as, 0, len(*as)-maxAttempts+1)
	}
	a := attempt{state: rand.Text(), secret: rand.Text(), expiry: time.Now().Add(attemptLife)}
	*as = append(*as, a)
	return a
}

// take ends the attempt with the given state, and reports whether the browser
// that sent r started it.
func (as *attempts) take(r *http.Request, state string) bool {
	as.dropExpired()
	for i, a := range *as {
		if same(a.state, state) && a.startedBy(r) {
			*as = slices.Delete(*as, i, i+1)
			return true
		}
	}
	return false
}

// knows reports whether the browser that sent r started any attempt.
func (as *attempts) knows(r *http.Request) bool {
	as.dropExpired()
	return slices.ContainsFunc(*as, func(a attempt) bool { return a.startedBy(r) })
}

func (as *attempts) dropExpired() {
	now := time.Now()
	*as = slices.DeleteFunc(*as, func(a attempt) bool { return !now.Before(a.expiry) })
}

func (a attempt) startedBy(r *http.Request) bool {
	cookie, err := r.Cookie(cookieName(a.state))
	return err == nil && same(cookie.Value, a.secret)
}

func cookieName(state string) string { return cookiePrefix + state[:8] }

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
