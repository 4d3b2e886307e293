package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"netatmo-agent/agent/heartbeat"
	"netatmo-agent/auth/authtest"
)

// TestSoak exposes an agent to faults that were reported of Netatmo, networks,
// backends and machines, one after another and sometimes two at once. At the
// end no login may be lost that Netatmo did not withdraw, no available sample
// may be missing, none may have arrived twice, and no resource use may have
// grown.
//
// SOAK_DAYS is its length in fake days; SOAK_SEED is a number that draws other
// faults.
func TestSoak(t *testing.T) { liveThrough(t, "push") }

// TestSoakMeasured is TestSoak with NETATMO_TIMESTAMPS=measured: every sample
// arrives once.
func TestSoakMeasured(t *testing.T) { liveThrough(t, "measured") }

func liveThrough(t *testing.T, timestamps string) {
	t.Helper()
	days, seed := soakDays, 1
	for name, n := range map[string]*int{"SOAK_DAYS": &days, "SOAK_SEED": &seed} {
		if value := os.Getenv(name); value != "" {
			if _, err := fmt.Sscan(value, n); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
	began := time.Now()
	defer debug.SetGCPercent(debug.SetGCPercent(800)) // a heap of a few MiB, for a year
	synctest.Test(t, func(t *testing.T) {
		s := newSoak(t, uint64(seed), timestamps)
		s.start()
		s.live(days)
		s.stop()
		s.report(days)
		s.log.conclude(t)
	})
	t.Logf("%s: %d days in %s", timestamps, days, time.Since(began).Round(time.Second))
}

// live runs all faults, in a new random order each time, until the days are
// over.
func (s *soak) live(days int) {
	s.t.Helper()
	begin := time.Now()
	passed := func() time.Duration { return time.Since(begin) }
	end := time.Duration(days) * 24 * time.Hour
	time.Sleep(6 * time.Hour)
	s.rest("start")
	month, removed := 1, false
	var queue []soakFault
	for passed() < end {
		if len(queue) < 2 {
			more := soakFaults()
			s.random.Shuffle(len(more), func(i, j int) { more[i], more[j] = more[j], more[i] })
			queue = append(queue, more...)
		}
		n := 1
		if s.random.IntN(4) == 0 && queue[0].place != queue[1].place {
			n = 2
		}
		s.suffer(queue[:n])
		queue = queue[n:]
		s.sleep(time.Minute, 9*time.Hour)
		if passed() > time.Duration(month)*30*24*time.Hour {
			s.rest(fmt.Sprintf("month %d", month))
			month++
		}
		if !removed && passed() > end/2 {
			s.rest("half")
			s.cloud.RemoveModule(soakRemoved)
			s.backend.forget(soakRemoved)
			removed = true
		}
	}
	s.rest("end")
}

// suffer runs faults concurrently.
func (s *soak) suffer(faults []soakFault) {
	var over sync.WaitGroup
	for _, f := range faults {
		s.log.note(f.name)
		s.faults++
		over.Go(func() { f.run(s) })
	}
	over.Wait()
}

// rest waits until all faults are dealt with, and checks the results.
func (s *soak) rest(when string) {
	s.t.Helper()
	time.Sleep(12 * time.Hour)
	synctest.Wait()
	s.backend.judge(s.cfg.Backfill)
	if quiet := s.backend.silentModules(); len(quiet) > 0 {
		s.log.wrongf("%s: nothing arrives from %v", when, quiet)
	}
	s.checkLogin(when)
	if _, err := heartbeat.Read(s.cfg.TokenFile); err != nil {
		s.log.wrongf("%s: %v", when, err)
	}
	s.checkHoldings(when)
	s.log.conclude(s.t)
}

// checkHoldings compares the resources with those of the first rest. A
// connection or a buffer may be in use at the moment; what leaked stays.
func (s *soak) checkHoldings(when string) {
	s.t.Helper()
	now := s.holdings()
	if s.first == (holdings{}) {
		s.first = now
	}
	for range 3 {
		if now.exceeds(s.first) == "" {
			break
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		now = s.holdings()
	}
	s.t.Logf("%-8s %s", when, now)
	if grown := now.exceeds(s.first); grown != "" {
		s.log.wrongf("%s: more %s than at the start, %s and %s", when, grown, now, s.first)
	}
}

// checkLogin compares the token file with the tokens that Netatmo accepts.
// Users log in only after Netatmo has withdrawn the login.
func (s *soak) checkLogin(when string) {
	s.t.Helper()
	content, err := os.ReadFile(s.cfg.TokenFile)
	if err != nil {
		s.t.Fatal(err)
	}
	var file struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	if err := json.Unmarshal(content, &file); err != nil {
		s.t.Fatal(err)
	}
	living := s.cloud.Auth().Current()
	if file.Access != living.Access || file.Refresh != living.Refresh || !s.agent.source.Status().Authorized {
		s.log.wrongf("%s: the login is lost: %s", when, s.agent.source.Status().Problem)
	}
}

// holdings are the resources of an agent, including its world.
type holdings struct {
	goroutines, files int
	heap              uint64
}

func (s *soak) holdings() holdings {
	s.t.Helper()
	entries, err := os.ReadDir("/dev/fd")
	if err != nil {
		s.t.Fatal(err)
	}
	runtime.GC()
	runtime.GC() // objects that finalizers kept alive
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return holdings{runtime.NumGoroutine(), len(entries), m.HeapAlloc}
}

func (h holdings) String() string {
	return fmt.Sprintf("%d goroutines, %d files, %.1f MiB", h.goroutines, h.files, float64(h.heap)/(1<<20))
}

// exceeds names what has grown. The world around the agent counts events, and
// may grow a little.
func (h holdings) exceeds(before holdings) string {
	switch {
	case h.goroutines > before.goroutines+4: // a connection may be idle or not
		return "goroutines"
	case h.files > before.files+2:
		return "files"
	case h.heap > before.heap+3<<20:
		return "memory"
	}
	return ""
}

func (s *soak) report(days int) {
	s.t.Helper()
	stats := s.cloud.Auth().Stats()
	lost := 0
	for _, p := range stats.Issued {
		if !p.Answered {
			lost++
		}
	}
	requests := 0
	for _, n := range s.cloud.Requests() {
		requests += n
	}
	s.t.Logf("%d faults in %d days: %d requests to Netatmo, %d renewals of the token (%d at once), %d logins taken away, of them %d by a lost answer",
		s.faults, days, requests, stats.Refreshes(), stats.MaxConcurrent, s.wiped, lost)
	b := s.backend
	s.t.Logf("%d live points and %d of history; %d samples had to come by history and all %d within reach are there; %d came again after a power cut; %d values compared with the cloud's, none astray",
		b.pushed, b.filled, b.expected, b.expected, b.again, b.compared)
	s.t.Logf("%d lines of log", s.log.lines)
	if s.log.lines > 20*s.faults {
		s.log.wrongf("the log repeats itself")
	}
	if stats.MaxConcurrent > 1 {
		s.log.wrongf("two renewals at once")
	}
	refreshes := stats.Requests[authtest.Request{Grant: "refresh_token", Outcome: "ok"}]
	if most := days*24 + 24; refreshes > most {
		s.log.wrongf("%d renewals, want at most one an hour", refreshes)
	}
}
