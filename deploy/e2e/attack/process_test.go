package attack

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"syscall"
	"time"
)

// signalAttacks kill or pause the agent at random moments.
func signalAttacks() []attack {
	return []attack{
		{"signals", "SIGKILL at random", func(s *scene) {
			s.renewing()
			s.healthy()
			for range 10 {
				time.Sleep(rand.N(3 * time.Second))
				s.program.signal(syscall.SIGKILL)
				<-s.program.done
				s.afterKill()
				s.start()
			}
			s.recovers()
		}},
		{"signals", "SIGSTOP at random", func(s *scene) {
			s.renewing()
			s.healthy()
			for range 12 {
				s.program.signal(syscall.SIGSTOP)
				time.Sleep(rand.N(2 * time.Second))
				s.program.signal(syscall.SIGCONT)
				time.Sleep(rand.N(time.Second))
			}
			s.recovers()
		}},
		{"signals", "SIGSTOP for longer than a token lives", func(s *scene) {
			s.renewing()
			s.healthy()
			s.program.signal(syscall.SIGSTOP)
			time.Sleep(2 * shortLife)
			s.program.signal(syscall.SIGCONT)
			s.recovers()
		}},
	}
}

// afterKill counts a lost login if it was avoidable. It was not if the kill
// came after Netatmo had made a new pair and before that was on the disk.
func (s *scene) afterKill() {
	s.t.Helper()
	time.Sleep(50 * time.Millisecond) // for a request that the cloud is still handling
	if s.saved() {
		return
	}
	issued := s.cloud.Auth().Stats().Issued
	content, err := os.ReadFile(s.agent.TokenFile())
	must(s, err)
	var disk struct {
		Refresh string `json:"refresh_token"`
	}
	if json.Unmarshal(content, &disk) != nil || len(issued) < 2 || disk.Refresh != issued[len(issued)-2].Refresh {
		s.lost++
	}
	s.logIn()
}
