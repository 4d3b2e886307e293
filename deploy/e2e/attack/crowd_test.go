package attack

import (
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	crowdSize   = 10_000
	crowdMemory = 10 << 20 // bytes that a crowd may cost in addition to the agent's memory before
)

// crowdAttacks open many connections to the login pages at once and keep them
// open.
func crowdAttacks() (all []attack) {
	for name, say := range map[string]string{
		"mute":                  "",
		"with half a header":    "GET / HTTP/1.1\r\nHost: localhost\r\nX-Half: ",
		"kept alive":            "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"with 15 KiB headers":   "GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + babble(15<<10) + "\r\n\r\n",
		"with half of a form":   "POST /auth/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\nkey=",
		"that speak h2":         "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
		"that speak TLS":        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("\x00", 500),
		"mute, 128 descriptors": "",
	} {
		all = append(all, attack{"pages", "10 000 connections " + name, func(s *scene) {
			s.renewing()
			s.healthy()
			if strings.HasSuffix(name, "128 descriptors") {
				limit := unix.Rlimit{Cur: 128, Max: 128}
				must(s, unix.Prlimit(s.program.cmd.Process.Pid, unix.RLIMIT_NOFILE, &limit, nil))
			}
			s.program.measure()
			before := s.peak.Load()
			leave := s.gather(say)
			begin := time.Now()
			refreshes := s.cloud.Auth().Stats().Refreshes()
			s.advances(2)
			s.eventually("renews the token beside the crowd", func() bool { return s.cloud.Auth().Stats().Refreshes() > refreshes })
			s.t.Logf("two readings and a renewal took %v", time.Since(begin).Round(time.Second))
			leave()
			s.recovers()
			s.program.measure()
			if more := s.peak.Load() - before; more > crowdMemory {
				s.t.Errorf("the crowd costs %.1f MiB, want at most %.0f", mib(more), mib(crowdMemory))
			}
		}})
	}
	return all
}

// gather opens as many connections as it can in a few seconds.
func (s *scene) gather(say string) (leave func()) {
	s.t.Helper()
	address := s.agent.Env["NETATMO_LISTEN_ADDR"]
	var mu sync.Mutex
	var conns []net.Conn
	var dialers sync.WaitGroup
	left := make(chan struct{}, crowdSize)
	for range crowdSize {
		left <- struct{}{}
	}
	close(left)
	deadline := time.Now().Add(6 * time.Second)
	for range 200 {
		dialers.Go(func() {
			for range left {
				if time.Now().After(deadline) {
					return
				}
				conn, err := net.DialTimeout("tcp", address, 200*time.Millisecond)
				if err != nil {
					continue
				}
				_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
				_, _ = conn.Write([]byte(say)) // it may be cut off already
				mu.Lock()
				conns = append(conns, conn)
				mu.Unlock()
			}
		})
	}
	dialers.Wait()
	s.strikes.Add(int64(len(conns)))
	if len(conns) < 1000 {
		s.t.Fatalf("%d connections, want a crowd", len(conns))
	}
	return func() {
		for _, conn := range conns {
			if tcp, ok := conn.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0) // leaves no port behind in TIME_WAIT
			}
			conn.Close()
		}
	}
}
