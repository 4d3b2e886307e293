package auth

import (
	"testing"
	"time"

	"netatmo-agent/auth/authtest"
)

// Reading the status never spends a token.
func TestPresentNeverRenews(t *testing.T) {
	for _, tc := range []struct {
		name              string
		left              time.Duration // of the access token
		refresh           bool
		access, renewable bool
	}{
		{"valid", time.Hour, true, true, true},
		{"due to be renewed", time.Minute, true, true, true},
		{"expired", -time.Hour, true, false, true},
		{"valid, not renewable", time.Hour, false, true, false},
		{"expired, not renewable", -time.Hour, false, false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inBubble(t, authtest.Options{}, func(r *rig) {
				pair := r.server.Grant()
				if !tc.refresh {
					pair.Refresh = ""
				}
				r.putPair(pair, tc.left)
				s := r.open()
				access, renewable := s.Present()
				if (access == pair.Access) != tc.access || renewable != tc.renewable {
					r.Errorf("Present returned a token: %v, renewable: %v", access != "", renewable)
				}
				if n := r.asked(); n > 0 {
					r.Errorf("%d requests", n)
				}
			})
		})
	}
}

// A token that another process has renewed is adopted without a request.
func TestReread(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		r.putPair(r.server.Grant(), time.Hour)
		s := r.open()
		renewed := r.server.Grant()
		r.putPair(renewed, time.Hour)
		s.Reread(r.Context())
		if access, _ := s.Present(); access != renewed.Access {
			r.Error("the old token is still in use")
		}
		r.put("{")
		s.Reread(r.Context())
		if access, _ := s.Present(); access != renewed.Access {
			r.Error("the damaged file replaced the login")
		}
		if n := r.asked(); n > 0 {
			r.Errorf("%d requests", n)
		}
	})
}
