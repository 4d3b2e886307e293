package pages_test

import (
	"context"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"netatmo-agent/auth/authtest"
)

// Connections that say nothing cost neither memory nor descriptors without
// limit, and keep nobody out for longer than five seconds.
func TestSilentConnectionsAreLimitedAndFreed(t *testing.T) {
	for name, says := range map[string]string{
		"mute": "", "half a header": "GET / HTTP/1.1\r\nHost: agent.test\r\nX-A: ", "kept alive": "GET / HTTP/1.1\r\nHost: agent.test\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, agentURL)
				l := authtest.NewListener()
				ctx, stop := context.WithCancel(t.Context())
				var serving sync.WaitGroup
				serving.Go(func() {
					if err := w.pages.Serve(ctx, l); err != nil {
						t.Error(err)
					}
				})
				defer serving.Wait()
				defer stop()
				start := time.Now()
				accepted := 0
				for range 100 {
					dialing, giveUp := context.WithTimeout(ctx, time.Nanosecond)
					conn, err := l.Dial(dialing, "", "")
					giveUp()
					if err != nil {
						break
					}
					defer conn.Close()
					accepted++
					go func(c net.Conn) {
						_, _ = c.Write([]byte(says))
						b := make([]byte, 64<<10)
						for {
							if _, err := c.Read(b); err != nil {
								return
							}
						}
					}(conn)
				}
				if accepted < 32 || accepted > 65 {
					t.Errorf("%d connections at a time", accepted)
				}
				client := &http.Client{Transport: &http.Transport{DialContext: l.Dial, DisableKeepAlives: true}}
				answer, err := client.Get(agentURL + "/")
				if err != nil {
					t.Fatal(err)
				}
				answer.Body.Close()
				if waited := time.Since(start); waited > 6*time.Second {
					t.Errorf("a visitor waited for %v", waited)
				}
			})
		})
	}
}
