package auth

import (
	"os"
	"testing"
	"time"

	"netatmo-agent/auth/authtest"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestMarginIsATenthOfTheLifeAndTenMinutesAtMost(t *testing.T) {
	for life, want := range map[time.Duration]time.Duration{
		3 * time.Hour:     10 * time.Minute,
		time.Hour:         6 * time.Minute,
		100 * time.Second: 10 * time.Second,
		10 * time.Second:  time.Second,
	} {
		h := newPair(document{Access: "a", Refresh: "r", Expiry: noon.Add(life), Life: life}, noon)
		due := noon.Add(life - want)
		if !h.fresh(due.Add(-time.Nanosecond)) {
			t.Errorf("life %v: due too early", life)
		}
		if h.fresh(due) {
			t.Errorf("life %v: not due %v before the end", life, want)
		}
		if !h.alive(noon.Add(life-time.Nanosecond)) || h.alive(noon.Add(life)) {
			t.Errorf("life %v: not alive to its last moment, or beyond", life)
		}
	}
}

// The times here have no monotonic reading, so the two clocks can differ: since
// and life follow one, Expiry the other.
func TestJumpsOfTheClock(t *testing.T) {
	tokens := document{Access: "a", Refresh: "r", Life: 3 * time.Hour}
	for _, row := range []struct {
		name   string
		expiry time.Duration // by the wall clock, from now
		held   time.Duration // by the monotonic clock, until now
		fresh  bool
	}{
		{name: "no jump", expiry: 2 * time.Hour, held: time.Hour, fresh: true},
		{name: "set forward over the expiry", expiry: -time.Hour, held: time.Hour},
		{name: "set back a day, token still good", expiry: 26 * time.Hour, held: time.Hour, fresh: true},
		{name: "set back a day, token over", expiry: 24 * time.Hour, held: 3 * time.Hour},
		{name: "set back for years", expiry: 30000 * time.Hour, held: 175 * time.Minute},
		{name: "woken from suspend, where the monotonic clock stood still", expiry: -5 * time.Hour, held: time.Minute},
	} {
		h := pair{document: tokens, since: noon.Add(-row.held), life: 3 * time.Hour}
		h.until = noon.Add(row.expiry)
		if h.fresh(noon) != row.fresh {
			t.Errorf("%s: fresh is %v", row.name, !row.fresh)
		}
	}
}

// An expiry beyond the stated lifetime means that a clock was wrong, then or
// now. It must not prevent renewals for years, across restarts.
func TestAnAbsurdExpiryDoesNotPreventRenewals(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		p := r.server.Grant()
		r.put(file(p.Access, p.Refresh, "2093-01-01T00:00:00Z"))
		s := r.open()
		r.token(s)
		if r.asked() != 0 {
			r.Error("a token that may be valid was renewed")
		}
		time.Sleep(3 * time.Hour)
		r.token(s)
		if r.asked() != 1 || !r.onDisk(r.server.Current()) {
			r.Error("the token was not renewed")
		}
		if left := time.Until(r.disk().Expiry); left > 3*time.Hour {
			r.Errorf("by the file it is still valid for %v", left)
		}
	})
}

// A guessed expiry stays in memory. In the file, the next start would take it
// for the truth, and may be configured to ignore an expired token.
func TestAGuessIsNotSaved(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		p := r.server.Grant()
		r.put(file(p.Access, p.Refresh, ""))
		r.server.Inject(authtest.Fault{Kind: authtest.HTML503, Times: -1})
		s := r.open()
		stop := r.run(s)
		time.Sleep(time.Hour)
		stop()
		if d := r.disk(); !r.onDisk(p) || !d.Expiry.IsZero() {
			r.Errorf("the file says now that it expires at %v", d.Expiry)
		}
	})
}

// The clock is behind when the agent starts, so the token seems to be valid for
// longer than it is, until the API rejects it.
func TestAClockThatIsBehindIsCorrectedByTheAPI(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		p := r.server.Grant()
		r.server.Grant() // invalidates the first pair
		now := r.server.Current()
		r.put(file(p.Access, now.Refresh, time.Now().Add(2*time.Hour).Format(time.RFC3339)))
		s := r.open()
		access, err := s.Token(r.Context())
		if err != nil || r.server.Check(access).Valid {
			r.Fatalf("%v", err)
		}
		s.Reject("another token")
		if again, _ := s.Token(r.Context()); again != access || r.asked() != 0 {
			r.Error("the rejection of another token counts")
		}
		s.Reject(access)
		r.token(s)
		if r.asked() != 1 {
			r.Errorf("%d refreshes", r.asked())
		}
	})
}

func TestUnknownAttributesSurvive(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		p := r.server.Grant()
		r.put(`{"note": {"kept": [1.50, "<&>"]}, "access_token": "` + p.Access + `", "token_type": "Bearer", "refresh_token": "` + p.Refresh + `", "expiry": "1999-01-01T00:00:00+02:00"}`)
		s := r.open()
		r.token(s)
		content, _ := os.ReadFile(r.path)
		n := r.server.Current()
		want := `{
  "access_token": "` + n.Access + `",
  "expires_in": 10800,
  "expiry": "2000-01-01T03:00:00Z",
  "note": {
    "kept": [
      1.50,
      "<&>"
    ]
  },
  "refresh_token": "` + n.Refresh + `",
  "token_type": "Bearer"
}
`
		if string(content) != want {
			r.Errorf("the file is now\n%s", content)
		}
	})
}

// Without an expiry, an access token is trusted for a minute, not for a full
// lifetime.
func TestATokenWithoutExpiryIsTrustedForAMinute(t *testing.T) {
	p := newPair(document{Access: "a", Refresh: "r"}, noon)
	if p.fresh(noon) || !p.alive(noon.Add(time.Minute-time.Second)) || p.alive(noon.Add(time.Minute)) {
		t.Errorf("%+v", p)
	}
	if p := newPair(document{Access: "a"}, noon); !p.alive(noon.Add(3*time.Hour-time.Second)) || p.alive(noon.Add(3*time.Hour)) {
		t.Errorf("not renewable: %+v", p)
	}
}
