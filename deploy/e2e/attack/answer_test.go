package attack

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"syscall"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"google.golang.org/grpc/codes"

	"netatmo-agent/agent/simcloud"
	"netatmo-agent/deploy/e2e"
)

// answerAttacks are short wrong answers and wrong tokens.
func answerAttacks() (all []attack) {
	for _, code := range []int{2, 5, 9, 13, 21, 31} {
		all = append(all, attack{"polls", fmt.Sprintf("code %d once", code), func(s *scene) {
			s.healthy()
			s.once("/api/getstationsdata", func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusForbidden)
				fmt.Fprintf(w, `{"error":{"code":%d,"message":"no"}}`, code)
			})
			s.struck(1)
			s.recovers()
		}})
	}
	for _, code := range []string{"invalid_client", "unauthorized_client", "invalid_grant", "server_error", "no such error"} {
		all = append(all, attack{"refreshes", code + " once", func(s *scene) {
			s.healthy()
			s.once("/oauth2/token", func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusBadRequest)
				fmt.Fprintf(w, `{"error":%q}`, code)
			})
			s.expire()
			s.struck(1)
			s.recovers()
		}})
	}
	for name, access := range map[string]string{
		"empty": `""`, "null": `null`, "with a line break in it": `"5a1b|ab\ncd"`, "a number": `7`, "of 100 KiB": `"` + babble(100<<10) + `"`,
	} {
		all = append(all, attack{"refreshes", "an access token that is " + name, func(s *scene) {
			s.healthy()
			s.once("/oauth2/token", func(w http.ResponseWriter, r *http.Request) {
				s.rewrite(w, r, regexp.MustCompile(`"access_token":"[^"]*"`), `"access_token":`+access)
			})
			s.expire()
			s.struck(1)
			s.recovers()
		}})
	}
	all = append(all, retryAfterAttacks()...)
	return all
}

// once passes the next request below a path to h.
func (s *scene) once(path string, h http.HandlerFunc) {
	s.below(path, func(w http.ResponseWriter, r *http.Request) {
		s.front.hostile.Store(nil)
		h(w, r)
	})
}

// rewrite sends the cloud's answer with each match of what replaced.
func (s *scene) rewrite(w http.ResponseWriter, r *http.Request, what *regexp.Regexp, with string) {
	rec := httptest.NewRecorder()
	s.cloud.ServeHTTP(rec, r)
	for name, values := range rec.Header() {
		if name != "Content-Length" {
			w.Header()[name] = values
		}
	}
	w.WriteHeader(rec.Code)
	w.Write(what.ReplaceAllLiteral(rec.Body.Bytes(), []byte(with)))
}

// retryAfterAttacks make a backend ask the agent to wait for a very long time.
func retryAfterAttacks() (all []attack) {
	stale := e2e.Env{"NETATMO_AGE_STALE": "30s"}
	for _, asked := range []string{"86400", "999999999999999999999", "Fri, 31 Dec 2199 23:59:59 GMT"} {
		for _, status := range []int{429, 503} {
			all = append(all, attack{"push over HTTP", fmt.Sprintf("%d with Retry-After: %s", status, asked), func(s *scene) {
				s.over("http/protobuf")
				s.set(stale)
				s.healthy()
				s.backendSays(func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Retry-After", asked)
					w.WriteHeader(status)
				})
				s.struck(1)
				s.recovers()
			}})
		}
	}
	for _, code := range []codes.Code{codes.ResourceExhausted, codes.Unavailable} {
		refuse := func(s *scene) {
			answer := func() (pmetricotlp.ExportResponse, error) {
				s.strikes.Add(1)
				return pmetricotlp.NewExportResponse(), retryInfo(code)
			}
			s.backend.onGRPC.Store(&answer)
			s.struck(1)
		}
		all = append(all,
			attack{"push over gRPC", fmt.Sprintf("%v with a RetryInfo of a day", code), func(s *scene) {
				s.set(stale)
				s.healthy()
				refuse(s)
				s.recovers()
			}},
			attack{"push over gRPC", fmt.Sprintf("%v with a RetryInfo of a day before the end", code), func(s *scene) {
				s.healthy()
				refuse(s)
				s.backend.honest()
				before := s.backend.taken()
				s.program.signal(syscall.SIGTERM)
				if code := s.program.wait(20 * time.Second); code != 0 {
					s.t.Errorf("SIGTERM: exit code %d, want 0", code)
				}
				if s.backend.taken() == before {
					s.t.Error("the last push is not attempted")
				}
			}},
		)
	}
	return all
}

// flapAttacks make the backend and Netatmo fail and recover by turns.
func flapAttacks() (all []attack) {
	const flaps, each = 12, 700 * time.Millisecond
	flap := func(s *scene, down, up func()) {
		for range flaps {
			down()
			time.Sleep(each)
			up()
			time.Sleep(each)
		}
		s.recovers()
	}
	refuse := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	for protocol, name := range names {
		all = append(all, attack{"push over " + name, "a backend that comes and goes", func(s *scene) {
			s.over(protocol)
			s.healthy()
			gone := func(net.Conn) {}
			flap(s, func() { s.backend.grpc.turn(gone); s.backend.http.turn(gone) }, s.backend.honest)
		}})
	}
	return append(all,
		attack{"push over HTTP", "503 and 200 in turn", func(s *scene) {
			s.over("http/protobuf")
			s.healthy()
			flap(s, func() { s.backend.onHTTP.Store(&refuse) }, s.backend.honest)
		}},
		attack{"polls", "503 and 200 in turn", func(s *scene) {
			s.healthy()
			flap(s, func() { s.front.hostile.Store(&refuse) }, func() { s.front.hostile.Store(nil) })
		}},
		attack{"polls", "no answer until the connection is cut", func(s *scene) {
			s.healthy()
			s.cloud.Inject(simcloud.Fault{Kind: simcloud.Hang, Delay: 12 * time.Second})
			flap(s, func() {}, func() {})
		}},
	)
}
