package auth

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"netatmo-agent/auth/authtest"
)

// Whatever the token endpoint answers, and for however long: once no access
// token works, a human can log in, and nothing claims that the login works.
func TestTheLoginOpensWhenNoTokenWorksAndRenewalsFail(t *testing.T) {
	for name, row := range map[string]struct {
		fault authtest.FaultKind
		after time.Duration // since the access token has expired
	}{
		"500":               {authtest.HTML500, 15 * time.Minute},
		"503":               {authtest.HTML503, 15 * time.Minute},
		"403, text":         {authtest.HTML403, 15 * time.Minute},
		"429":               {authtest.HTML429, 15 * time.Minute},
		"no answer":         {authtest.HangUp, 15 * time.Minute},
		"invalid_request":   {authtest.InvalidRequest, 0},
		"too many requests": {authtest.TooManyConnections, 0},
		"invalid_client":    {authtest.InvalidClient, 0},
		"invalid_grant":     {authtest.InvalidGrant, 0},
	} {
		for start, left := range map[string]time.Duration{"at work": 5 * time.Minute, "expired at start": -time.Hour} {
			t.Run(name+", "+start, func(t *testing.T) {
				inBubble(t, authtest.Options{}, func(r *rig) {
					r.putPair(r.server.Grant(), left)
					r.server.Inject(authtest.Fault{Kind: row.fault, Times: -1})
					s := r.open()
					defer r.run(s)()
					_, _ = s.Token(r.Context())
					if left > 0 {
						r.token(s)
						time.Sleep(left - time.Since(s.pair.since))
					}
					if row.after > 0 {
						time.Sleep(row.after - time.Minute)
						if st := s.Status(); st.Authorized || st.Waiting || st.Problem == "" {
							r.Errorf("before: %+v", st)
						}
						time.Sleep(time.Minute)
					}
					time.Sleep(time.Second)
					synctest.Wait()
					st := s.Status()
					if st.Authorized || !st.Waiting || st.Problem == "" {
						r.Errorf("status %+v", st)
					}
					var lost *LoginError
					if _, err := s.Token(r.Context()); !errors.As(err, &lost) {
						r.Errorf("Token: %v", err)
					}
					// A new login ends this, and so does a token endpoint that
					// recovers.
					r.server.Heal()
					if name == "500" {
						if err := s.AdoptRefreshToken(r.Context(), r.server.Grant().Refresh); err != nil {
							r.Error(err)
						}
					}
					time.Sleep(15 * time.Minute)
					r.token(s)
					if st := s.Status(); !st.Authorized || st.Waiting || st.Problem != "" {
						r.Errorf("status %+v", st)
					}
				})
			})
		}
	}
}

// No log line claims a login that Netatmo has not confirmed.
func TestNoLineClaimsALoginBeforeNetatmoConfirmsIt(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		r.putPair(r.server.Grant(), time.Hour)
		r.server.Revoke()
		s := r.open()
		defer r.run(s)()
		time.Sleep(time.Minute)
		if n := r.logged("INFO", "logged in"); n != 0 {
			r.Errorf("lines:\n%s", r.logs)
		}
		if err := s.AdoptRefreshToken(r.Context(), r.server.Grant().Refresh); err != nil {
			r.Fatal(err)
		}
		r.wantLogged("INFO", "logged in to Netatmo")
	})
}

func TestTryAppSpendsNothing(t *testing.T) {
	for kind, want := range map[authtest.FaultKind]Cause{authtest.InvalidGrant: "", authtest.InvalidClient: CauseApp} {
		inBubble(t, authtest.Options{}, func(r *rig) {
			pair := r.server.Grant()
			r.putPair(pair, time.Hour)
			s := r.open()
			r.server.Inject(authtest.Fault{Kind: kind})
			err := s.TryApp(r.Context())
			if lost, _ := errors.AsType[*LoginError](err); want == "" && err != nil || want != "" && (lost == nil || lost.Cause != want) {
				r.Errorf("%v", err)
			}
			if r.server.Current() != pair || !r.onDisk(pair) {
				r.Error("the login has changed")
			}
		})
	}
}
