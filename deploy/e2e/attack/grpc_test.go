package attack

import (
	"net"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

// grpcAnswers are hostile answers to a push over gRPC.
var grpcAnswers = []struct {
	name   string
	answer func(c *h2, stream uint32) bool
}{
	{"status text of 6 MiB", func(c *h2, stream uint32) bool {
		c.status(stream, "14", babble(6*mebibyte))
		return true
	}},
	{"status text of 100 KiB", func(c *h2, stream uint32) bool {
		c.status(stream, "3", babble(100<<10))
		return true
	}},
	{"100 000 header fields", func(c *h2, stream uint32) bool {
		var fields []string
		for i := range 100_000 {
			fields = append(fields, "x-"+strconv.Itoa(i), "a header field")
		}
		c.status(stream, "13", "there are many", fields...)
		return true
	}},
	{"partial success of 3 MiB", func(c *h2, stream uint32) bool {
		c.message(stream, false, partialSuccess())
		return true
	}},
	{"message of 64 MiB", func(c *h2, stream uint32) bool {
		c.message(stream, false, make([]byte, 64*mebibyte))
		return true
	}},
	{"gzip of 1 GiB", func(c *h2, stream uint32) bool {
		c.message(stream, true, bomb(), "grpc-encoding", "gzip")
		return true
	}},
	{"an encoding with a name of 1 MiB", func(c *h2, stream uint32) bool {
		c.message(stream, true, []byte{0}, "grpc-encoding", babble(mebibyte))
		return true
	}},
	{"content type of 1 MiB", func(c *h2, stream uint32) bool {
		c.headers(stream, true, ":status", "200", "content-type", "text/"+babble(mebibyte))
		return true
	}},
	{"error page of 16 MiB", func(c *h2, stream uint32) bool {
		c.headers(stream, false, ":status", "502", "content-type", "text/html")
		for range 1024 {
			if c.WriteData(stream, false, []byte(babble(16<<10))) != nil {
				break
			}
		}
		return false
	}},
	{"malformed details of 4 MiB", func(c *h2, stream uint32) bool {
		c.status(stream, "14", "", "grpc-status-details-bin", babble(4*mebibyte))
		return true
	}},
	{"code of 1 MiB", func(c *h2, stream uint32) bool {
		c.status(stream, strings.Repeat("9", mebibyte), "")
		return true
	}},
	{"GOAWAY with 16 KiB of text", func(c *h2, _ uint32) bool {
		_ = c.WriteGoAway(0, http2.ErrCodeEnhanceYourCalm, []byte(babble(16<<10-8)))
		return false
	}},
	{"GOAWAY on every connection", func(c *h2, _ uint32) bool {
		_ = c.WriteGoAway(0, http2.ErrCodeNo, nil)
		return false
	}},
	{"streams refused", func(c *h2, stream uint32) bool {
		_ = c.WriteRSTStream(stream, http2.ErrCodeRefusedStream)
		return true
	}},
}

// grpcAttacks make the backend give each of grpcAnswers.
func grpcAttacks() (all []attack) {
	for _, a := range grpcAnswers {
		all = append(all, attack{"push over gRPC", a.name, func(s *scene) {
			s.healthy()
			s.grpcSays(h2Server(func(c *h2, stream uint32) bool {
				defer s.strikes.Add(1)
				return a.answer(c, stream)
			}))
			s.struck(3)
			s.recovers()
		}})
	}
	for name, say := range map[string]string{
		"junk of 8 MiB instead of HTTP/2":  babble(8 * mebibyte),
		"an answer over HTTP/1.1 of 8 MiB": "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\r\n" + babble(8*mebibyte),
	} {
		all = append(all, attack{"push over gRPC", name, func(s *scene) {
			s.healthy()
			s.grpcSays(func(conn net.Conn) {
				defer s.strikes.Add(1)
				_ = conn.SetDeadline(time.Now().Add(patience))
				_, _ = conn.Read(make([]byte, 4096))
				_, _ = conn.Write([]byte(say))
				pause()
			})
			s.struck(3)
			s.recovers()
		}})
	}
	return all
}

// grpcSays passes the connections of pushes over gRPC to h.
func (s *scene) grpcSays(h func(net.Conn)) { s.backend.grpc.turn(h) }

// floods are HTTP/2 frames to send in large numbers instead of an answer.
var floods = []struct {
	name string
	send func(c *h2, stream uint32) error
}{
	{"frames of an unknown type", func(c *h2, _ uint32) error { return c.WriteRawFrame(0x42, 0, 0, []byte("who knows")) }},
	{"PING", func(c *h2, _ uint32) error { return c.WritePing(false, [8]byte{}) }},
	{"SETTINGS", func(c *h2, _ uint32) error {
		return c.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 65535})
	}},
	{"RST_STREAM", func(c *h2, _ uint32) error { return c.WriteRSTStream(99, http2.ErrCodeCancel) }},
	{"WINDOW_UPDATE", func(c *h2, _ uint32) error { return c.WriteWindowUpdate(99, 1) }},
	{"PRIORITY", func(c *h2, _ uint32) error { return c.WritePriority(3, http2.PriorityParam{Weight: 7}) }},
	{"empty DATA", func(c *h2, _ uint32) error { return c.WriteData(99, false, nil) }},
	{"DATA before HEADERS", func(c *h2, stream uint32) error { return c.WriteData(stream, false, []byte("no header")) }},
	{"early hints", func(c *h2, stream uint32) error {
		c.headers(stream, false, ":status", "103", "link", "</style.css>")
		return c.flush()
	}},
	{"PUSH_PROMISE", func(c *h2, stream uint32) error {
		return c.WritePushPromise(http2.PushPromiseParam{StreamID: stream, PromiseID: 2, EndHeaders: true})
	}},
	{"CONTINUATION", func(c *h2, stream uint32) error {
		return c.WriteContinuation(stream, false, []byte{0x40, 1, 'x', 1, 'y'})
	}},
}

// floodAttacks send 100 000 frames to each connection of pushes over gRPC and
// polls over HTTP/2.
func floodAttacks() (all []attack) {
	for _, f := range floods {
		pour := func(s *scene) func(net.Conn) {
			return h2Server(func(c *h2, stream uint32) bool {
				defer s.strikes.Add(1)
				if f.name == "CONTINUATION" { // needs a block that continues
					_ = c.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: []byte{0x88}})
				}
				go func() { // what it receives is ignored
					for {
						if _, err := c.ReadFrame(); err != nil {
							return
						}
					}
				}()
				for range 100_000 {
					if f.send(c, stream) != nil {
						break
					}
				}
				return false
			})
		}
		all = append(all,
			attack{"push over gRPC", "flood of " + f.name, func(s *scene) {
				s.healthy()
				s.grpcSays(pour(s))
				s.struck(3)
				s.recovers()
			}},
			attack{"polls over h2", "flood of " + f.name, func(s *scene) {
				s.renewing()
				s.overTLS()
				s.healthy()
				s.tls.turn(pour(s))
				s.struck(1)
				s.recovers()
			}},
		)
	}
	for name, answer := range map[string]func(c *h2, stream uint32) bool{
		"GOAWAY on every connection": func(c *h2, _ uint32) bool {
			_ = c.WriteGoAway(0, http2.ErrCodeNo, nil)
			return false
		},
		"streams refused": func(c *h2, stream uint32) bool {
			_ = c.WriteRSTStream(stream, http2.ErrCodeRefusedStream)
			return true
		},
	} {
		all = append(all, attack{"polls over h2", name, func(s *scene) {
			s.renewing()
			s.overTLS()
			s.healthy()
			s.tls.turn(h2Server(func(c *h2, stream uint32) bool {
				defer s.strikes.Add(1)
				return answer(c, stream)
			}))
			s.struck(1)
			begin, before := time.Now(), s.strikes.Load()
			time.Sleep(12 * time.Second) // requests repeated past the gate arrive now
			wire, most := s.strikes.Load()-before, int64(time.Since(begin)/(5*time.Second))+20
			if wire > most {
				s.t.Errorf("%d requests in %v, the gate admits %d", wire, time.Since(begin), most)
			}
			s.recovers()
		}})
	}
	return all
}

// retryInfo is a refusal that asks to wait for a day.
func retryInfo(code codes.Code) error {
	st := status.New(code, "come back tomorrow")
	with, err := st.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(24 * time.Hour)})
	if err != nil {
		panic(err) // only known types
	}
	return with.Err()
}
