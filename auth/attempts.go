package auth

import (
	"crypto/rand"
	"crypto/subtle"
	"net/http"
	"slices"
	"time"
)

const (
	attemptLife  = 10 * time.Minute
	maxAttempts  = 32 // tabs of one user; the oldest goes first
	cookiePrefix = "netatmo-agent-login-"
)

// attempt is a login on its way through Netatmo's pages. The state comes back
// in the address; the secret stays in a cookie of the browser that began, so
// that a state which was overheard is of no use in another browser. Each
// attempt has a cookie of its own, so that tabs do not disturb each other.
type attempt struct {
	state, secret string
	expiry        time.Time
}

type attempts []attempt

func (as *attempts) begin() attempt {
	as.dropExpired()
	if len(*as) >= maxAttempts {
		*as = slices.Delete(*as, 0, len(*as)-maxAttempts+1)
	}
	a := attempt{state: rand.Text(), secret: rand.Text(), expiry: time.Now().Add(attemptLife)}
	*as = append(*as, a)
	return a
}

// take ends the attempt of the given state, and reports whether there was one
// begun in the browser that sent r.
func (as *attempts) take(r *http.Request, state string) bool {
	as.dropExpired()
	for i, a := range *as {
		if same(a.state, state) && a.begunBy(r) {
			*as = slices.Delete(*as, i, i+1)
			return true
		}
	}
	return false
}

// knows reports whether any attempt was begun in the browser that sent r.
func (as *attempts) knows(r *http.Request) bool {
	as.dropExpired()
	return slices.ContainsFunc(*as, func(a attempt) bool { return a.begunBy(r) })
}

func (as *attempts) dropExpired() {
	now := time.Now()
	*as = slices.DeleteFunc(*as, func(a attempt) bool { return !now.Before(a.expiry) })
}

func (a attempt) begunBy(r *http.Request) bool {
	cookie, err := r.Cookie(cookieName(a.state))
	return err == nil && same(cookie.Value, a.secret)
}

func cookieName(state string) string { return cookiePrefix + state[:8] }

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
