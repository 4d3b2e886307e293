package attack

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
)

const mebibyte = 1 << 20

// talk is an HTTP/1.1 answer of an absurd size. The writer ignores
// errors, since the agent may have closed the connection.
type talk struct {
	name string
	say  func(w *bufio.Writer)
}

// heads are answers to any request, including CONNECT, with odd heads.
var heads = []talk{
	{"status line of 8 MiB", func(w *bufio.Writer) {
		head(w, "500 "+babble(8*mebibyte))
		w.WriteString("Content-Length: 0\r\n\r\n")
	}},
	{"malformed status line of 8 MiB", func(w *bufio.Writer) { w.WriteString("HTTP/1.1 " + babble(8*mebibyte) + "\r\n\r\n") }},
	{"junk of 8 MiB before the answer", func(w *bufio.Writer) {
		w.WriteString(babble(8*mebibyte) + "\r\n")
		head(w, "200 OK")
		w.WriteString("Content-Length: 0\r\n\r\n")
	}},
	{"Location of 8 MiB", func(w *bufio.Writer) {
		head(w, "302 Found")
		w.WriteString("Location: http://127.0.0.1/" + babble(8*mebibyte) + "\r\nContent-Length: 0\r\n\r\n")
	}},
	{"malformed header line of 8 MiB", func(w *bufio.Writer) {
		head(w, "200 OK")
		w.WriteString(babble(8*mebibyte) + "\r\n\r\n")
	}},
	{"200 000 header lines", func(w *bufio.Writer) {
		head(w, "503 Service Unavailable")
		for i := range 200_000 {
			fmt.Fprintf(w, "X-%d: a header line\r\n", i)
		}
		w.WriteString("Content-Length: 0\r\n\r\n")
	}},
	{"Transfer-Encoding of 8 MiB", func(w *bufio.Writer) {
		head(w, "200 OK")
		w.WriteString("Transfer-Encoding: " + babble(8*mebibyte) + "\r\n\r\n")
	}},
	{"Content-Type of 8 MiB", func(w *bufio.Writer) {
		head(w, "200 OK")
		w.WriteString("Content-Type: application/" + babble(8*mebibyte) + "\r\nContent-Length: 2\r\n\r\n{}")
	}},
	{"100 000 early hints before the answer", func(w *bufio.Writer) {
		for range 100_000 {
			w.WriteString("HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload; as=style\r\n\r\n")
		}
		head(w, "500 Internal Server Error")
		w.WriteString("Content-Length: 0\r\n\r\n")
	}},
}

// bodies are answers with odd bodies.
var bodies = []talk{
	{"trailer of 8 MiB", func(w *bufio.Writer) {
		head(w, "200 OK")
		w.WriteString("Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX-Trailer: " + babble(8*mebibyte) + "\r\n\r\n")
	}},
	{"error page of 64 MiB", func(w *bufio.Writer) {
		head(w, "500 Internal Server Error")
		w.WriteString("Content-Type: text/plain\r\nConnection: close\r\n\r\n")
		for range 64 {
			w.WriteString(babble(mebibyte))
		}
	}},
	{"JSON of 64 MiB in one text", func(w *bufio.Writer) {
		head(w, "200 OK")
		w.WriteString("Content-Type: application/json\r\nConnection: close\r\n\r\n" + `{"status":"ok","body":{"devices":[{"_id":"`)
		for range 64 {
			w.WriteString(babble(mebibyte))
		}
	}},
	{"error text of 1 MiB", func(w *bufio.Writer) {
		body := `{"error":{"code":500,"message":"` + babble(mebibyte) + `"}}`
		head(w, "500 Internal Server Error")
		fmt.Fprintf(w, "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}},
	{"gzip of 1 GiB", func(w *bufio.Writer) {
		head(w, "200 OK")
		fmt.Fprintf(w, "Content-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n", len(bomb()))
		w.Write(bomb())
	}},
	{"gzip of 1 GiB in an error", func(w *bufio.Writer) {
		head(w, "500 Internal Server Error")
		fmt.Fprintf(w, "Content-Type: text/plain\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n", len(bomb()))
		w.Write(bomb())
	}},
}

func head(w *bufio.Writer, status string) { w.WriteString("HTTP/1.1 " + status + "\r\n") }

// babble is a text of n bytes.
func babble(n int) string { return strings.Repeat("blah", n/4) }

// bomb is a gigabyte of blanks, compressed.
var bomb = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	blanks := bytes.Repeat([]byte(" "), mebibyte)
	for range 1024 {
		_, _ = z.Write(blanks) // to memory
	}
	_ = z.Close()
	return b.Bytes()
})

// handler sends the answer instead of net/http's server.
func (tk talk) handler(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	tk.say(rw.Writer)
	_ = rw.Flush() // the agent may have closed the connection
}

// talkAttacks make the backend and Netatmo give each of heads and bodies.
func talkAttacks() (all []attack) {
	for _, tk := range slices.Concat(heads, bodies) {
		all = append(all,
			attack{"push over HTTP", tk.name, func(s *scene) {
				s.over("http/protobuf")
				s.healthy()
				s.backendSays(tk.handler)
				s.struck(3)
				s.recovers()
			}},
			attack{"polls", tk.name, func(s *scene) {
				s.healthy()
				s.below("/api/", tk.handler)
				s.struck(1)
				s.recovers()
			}},
			attack{"refreshes", tk.name, func(s *scene) {
				s.healthy()
				s.below("/oauth2/token", tk.handler)
				s.expire()
				s.struck(1)
				s.recovers()
			}},
		)
	}
	return append(all,
		attack{"push over HTTP", "partial success of 3 MiB", func(s *scene) {
			s.over("http/protobuf")
			s.healthy()
			s.backendSays(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/x-protobuf")
				w.Write(partialSuccess())
			})
			s.struck(3)
			s.recovers()
		}},
		attack{"push over HTTP", "stray answers on connections at rest", func(s *scene) {
			s.over("http/protobuf")
			s.healthy()
			s.backendSays(func(w http.ResponseWriter, r *http.Request) { stray(w, r, s) })
			s.struck(5)
			s.recovers()
		}},
		attack{"polls", "stray answers on connections at rest", func(s *scene) {
			s.healthy()
			s.below("/api/", func(w http.ResponseWriter, r *http.Request) { stray(w, r, s) })
			s.struck(2)
			s.recovers()
		}},
	)
}

// backendSays makes h the backend's HTTP handler.
func (s *scene) backendSays(h http.HandlerFunc) {
	counted := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer s.strikes.Add(1)
		h(w, r)
	})
	s.backend.onHTTP.Store(&counted)
}

// stray answers correctly, and then sends another answer without a request,
// with the tokens of the login in it.
func stray(w http.ResponseWriter, _ *http.Request, s *scene) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	head(rw.Writer, "503 Service Unavailable")
	rw.WriteString("Content-Length: 0\r\n\r\n")
	_ = rw.Flush()
	pause() // the connection is idle now
	living := s.cloud.Auth().Current()
	head(rw.Writer, "200 "+living.Access+" "+living.Refresh)
	rw.WriteString("Content-Length: 0\r\n\r\n")
	_ = rw.Flush()
	pause()
}
