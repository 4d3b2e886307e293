package auth

import (
	"os"
	"testing"
	"time"

	"netatmo-agent/auth/authtest"
)

// Another program that read the file before us, or a backup, restores a pair
// that we have already used. That pair no longer works; ours does.
func TestAUsedPairDoesNotReplaceTheCurrentOne(t *testing.T) {
	for name, row := range map[string]struct {
		renewals int           // since the restored pair
		wait     time.Duration // after that
	}{
		"until the next look":    {1, maxPause},
		"until the next refresh": {1, 3 * time.Hour},
		"from a week ago":        {56, maxPause},
		"at the end":             {1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, authtest.Options{}, func(r *rig) {
				old := r.server.Grant()
				r.putPair(old, -time.Minute)
				s := r.open()
				stop := r.run(s)
				for range row.renewals {
					r.token(s)
					time.Sleep(3 * time.Hour)
				}
				r.token(s)
				r.putPair(old, -time.Minute)
				time.Sleep(row.wait)
				if row.wait > 0 {
					r.token(s)
					r.wantLogged("WARN", "older login")
				}
				stop()
				if !r.onDisk(r.server.Current()) {
					r.Error("the valid pair is not on the disk")
				}
				if r.logged("ERROR", "") != 0 {
					r.Error(r.logs.String())
				}
			})
		})
	}
}

// Nor does a pair that another command of ours has used meanwhile.
func TestAPairUsedByAnotherCommandDoesNotReplaceTheCurrentOne(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		old := r.server.Grant()
		r.putPair(old, time.Hour)
		agent := r.open()
		defer r.run(agent)()
		command := r.open()
		command.Reject(old.Access)
		r.token(command)
		time.Sleep(maxPause + time.Second)
		r.token(agent)
		r.putPair(old, time.Hour)
		time.Sleep(maxPause + time.Second)
		r.token(agent)
		if r.asked() != 1 || !r.onDisk(r.server.Current()) {
			r.Errorf("%d refreshes, or the valid pair is not on the disk", r.asked())
		}
	})
}

func TestAProgramThatKeepsWritingAUsedPairDoesNotFloodTheLog(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		old := r.server.Grant()
		r.putPair(old, -time.Minute)
		s := r.open()
		defer r.run(s)()
		r.token(s)
		for range 60 {
			r.putPair(old, -time.Minute)
			time.Sleep(2 * time.Minute)
		}
		r.token(s)
		if n := r.logged("WARN", "older login"); n < 2 || n > 3 {
			r.Errorf("%d lines in two hours", n)
		}
	})
}

// A login that was used here is still better than none.
func TestAUsedPairIsTriedIfThereIsNoLogin(t *testing.T) {
	inBubble(t, authtest.Options{NoRotation: true}, func(r *rig) {
		old := r.server.Grant()
		r.putPair(old, -time.Minute)
		s := r.open()
		defer r.run(s)()
		r.token(s)
		r.server.Revoke()
		s.Reject(s.current().Access)
		_, _ = s.Token(r.Context())
		time.Sleep(time.Hour)
		r.loginError(s, CauseRefused)
		again := r.server.Grant()
		s.mu.Lock()
		s.spent = append(s.spent, again.Refresh)
		s.mu.Unlock()
		r.putPair(again, time.Hour)
		time.Sleep(5 * time.Second)
		r.token(s)
	})
}

func TestARemovedOrDamagedFileIsRestored(t *testing.T) {
	for name, harm := range map[string]func(*rig){
		"gone":    func(r *rig) { _ = os.Remove(r.path) },
		"empty":   func(r *rig) { r.put("") },
		"damaged": func(r *rig) { r.put(`{"access_tok`) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, authtest.Options{}, func(r *rig) {
				r.putPair(r.server.Grant(), time.Hour)
				s := r.open()
				defer r.run(s)()
				time.Sleep(time.Second)
				harm(r)
				time.Sleep(2*maxPause + time.Second)
				r.wantLogged("WARN", "saving the login again")
				if !r.onDisk(r.server.Current()) || r.asked() != 0 {
					r.Error("a power cut would lose the login")
				}
			})
		})
	}
}

// A file that another program is just writing is not overwritten.
func TestAFileThatIsJustBeingWrittenIsLeftAlone(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		r.putPair(r.server.Grant(), time.Hour)
		s := r.open()
		defer r.run(s)()
		time.Sleep(maxPause - time.Second)
		r.put("")
		time.Sleep(2 * time.Second) // one check of the file
		if content, err := os.ReadFile(r.path); err != nil || len(content) > 0 {
			r.Error("it was overwritten")
		}
		other := r.server.Grant()
		r.putPair(other, time.Hour)
		time.Sleep(2 * maxPause)
		if !r.onDisk(other) || s.current().Refresh != other.Refresh {
			r.Error("the login of the other program is gone")
		}
	})
}

func TestAShutdownWithoutTheDirectoryIsAnError(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		r.putPair(r.server.Grant(), time.Hour)
		s := r.open()
		stop := r.run(s)
		time.Sleep(time.Second)
		dir := r.path[:len(r.path)-len("/token.json")]
		if err := os.RemoveAll(dir); err != nil {
			r.Fatal(err)
		}
		if err := os.WriteFile(dir, nil, 0o600); err != nil { // so that it cannot be recreated
			r.Fatal(err)
		}
		stop()
		r.wantLogged("ERROR", "ends with this process")
		_ = os.Remove(dir)
	})
}
