package auth

import (
	"testing"

	"netatmo-agent/auth/authtest"
)

// A login without some of the scopes works. The log alone says what is missing,
// and only once.
func TestMissingScopesAreLogged(t *testing.T) {
	for _, tc := range []struct {
		name, missing string
		requested     []string
	}{
		{"some are missing", "read_magellan read_camera", []string{"read_station", "read_magellan", "read_camera"}},
		{"all are granted", "", []string{"read_station"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inBubble(t, authtest.Options{GrantScopes: []string{"read_station", "read_homecoach"}}, func(r *rig) {
				r.scopes = tc.requested
				s := r.open()
				for range 2 {
					if err := s.AdoptRefreshToken(r.Context(), r.server.Grant("read_station", "read_homecoach").Refresh); err != nil {
						r.Fatal(err)
					}
				}
				want := 0
				if tc.missing != "" {
					want = 1
				}
				if n := r.logged("WARN", "does not include all scopes"); n != want {
					r.Errorf("%d warnings, want %d", n, want)
				}
				if tc.missing != "" {
					r.wantLogged("WARN", tc.missing)
				}
			})
		})
	}
}
