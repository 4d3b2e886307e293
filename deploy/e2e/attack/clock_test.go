package attack

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// lies are wrong times from Netatmo.
var lies = []struct {
	name string
	at   func() int64
}{
	{"three days ahead", func() int64 { return time.Now().Add(72 * time.Hour).Unix() }},
	{"three days behind", func() int64 { return time.Now().Add(-72 * time.Hour).Unix() }},
	{"in 1970", func() int64 { return 3600 }},
	{"in 2158", func() int64 { return time.Date(2158, 1, 1, 0, 0, 0, 0, time.UTC).Unix() }},
	{"in 2400", func() int64 { return time.Date(2400, 1, 1, 0, 0, 0, 0, time.UTC).Unix() }},
	{"in 9999", func() int64 { return time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC).Unix() }},
}

var timeServer = regexp.MustCompile(`"time_server":\d+`)

// lie makes the cloud send a wrong time, in Date and time_server.
func (s *scene) lie(at func() int64) {
	s.below("/", func(w http.ResponseWriter, r *http.Request) {
		w = dated{w, time.Unix(at(), 0).UTC().Format(http.TimeFormat)}
		s.rewrite(w, r, timeServer, fmt.Sprintf(`"time_server":%d`, at()))
	})
}

// dated sets the Date of an answer.
type dated struct {
	http.ResponseWriter
	date string
}

func (d dated) WriteHeader(status int) {
	if d.Header().Set("Date", d.date); d.date == "" {
		d.Header()["Date"] = nil // none
	}
	d.ResponseWriter.WriteHeader(status)
}

// silent checks that the agent pushes nothing, not even its own metrics.
func (s *scene) silent() {
	s.t.Helper()
	time.Sleep(2 * time.Second) // for a push under way
	before := s.backend.taken()
	time.Sleep(5 * time.Second)
	if n := s.backend.taken() - before; n > 0 {
		s.t.Errorf("%d pushes with an untrusted clock, want none", n)
	}
}

// untoldAttacks meet an agent whose first answers have no readings, so that other
// answers have to tell the time.
func untoldAttacks() (all []attack) {
	gone := http.HandlerFunc(func(_ http.ResponseWriter, _ *http.Request) {
		panic(http.ErrAbortHandler) // no answer
	})
	leave := func(s *scene) { s.front.hostile.Store(&gone) }
	for protocol, name := range names {
		all = append(all,
			attack{"clock", "no login, over " + name + ": all are three days ahead", func(s *scene) {
				at := lies[0].at
				s.over(protocol)
				s.backend.date.Store(&at)
				s.lie(at)
				s.start()
				s.struck(1)
				s.mute()
				s.logIn()
				s.recovers()
			}},
			attack{"clock", "no login, over " + name + ": the time is right", func(s *scene) {
				s.over(protocol)
				s.start()
				s.eventually("pushes its own metrics", func() bool { return s.backend.taken() > 0 })
				s.logIn()
				s.recovers()
			}},
			attack{"clock", "a login that has expired, over " + name + ": all are three days behind", func(s *scene) {
				at := lies[1].at
				s.over(protocol)
				s.backend.date.Store(&at)
				s.logIn()
				s.expire()
				s.below("/", func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Date", time.Unix(at(), 0).UTC().Format(http.TimeFormat))
					w.WriteHeader(http.StatusServiceUnavailable)
				})
				s.start()
				s.struck(1)
				s.mute()
				s.recovers()
			}},
		)
	}
	return append(all,
		attack{"clock", "no login, no Netatmo, a backend over gRPC, which tells no time", func(s *scene) {
			leave(s)
			s.start()
			s.mute()
			s.logIn()
			s.recovers()
		}},
		attack{"clock", "no login, no Netatmo, a backend over HTTP that is right", func(s *scene) {
			s.over("http/protobuf")
			leave(s)
			s.start()
			s.eventually("pushes its own metrics", func() bool { return s.backend.taken() > 0 })
			s.logIn()
			s.recovers()
		}},
		attack{"clock", "no login, no Netatmo, a backend over HTTP in 2400", func(s *scene) {
			at := lies[4].at
			s.over("http/protobuf")
			s.backend.date.Store(&at)
			leave(s)
			s.start()
			s.mute()
			s.logIn()
			s.recovers()
		}},
		attack{"clock", "Netatmo tells no time that a calendar has", func(s *scene) {
			s.logIn()
			s.below("/", func(w http.ResponseWriter, r *http.Request) {
				s.rewrite(dated{w, ""}, r, timeServer, `"time_server":99999999999999999999`)
			})
			s.start()
			s.struck(1)
			s.mute()
			s.recovers()
		}},
	)
}

// mute checks that nothing at all has been pushed since the start.
func (s *scene) mute() {
	s.t.Helper()
	s.silent()
	if n := s.backend.taken(); n > 0 {
		s.t.Errorf("%d pushes with a clock that nobody can trust, want none", n)
	}
}

// clockAttacks make the clocks of servers wrong. The agent cannot know which
// clock is right, so for it this is the same as a jump of its own clock.
func clockAttacks() (all []attack) {
	for _, l := range lies {
		all = append(all,
			attack{"clock", "Netatmo is " + l.name + " of a sudden", func(s *scene) {
				s.healthy()
				s.lie(l.at)
				s.struck(1)
				s.silent()
				s.recovers()
			}},
			attack{"clock", "Netatmo is " + l.name + " from the start", func(s *scene) {
				s.logIn()
				s.lie(l.at)
				s.start()
				s.struck(1)
				s.mute()
				s.recovers()
			}},
		)
	}
	all = append(all, untoldAttacks()...)
	return append(all,
		attack{"clock", "a backend that finds the points too far in the future", func(s *scene) {
			s.over("http/protobuf")
			s.healthy()
			s.backendSays(func(w http.ResponseWriter, _ *http.Request) {
				http.Error(w, "out of bounds: timestamp is too far in the future", http.StatusBadRequest)
			})
			s.struck(5)
			if !strings.Contains(s.log.text(), "clock") {
				s.t.Error("the log does not mention the clock")
			}
			s.recovers()
		}},
	)
}
