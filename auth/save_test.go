package auth

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"netatmo-agent/auth/authtest"
)

func TestNoTokenIsRequestedThatCannotBeSaved(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		p := r.server.Grant()
		r.putPair(p, 5*time.Minute)
		r.faults = &faultyFile{fails: always}
		s := r.open()
		defer r.run(s)()
		r.token(s) // the old token
		if r.asked() != 0 || s.Status().Refreshes[Blocked] != 1 {
			r.Errorf("%d refreshes, status %+v", r.asked(), s.Status())
		}
		if st := s.Status(); st.Unsaved || !st.Authorized {
			r.Errorf("the old pair counts as lost: %+v", st)
		}
		r.wantLogged("ERROR", "no space left")
		if r.logged("ERROR", "overwrite") != 0 {
			r.Error("the same cause is reported twice")
		}
		time.Sleep(time.Hour)
		if r.asked() != 0 || !r.onDisk(p) {
			r.Error("the refresh token was spent, or the file damaged")
		}
		if n := r.logged("ERROR", ""); n > 2 {
			r.Errorf("%d lines in an hour", n)
		}
		r.faults.breaks(nil)
		time.Sleep(maxRetry)
		r.token(s)
		if !r.onDisk(r.server.Current()) {
			r.Error("not saved after the disk works again")
		}
	})
}

// The disk fails between the test save and the answer.
func TestAPairThatCannotBeSavedIsKeptAndSavedLater(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		p := r.server.Grant()
		r.putPair(p, -time.Minute)
		r.faults = &faultyFile{fails: func(d document) bool { return d.Refresh != p.Refresh }}
		s := r.open()
		defer r.run(s)()
		r.token(s)
		if st := s.Status(); !st.Unsaved || !st.Authorized {
			r.Errorf("status %+v", st)
		}
		r.wantLogged("ERROR", "exists only in memory")
		time.Sleep(time.Hour)
		r.token(s)
		if r.asked() != 1 {
			r.Errorf("%d refreshes", r.asked())
		}
		if n := r.faults.attempts(); n > 40 {
			r.Errorf("%d attempts to save in an hour", n)
		}
		r.faults.breaks(nil)
		time.Sleep(maxRetry)
		if s.Status().Unsaved || !r.onDisk(r.server.Current()) {
			r.Error("not saved after the disk works again")
		}
		r.wantLogged("INFO", "saving the login works again")
	})
}

func TestAFileThatCannotBeReplacedIsOverwritten(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		r.putPair(r.server.Grant(), -time.Minute)
		before, _ := os.Stat(r.path)
		s := r.open()
		replaced, _ := os.Stat(r.path)
		if os.SameFile(before, replaced) {
			r.Error("no test save at start")
		}
		s.file = &onlyInPlace{s.file}
		r.token(s)
		after, _ := os.Stat(r.path)
		if !os.SameFile(replaced, after) || !r.onDisk(r.server.Current()) {
			r.Error("not written in place")
		}
		time.Sleep(3 * time.Hour)
		r.token(s)
		if s.Status().Unsaved || r.logged("WARN", "in place") != 1 || r.logged("ERROR", "") != 0 {
			r.Errorf("lines:\n%s", r.logs)
		}
	})
}

type onlyInPlace struct{ tokenFile }

func (onlyInPlace) Save(document) error { return os.ErrDeadlineExceeded }

// If no file exists that could be overwritten, the error does not mention that.
func TestAFirstLoginThatCannotBeSavedSaysWhy(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		s := r.open()
		s.file = &onlyInPlace{s.file}
		err := s.AdoptRefreshToken(r.Context(), r.server.Grant().Refresh)
		if _, unsaved := errors.AsType[*SaveError](err); !unsaved || !errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, os.ErrNotExist) {
			r.Errorf("%v", err)
		}
	})
}

// A pair that waits to be saved does not replace what another process wrote,
// but does replace the remains of our own failed save.
func TestContentFoundBeforeASaveIsRetried(t *testing.T) {
	for name, login := range map[string]bool{"a new login": true, "half of our own": false} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, authtest.Options{}, func(r *rig) {
				p := r.server.Grant()
				r.putPair(p, -time.Minute)
				r.faults = &faultyFile{fails: func(d document) bool { return d.Refresh != p.Refresh }}
				s := r.open()
				defer r.run(s)()
				r.token(s)
				if login {
					r.putPair(r.server.Grant(), time.Hour)
				} else {
					r.put(file(r.server.Current().Access, p.Refresh, "2000-01-01T03:00:00Z"))
				}
				r.faults.breaks(nil)
				time.Sleep(maxRetry)
				r.token(s)
				if s.Status().Unsaved || !r.onDisk(r.server.Current()) {
					r.Error("the valid pair is not on the disk")
				}
			})
		})
	}
}

func TestDamagedContentIsKeptWhenTheNextLoginIsSaved(t *testing.T) {
	const damaged = "{\"refresh_token\": \"half of a tok"
	inBubble(t, authtest.Options{}, func(r *rig) {
		r.put(damaged)
		s := r.open()
		defer r.run(s)()
		time.Sleep(time.Minute)
		r.loginError(s, CauseDamaged)
		if p := s.Status().Problem; !strings.Contains(p, r.path) {
			r.Errorf("the path is not named: %s", p)
		}
		if r.logged("WARN", "damaged") != 1 {
			r.Errorf("lines:\n%s", r.logs)
		}
		if err := s.AdoptRefreshToken(r.Context(), r.server.Grant().Refresh); err != nil {
			r.Fatal(err)
		}
		bad, _ := filepath.Glob(r.path + ".bad-*")
		if len(bad) != 1 || bad[0] != r.path+".bad-20000101T000100Z" {
			r.Fatalf("kept: %q", bad)
		}
		if content, _ := os.ReadFile(bad[0]); string(content) != damaged {
			r.Errorf("kept %q", content)
		}
		if !r.onDisk(r.server.Current()) {
			r.Error("the new login is not on the disk")
		}
	})
}

func TestDamageWhileTheAgentRunsIsRepaired(t *testing.T) {
	for _, content := range []string{"", "{", "gone"} {
		inBubble(t, authtest.Options{}, func(r *rig) {
			r.putPair(r.server.Grant(), time.Minute)
			s := r.open()
			if content == "gone" {
				_ = os.Remove(r.path)
			} else {
				r.put(content)
			}
			r.token(s)
			if r.asked() != 1 || !r.onDisk(r.server.Current()) {
				r.Errorf("%q: %d refreshes, or not saved", content, r.asked())
			}
		})
	}
}

func TestAWaitingAgentAdoptsALoginFromTheFile(t *testing.T) {
	for name, content := range map[string]func(*rig) string{
		"a whole pair": func(r *rig) string {
			p := r.server.Grant()
			return file(p.Access, p.Refresh, time.Now().Add(time.Hour).Format(time.RFC3339))
		},
		"a refresh token alone": func(r *rig) string { return file("", r.server.Grant().Refresh, "") },
		"an expired pair":       func(r *rig) string { p := r.server.Grant(); return file(p.Access, p.Refresh, "1999-01-01T00:00:00Z") },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, authtest.Options{}, func(r *rig) {
				s := r.open()
				defer r.run(s)()
				time.Sleep(time.Hour)
				r.put("{not yet")
				time.Sleep(time.Minute)
				r.loginError(s, CauseDamaged)
				r.put(content(r))
				changed := s.Changed()
				ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
				defer cancel()
				for !s.Status().Authorized || !r.server.Check(mustHold(s)).Valid {
					select {
					case <-changed:
						changed = s.Changed()
					case <-ctx.Done():
						r.Fatal("not adopted within 5 s")
					}
				}
				r.token(s)
			})
		})
	}
}

func mustHold(s *Source) string { return s.current().Access }

func TestAnotherProcesssLoginIsAdoptedWithin5s(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		r.putPair(r.server.Grant(), -time.Hour)
		r.server.Revoke()
		agent := r.open()
		defer r.run(agent)()
		time.Sleep(11 * time.Minute)
		r.loginError(agent, CauseRefused)
		command := r.open()
		if err := command.AdoptRefreshToken(r.Context(), r.server.Grant().Refresh); err != nil {
			r.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		r.token(agent)
		if r.asked() != 1+len(doubts)+1 {
			r.Errorf("%d refreshes", r.asked())
		}
	})
}

// The agent's token seems to be valid, but the login command's new login has
// invalidated it.
func TestALoginBesideAWorkingAgentIsAdoptedWithoutARefresh(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		r.putPair(r.server.Grant(), time.Hour)
		s := r.open()
		access, err := s.Token(r.Context())
		if err != nil {
			r.Fatal(err)
		}
		r.putPair(r.server.Grant(), time.Hour)
		s.Reject(access)
		r.token(s)
		if r.asked() != 0 {
			r.Error("the new login was spent on a refresh")
		}
	})
}

func TestNobodyGetsATokenBeforeItIsSaved(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		p := r.server.Grant()
		r.putPair(p, -time.Hour)
		s := r.open()
		s.file = &slowFile{tokenFile: s.file, slow: func(d document) bool { return d.Refresh != p.Refresh }}
		changed := s.Changed()
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() {
				r.token(s)
				if !r.onDisk(r.server.Current()) {
					r.Error("returned before it was saved")
				}
			})
		}
		both.Go(func() {
			<-changed
			if !r.onDisk(r.server.Current()) {
				r.Error("reported before it was saved")
			}
		})
		time.Sleep(time.Second)
		if access := r.server.Current().Access; access == p.Access {
			r.Fatal("not refreshed yet")
		}
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		if _, err := s.Token(ctx); err == nil {
			r.Error("returned while it is being saved")
		}
		if st := s.Status(); !st.Unsaved {
			r.Errorf("status while saving: %+v", st)
		}
		both.Wait()
	})
}

type slowFile struct {
	tokenFile
	slow func(document) bool
}

func (f *slowFile) Save(d document) error {
	if f.slow(d) {
		time.Sleep(10 * time.Second)
	}
	return f.tokenFile.Save(d)
}
