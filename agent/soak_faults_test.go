package main

import (
	"time"

	"netatmo-agent/agent/simcloud"
	"netatmo-agent/auth/authtest"
)

// soakFault is a kind of fault that was reported. Its function returns when the
// fault is over; its consequences may last longer.
type soakFault struct {
	name  string
	place string // two faults in different places may happen at the same time
	run   func(s *soak)
}

// The places of faults.
const (
	atNetatmo = "Netatmo"
	atLogin   = "login"
	atStation = "station"
	atBackend = "backend"
	atHome    = "agent"
)

func soakFaults() []soakFault {
	all := []soakFault{
		{"Netatmo down for hours", atNetatmo, func(s *soak) {
			s.cloud.Down(true)
			s.sleep(time.Hour, 7*time.Hour)
			s.cloud.Down(false)
		}},
		{"Netatmo not to be reached", atNetatmo, func(s *soak) { s.disturb(s.netatmo, refusing, 10*time.Minute, 5*time.Hour) }},
		{"Netatmo silent", atNetatmo, func(s *soak) { s.disturb(s.netatmo, mute, 10*time.Minute, 3*time.Hour) }},
		{"data frozen under a 200", atNetatmo, func(s *soak) {
			s.cloud.Freeze(true)
			s.sleep(time.Hour, 14*time.Hour)
			s.cloud.Freeze(false)
		}},
		{"lock-out of quota", atNetatmo, func(s *soak) {
			s.cloud.Inject(simcloud.Fault{Kind: simcloud.Lockout, Delay: s.between(30*time.Minute, 4*time.Hour)})
		}},
		{"login revoked", atLogin, func(s *soak) { s.loseLogin(s.cloud.Auth().Revoke) }},
		{"answer to a renewal lost", atLogin, func(s *soak) { s.loseLogin(func() { s.token(authtest.LostAnswer, 1) }) }},
		{"half an answer to a renewal", atLogin, func(s *soak) { s.loseLogin(func() { s.token(authtest.Truncated, 1) }) }},
		{"station offline", atStation, func(s *soak) { s.offline(soakStation, time.Hour, 9*time.Hour) }},
		{"home coach offline", atStation, func(s *soak) { s.offline(soakCoach, 20*time.Minute, 20*time.Hour) }},
		{"module out of range", atStation, func(s *soak) { s.unreachable(soakOutdoor, 30*time.Minute, 40*time.Hour) }},
		{"module flaps", atStation, func(s *soak) {
			for range 12 {
				s.unreachable(soakWind, 5*time.Minute, time.Hour)
				s.sleep(5*time.Minute, time.Hour)
			}
		}},
		{"collector away", atBackend, func(s *soak) { s.disturb(s.push, refusing, time.Minute, 9*time.Hour) }},
		{"collector away for longer than the window", atBackend, func(s *soak) { s.disturb(s.push, refusing, 25*time.Hour, 32*time.Hour) }},
		{"collector's machine gone", atBackend, func(s *soak) { s.disturb(s.push, mute, time.Minute, 5*time.Hour) }},
		{"restart", atHome, func(s *soak) { s.stop(); time.Sleep(time.Second); s.start() }},
		{"agent off", atHome, func(s *soak) { s.stop(); s.sleep(time.Minute, 12*time.Hour); s.start() }},
		{"agent off for longer than the window", atHome, func(s *soak) { s.stop(); s.sleep(25*time.Hour, 32*time.Hour); s.start() }},
		{"power cut", atHome, func(s *soak) { s.cut(); s.sleep(time.Second, time.Hour); s.start() }},
		{"starts in the past, until NTP answers", atHome, func(s *soak) {
			away := s.between(time.Hour, 10*time.Hour)
			s.cut()
			s.clock.jump(away)
			s.start()
			time.Sleep(time.Hour)
			s.clock.wait(away)
		}},
		{"clock set ahead, and back", atHome, func(s *soak) {
			ahead := s.between(10*time.Minute, 4*time.Hour)
			s.clock.wait(ahead)
			s.sleep(time.Minute, 2*time.Hour)
			s.clock.jump(ahead)
		}},
	}
	for _, kind := range []simcloud.Kind{
		simcloud.Unavailable, simcloud.HTML, simcloud.Empty, simcloud.Internal, simcloud.BackendText, simcloud.ErrorString, simcloud.Forbidden,
		simcloud.Truncated, simcloud.Cut, simcloud.HangUp, simcloud.Hang, simcloud.Late, simcloud.Slow, simcloud.Pretty,
		simcloud.QuotaReached, simcloud.QuotaReached403, simcloud.Busy, simcloud.TokenUnknown, simcloud.TokenExpired,
	} {
		all = append(all, soakFault{"API: " + string(kind), atNetatmo, func(s *soak) {
			f := simcloud.Fault{Kind: kind, Times: s.times(6)}
			switch kind {
			case simcloud.Hang, simcloud.Late, simcloud.Slow:
				f.Delay = s.between(time.Second, 50*time.Second)
			case simcloud.Busy:
				f.RetryAfter = []string{"", "30", "3600"}[s.times(3)-1]
			}
			s.cloud.Inject(f)
			s.sleep(time.Hour, 3*time.Hour)
		}})
	}
	for _, x := range []struct {
		name  string
		kind  authtest.FaultKind
		times int
	}{
		{"403 without a body", authtest.Refuse, 4}, {"429", authtest.HTML429, 3}, {"500", authtest.HTML500, 5}, {"502", authtest.HTML502, 5}, {"503", authtest.HTML503, 8},
		{"504", authtest.HTML504, 5}, {"hang up before it took effect", authtest.HangUp, 3}, {"invalid_grant that passes", authtest.InvalidGrant, 2},
		{"invalid_request that passes", authtest.InvalidRequest, 2}, {"too_many_connections", authtest.TooManyConnections, 4},
		{"slow", authtest.Slow, 1}, {"more scopes than asked for", authtest.ScopeSuperset, 1},
	} {
		all = append(all, soakFault{"renewal: " + x.name, atLogin, func(s *soak) {
			s.token(x.kind, s.times(x.times))
			s.sleep(3*time.Hour, 5*time.Hour) // one is due within 3 h
		}})
	}
	return all
}

func (s *soak) token(kind authtest.FaultKind, times int) {
	s.cloud.Auth().Inject(authtest.Fault{Kind: kind, Times: times, Delay: s.between(0, 25*time.Second)})
}

func (s *soak) between(least, most time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return least + time.Duration(s.random.Int64N(int64(most-least)+1))
}

// times returns a number from 1 to most.
func (s *soak) times(most int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return 1 + s.random.IntN(most)
}

func (s *soak) sleep(least, most time.Duration) { time.Sleep(s.between(least, most)) }

func (s *soak) disturb(w *wire, state wireState, least, most time.Duration) {
	w.set(state)
	s.sleep(least, most)
	w.set(working)
}

func (s *soak) offline(station string, least, most time.Duration) {
	s.cloud.SetOffline(station, true)
	s.sleep(least, most)
	s.cloud.SetOffline(station, false)
}

func (s *soak) unreachable(module string, least, most time.Duration) {
	s.cloud.SetUnreachable(module, true)
	s.sleep(least, most)
	s.cloud.SetUnreachable(module, false)
}

// loseLogin has Netatmo withdraw the login. The agent must say that it needs
// one, and continue when a user logs in.
func (s *soak) loseLogin(take func()) {
	s.wiped++
	take()
	asked := time.Now()
	for s.agent.source.Status().Authorized {
		if time.Since(asked) > 6*time.Hour {
			s.log.wrongf("%s: the login has been lost for hours, and the agent does not say so", moment(time.Now()))
			return
		}
		time.Sleep(time.Minute)
	}
	s.sleep(time.Minute, 5*time.Hour) // until a user notices
	s.logIn()
}
