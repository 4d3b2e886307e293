package auth

import (
	"fmt"
	"slices"
	"time"

	"netatmo-agent/store"
)

// Outcome is the result of an attempt to renew the access token.
type Outcome string

// The outcomes of a renewal.
const (
	OK      Outcome = "ok"      // a new pair came
	Passing Outcome = "passing" // a temporary fault: timeouts, 403, 429, 5xx, and invalid_grant until it is believed
	Final   Outcome = "final"   // refused for good: a login or another setting is needed
	Blocked Outcome = "blocked" // Netatmo was not asked, because the new pair could not have been saved
)

// Status is the state of the login at one moment.
type Status struct {
	Authorized    bool              // an access token works, or a renewal that has not failed will get one
	Waiting       bool              // the login is open: no token works and its renewal has failed, or a scope is missing
	Expiry        time.Time         // of the access token; zero without one
	Guessed       bool              // Expiry is a guess, because the token file does not say
	Refreshes     map[Outcome]int64 // renewals so far, for every Outcome
	Problem       string            // for people: why no access token works and what to do; empty while Authorized
	MissingScopes []string          // refused by Netatmo since the last login
	Unsaved       bool              // the pair in memory is not on the disk; saving is retried
	RedirectURL   string            // to register with the app
}

// Status returns the state of the login now.
func (s *Source) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	st := Status{
		Authorized:    s.authorized(now),
		Expiry:        s.pair.until,
		Guessed:       s.pair.unsure,
		Refreshes:     make(map[Outcome]int64, 4),
		MissingScopes: slices.Clone(s.missing),
		Unsaved:       s.stored != onDisk,
		RedirectURL:   s.oauth.RedirectURL,
	}
	for _, o := range []Outcome{OK, Passing, Final, Blocked} {
		st.Refreshes[o] = s.counts[o]
	}
	need := s.need(now)
	switch {
	case need != nil:
		st.Problem = need.Error()
	case !st.Authorized && s.schedule.fault.Reason == "store":
		st.Problem = fmt.Sprintf("The access token has expired and was not renewed, because a new one could not be saved: %v. The agent keeps trying", s.schedule.fault.Err)
	case !st.Authorized:
		st.Problem = fmt.Sprintf("Netatmo issues no working access token at the moment: %v. The agent keeps trying. If that fails, you can log in again from %s on",
			s.schedule.fault.Err, s.opensAt(now).Format("15:04"))
	}
	st.Waiting = need != nil || len(s.missing) > 0
	return st
}

// LoggedOut reports whether the login is open because no access token works.
func (st Status) LoggedOut() bool { return st.Waiting && !st.Authorized }

// Changed returns a channel that is closed at the next change of the access
// token, Authorized or Waiting. Get it before you look at Status.
func (s *Source) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// Present returns the access token if it is valid, or else nothing, and whether
// there is a refresh token. It makes no request and changes nothing.
func (s *Source) Present() (access string, renewable bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pair.alive(time.Now()) {
		access = s.pair.Access
	}
	return access, s.pair.Refresh != ""
}

// Probe returns what New found out about the token file.
func (s *Source) Probe() store.Probe { return s.probe }
