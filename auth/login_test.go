package auth

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"netatmo-agent/auth/authtest"
)

// code goes through Netatmo's consent and returns the code that it issues.
func (r *rig) code(s *Source) string {
	r.Helper()
	browser := *r.client
	browser.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	answer, err := browser.Get(s.AuthCodeURL("a-state"))
	if err != nil {
		r.Fatal(err)
	}
	answer.Body.Close()
	back, err := url.Parse(answer.Header.Get("Location"))
	if err != nil || back.Query().Get("state") != "a-state" || !strings.HasPrefix(back.String(), r.config().RedirectURL()) {
		r.Fatalf("came back to %v, %v", back, err)
	}
	return back.Query().Get("code")
}

func TestALoginIsSavedBeforeItIsReported(t *testing.T) {
	inBubble(t, authtest.Options{AutoConsent: true}, func(r *rig) {
		r.scopes = []string{"read_station", "read_homecoach"}
		s := r.open()
		r.loginError(s, CauseNone)
		code := r.code(s)
		r.server.Inject(authtest.Fault{Kind: authtest.Slow, Delay: 10 * time.Second})
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel() // the browser disconnects
		changed := s.Changed()
		if err := s.Exchange(ctx, code); err != nil {
			r.Fatal(err)
		}
		<-changed
		if !r.onDisk(r.server.Current()) {
			r.Error("not on the disk")
		}
		r.token(s)
		if granted := r.server.Check(r.server.Current().Access).Scopes; !slices.Equal(granted, r.scopes) {
			r.Errorf("scopes %q", granted)
		}
		if st := s.Status(); st.Waiting || st.Problem != "" || st.RedirectURL != r.config().RedirectURL() {
			r.Errorf("status %+v", st)
		}
	})
}

func TestLoginsThatNetatmoRefuses(t *testing.T) {
	for _, row := range []struct {
		name   string
		login  func(*rig, *Source) error
		fault  *authtest.Fault
		cause  Cause  // of a LoginError
		reason string // of a TokenError
		hint   string
	}{
		{
			name:  "a code used before",
			login: func(r *rig, s *Source) error { return s.Exchange(r.Context(), "0123456789abcdef0123456789abcdef") },
			cause: CauseBadCode, hint: "redirect URI",
		},
		{
			name:  "a refresh token used before",
			login: func(r *rig, s *Source) error { return s.AdoptRefreshToken(r.Context(), "5a|b0") },
			cause: CauseBadPasted, hint: "Generate a new one",
		},
		{
			name:  "the app is unknown",
			login: func(r *rig, s *Source) error { return s.Exchange(r.Context(), r.code(s)) },
			fault: &authtest.Fault{Kind: authtest.InvalidClient}, cause: CauseApp, hint: "NETATMO_CLIENT_SECRET",
		},
		{
			name:  "an outage",
			login: func(r *rig, s *Source) error { return s.Exchange(r.Context(), r.code(s)) },
			fault: &authtest.Fault{Kind: authtest.HTML503}, reason: "http 503", hint: "try again",
		},
		{
			name:  "no answer",
			login: func(r *rig, s *Source) error { return s.AdoptRefreshToken(r.Context(), "5a|b0") },
			fault: &authtest.Fault{Kind: authtest.HangUp, Delay: time.Hour}, reason: "timeout", hint: "try again",
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			inBubble(t, authtest.Options{AutoConsent: true}, func(r *rig) {
				p := r.server.Grant()
				r.putPair(p, time.Hour)
				s := r.open()
				r.token(s)
				if row.fault != nil {
					r.server.Inject(*row.fault)
				}
				err := row.login(r, s)
				refused, _ := errors.AsType[*LoginError](err)
				passing, _ := errors.AsType[*TokenError](err)
				if refused != nil && refused.Cause != row.cause || passing != nil && refused == nil && passing.Reason != row.reason || err == nil {
					r.Errorf("error %v", err)
				}
				if err != nil && !strings.Contains(err.Error(), row.hint) {
					r.Errorf("no %q in: %v", row.hint, err)
				}
				// The existing login is untouched.
				r.token(s)
				if !r.onDisk(p) {
					r.Error("the old pair is no longer on the disk")
				}
			})
		})
	}
}

func TestALoginThatCannotBeSavedSaysSoAndPressingAgainWorks(t *testing.T) {
	inBubble(t, authtest.Options{AutoConsent: true}, func(r *rig) {
		r.faults = &faultyFile{fails: always}
		s := r.open()
		defer r.run(s)()
		err := s.Exchange(r.Context(), r.code(s))
		if unsaved, ok := errors.AsType[*SaveError](err); !ok || unsaved.Path != r.path || !strings.Contains(err.Error(), r.path) {
			r.Fatalf("error %v", err)
		}
		r.token(s) // from memory
		if st := s.Status(); !st.Unsaved || !st.Authorized {
			r.Errorf("status %+v", st)
		}
		if err := s.Exchange(r.Context(), r.code(s)); err == nil {
			r.Error("the second try says that it is saved")
		}
		r.token(s)
		r.faults.breaks(nil)
		if err := s.Exchange(r.Context(), r.code(s)); err != nil {
			r.Error(err)
		}
		if s.Status().Unsaved || !r.onDisk(r.server.Current()) {
			r.Error("not saved")
		}
	})
}

// A working login is not replaced by one that could not be saved.
func TestALoginTestsASaveBeforeItReplacesAWorkingOne(t *testing.T) {
	inBubble(t, authtest.Options{AutoConsent: true}, func(r *rig) {
		p := r.server.Grant()
		r.putPair(p, time.Hour)
		r.faults = &faultyFile{}
		s := r.open()
		code := r.code(s)
		r.faults.breaks(always)
		if err := s.Exchange(r.Context(), code); err == nil || r.server.Current() != p {
			r.Errorf("the old pair was discarded: %v", err)
		}
		r.token(s)
		r.faults.breaks(nil)
		if err := s.Exchange(r.Context(), code); err != nil || !r.onDisk(r.server.Current()) {
			r.Errorf("the code is spent: %v", err)
		}
	})
}

func TestALoginKeepsUnknownAttributesOfAnIgnoredFile(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		r.putPair(r.server.Grant(), -time.Hour)
		cfg := r.config()
		cfg.IgnoreExpired = true
		s, err := New(r.Context(), cfg)
		if err != nil {
			r.Fatal(err)
		}
		if err := s.AdoptRefreshToken(r.Context(), r.server.Grant().Refresh); err != nil {
			r.Fatal(err)
		}
		if content, _ := os.ReadFile(r.path); !strings.Contains(string(content), "1.50") {
			r.Errorf("the file is now %s", content)
		}
	})
}

func TestAMissingScopeOpensTheLoginAgain(t *testing.T) {
	inBubble(t, authtest.Options{AutoConsent: true}, func(r *rig) {
		r.putPair(r.server.Grant("read_station"), time.Hour)
		s := r.open()
		changed := s.Changed()
		s.RefuseScope("read_homecoach")
		s.RefuseScope("read_homecoach")
		<-changed
		st := s.Status()
		if !st.Authorized || !st.Waiting || !slices.Equal(st.MissingScopes, []string{"read_homecoach"}) || st.Problem != "" {
			r.Errorf("status %+v", st)
		}
		r.token(s) // still in use
		if err := s.Exchange(r.Context(), r.code(s)); err != nil {
			r.Fatal(err)
		}
		if st := s.Status(); st.Waiting || len(st.MissingScopes) > 0 {
			r.Errorf("after the login: %+v", st)
		}
		s.RefuseScope("read_thermostat")
		stop := r.run(s)
		r.putPair(r.server.Grant(r.scopes...), time.Hour) // by another process
		time.Sleep(5 * time.Second)
		r.token(s)
		if st := s.Status(); st.Waiting {
			r.Errorf("after the login of another process: %+v", st)
		}
		stop()
		s.RefuseScope("read_thermostat")
		s.ScopeGranted("read_thermostat")
		if st := s.Status(); st.Waiting {
			r.Errorf("after the scope was granted: %+v", st)
		}
	})
}

func TestALoginWhileARefreshIsUnderWayWaitsForIt(t *testing.T) {
	inBubble(t, authtest.Options{AutoConsent: true}, func(r *rig) {
		r.putPair(r.server.Grant(), -time.Hour)
		r.server.Inject(authtest.Fault{Kind: authtest.Slow, Delay: 20 * time.Second})
		s := r.open()
		defer r.run(s)()
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel() // the browser disconnects
		if err := s.Exchange(ctx, r.code(s)); err != nil {
			r.Fatal(err)
		}
		r.token(s)
		if !r.onDisk(r.server.Current()) {
			r.Error("the newest pair is not on the disk")
		}
	})
}
