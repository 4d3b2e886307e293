package auth

import (
	"os"
	"testing"
	"time"

	"netatmo-agent/auth/authtest"
)

// Another program that read the file before us, or a backup, brings back a pair
// that we have used up. It is dead, and ours lives.
func TestAUsedUpPairDoesNotReplaceTheLivingOne(t *testing.T) {
	for name, row := range map[string]struct {
		renewals int           // since the pair that comes back
		wait     time.Duration // then
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
					r.wantLogged("WARN", "dead")
				}
				stop()
				if !r.onDisk(r.server.Current()) {
					r.Error("the living pair is not on the disk")
				}
				if r.logged("ERROR", "") != 0 {
					r.Error(r.logs.String())
				}
			})
		})
	}
}

// Nor does one that another command of ours has used up meanwhile.
func TestAPairThatAnotherCommandUsedUpDoesNotReplaceTheLivingOne(t *testing.T) {
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
			r.Errorf("%d refreshes, or the living pair is not on the disk", r.asked())
		}
	})
}

func TestWhoInsistsOnAUsedUpPairDoesNotFloodTheLog(t *testing.T) {
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
		if n := r.logged("WARN", "dead"); n < 2 || n > 3 {
			r.Errorf("%d lines in two hours", n)
		}
	})
}

// A login that was used up here is still better than none.
func TestAUsedUpPairIsTriedWhereThereIsNoLogin(t *testing.T) {
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

func TestAFileThatIsGoneOrDamagedIsWrittenAgain(t *testing.T) {
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
				r.wantLogged("WARN", "saved again")
				if !r.onDisk(r.server.Current()) || r.asked() != 0 {
					r.Error("a power cut would cost the login")
				}
			})
		})
	}
}

// Somebody who is just writing the file is not written over.
func TestAFileThatIsJustBeingWrittenIsLeftAlone(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		r.putPair(r.server.Grant(), time.Hour)
		s := r.open()
		defer r.run(s)()
		time.Sleep(maxPause - time.Second)
		r.put("")
		time.Sleep(2 * time.Second) // one look
		if content, err := os.ReadFile(r.path); err != nil || len(content) > 0 {
			r.Error("it was written over")
		}
		other := r.server.Grant()
		r.putPair(other, time.Hour)
		time.Sleep(2 * maxPause)
		if !r.onDisk(other) || s.current().Refresh != other.Refresh {
			r.Error("the login of the other program is gone")
		}
	})
}

func TestAnEndWithoutItsDirectoryIsAnError(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		r.putPair(r.server.Grant(), time.Hour)
		s := r.open()
		stop := r.run(s)
		time.Sleep(time.Second)
		dir := r.path[:len(r.path)-len("/token.json")]
		if err := os.RemoveAll(dir); err != nil {
			r.Fatal(err)
		}
		if err := os.WriteFile(dir, nil, 0o600); err != nil { // so that it cannot be made again
			r.Fatal(err)
		}
		stop()
		r.wantLogged("ERROR", "ends with this process")
		_ = os.Remove(dir)
	})
}
