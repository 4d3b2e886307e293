package auth

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"netatmo-agent/auth/authtest"
)

func TestNothingIsAskedForThatCannotBeSaved(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		p := r.server.Grant()
		r.putPair(p, 5*time.Minute)
		r.faults = &faultyFile{fails: always}
		s := r.open()
		defer r.run(s)()
		r.token(s) // the old one
		if r.asked() != 0 || s.Status().Refreshes[Blocked] != 1 {
			r.Errorf("%d refreshes, status %+v", r.asked(), s.Status())
		}
		if st := s.Status(); st.Unsaved || !st.Authorized {
			r.Errorf("the old pair counts as lost: %+v", st)
		}
		r.wantLogged("ERROR", "no space left")
		time.Sleep(time.Hour)
		if r.asked() != 0 || !r.onDisk(p) {
			r.Error("the refresh token was spent, or the file damaged")
		}
		if n := r.logged("ERROR", ""); n > 2 {
			r.Errorf("%d lines in an hour", n)
		}
		r.faults.fails = nil
		time.Sleep(maxRetry)
		r.token(s)
		if !r.onDisk(r.server.Current()) {
			r.Error("not saved after the disk works again")
		}
	})
}

// The disk fails between the proof and the answer.
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
		r.wantLogged("ERROR", "in memory alone")
		time.Sleep(time.Hour)
		r.token(s)
		if r.asked() != 1 {
			r.Errorf("%d refreshes", r.asked())
		}
		if n := r.faults.saves; n > 40 {
			r.Errorf("%d attempts to save in an hour", n)
		}
		r.faults.fails = nil
		time.Sleep(maxRetry)
		if s.Status().Unsaved || !r.onDisk(r.server.Current()) {
			r.Error("not saved after the disk works again")
		}
		r.wantLogged("INFO", "saved now")
	})
}

func TestAFileThatCannotBeReplacedIsWrittenOver(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		r.putPair(r.server.Grant(), -time.Minute)
		before, _ := os.Stat(r.path)
		s := r.open()
		replaced, _ := os.Stat(r.path)
		if os.SameFile(before, replaced) {
			r.Error("nothing was proven at start")
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

// What another process wrote is not undone by a pair that waits to be saved, but
// the remains of our own failed save are.
func TestWhatIsFoundInTheFileBeforeASaveIsTriedAgain(t *testing.T) {
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
				r.faults.fails = nil
				time.Sleep(maxRetry)
				r.token(s)
				if s.Status().Unsaved || !r.onDisk(r.server.Current()) {
					r.Error("the living pair is not on the disk")
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
		if r.logged("WARN", "cannot be understood") != 1 {
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

func TestDamageWhileTheAgentRunsCostsNothing(t *testing.T) {
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

func TestAShutdownFinishesTheRefreshUnderWayAndBeginsNone(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		r.putPair(r.server.Grant(), -time.Minute)
		r.server.Inject(authtest.Fault{Kind: authtest.Slow, Delay: 20 * time.Second})
		s := r.open()
		stop := r.run(s)
		time.Sleep(time.Second)
		start := time.Now()
		stop()
		if took := time.Since(start); took != 19*time.Second {
			r.Errorf("ended after %v", took)
		}
		if !r.onDisk(r.server.Current()) {
			r.Error("the new pair is not on the disk")
		}
		r.token(s) // still there for the last push
		time.Sleep(3 * time.Hour)
		if _, err := s.Token(r.Context()); err == nil || r.asked() != 1 {
			r.Errorf("%d refreshes, error %v", r.asked(), err)
		}
		if err := s.Exchange(r.Context(), "code"); err == nil {
			r.Error("a login begins after the end")
		}
	})
}

func TestAShutdownSavesWhatIsUnsaved(t *testing.T) {
	for _, works := range []bool{true, false} {
		inBubble(t, authtest.Options{}, func(r *rig) {
			p := r.server.Grant()
			r.putPair(p, -time.Minute)
			r.faults = &faultyFile{fails: func(d document) bool { return d.Refresh != p.Refresh }}
			s := r.open()
			stop := r.run(s)
			r.token(s)
			if works {
				r.faults.fails = nil
			}
			stop()
			if saved := r.onDisk(r.server.Current()); saved != works || s.Status().Unsaved == works {
				r.Errorf("works: %v, saved: %v, status %+v", works, saved, s.Status())
			}
			if !works {
				r.wantLogged("ERROR", "ends with this process")
			}
		})
	}
}

func TestAShutdownLeavesAnothersLoginAlone(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		r.putPair(r.server.Grant(), time.Hour)
		s := r.open()
		stop := r.run(s)
		time.Sleep(time.Second)
		r.putPair(r.server.Grant(), time.Hour) // as the login command does
		stop()
		if !r.onDisk(r.server.Current()) {
			r.Error("the new login was overwritten by the old one")
		}
	})
}

func TestAWaitingAgentTakesUpWhatIsPutIntoTheFile(t *testing.T) {
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
						r.Fatal("not taken up within 5 s")
					}
				}
				r.token(s)
			})
		})
	}
}

func mustHold(s *Source) string { return s.current().Access }

func TestALoginOfAnotherProcessIsTakenUpWithin5s(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		r.putPair(r.server.Grant(), -time.Hour)
		r.server.Revoke()
		agent := r.open()
		defer r.run(agent)()
		time.Sleep(time.Hour)
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
