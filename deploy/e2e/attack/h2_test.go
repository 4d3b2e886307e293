package attack

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// pause waits until sent data has arrived.
func pause() { time.Sleep(100 * time.Millisecond) }

// h2 is the hostile side of an HTTP/2 connection, frame by frame.
type h2 struct {
	*http2.Framer
	conn net.Conn
	out  *bufio.Writer
}

// h2Server returns a handler of HTTP/2 connections. It calls answer for every
// complete request; answer returns whether the connection stays open. A client
// that does not speak HTTP/2 gets the same frames.
func h2Server(answer func(c *h2, stream uint32) (more bool)) func(net.Conn) {
	return func(conn net.Conn) {
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(patience))
		in := bufio.NewReader(conn)
		preface := make([]byte, len(http2.ClientPreface))
		if _, err := io.ReadFull(in, preface); err != nil {
			return
		}
		c := &h2{conn: conn, out: bufio.NewWriterSize(conn, 64<<10)}
		c.Framer = http2.NewFramer(c.out, in)
		c.AllowIllegalWrites = true
		if string(preface) != http2.ClientPreface {
			answer(c, 1)
			_ = c.flush() // the client may have left
			return
		}
		if c.WriteSettings() != nil || c.flush() != nil {
			return
		}
		for {
			frame, err := c.ReadFrame()
			if err != nil {
				return
			}
			header := frame.Header()
			switch frame.(type) {
			case *http2.SettingsFrame:
				if !header.Flags.Has(http2.FlagSettingsAck) && (c.WriteSettingsAck() != nil || c.flush() != nil) {
					return
				}
			case *http2.HeadersFrame, *http2.DataFrame:
				if header.Flags.Has(http2.FlagDataEndStream) && !answer(c, header.StreamID) {
					_ = c.flush()
					pause() // so that it reads the answer before the end
					return
				}
				if c.flush() != nil {
					return
				}
			}
		}
	}
}

func (c *h2) flush() error { return c.out.Flush() }

// headers sends a header block in as many frames as necessary.
func (c *h2) headers(stream uint32, end bool, fields ...string) {
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for i := 0; i+1 < len(fields); i += 2 {
		_ = enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}) // to memory
	}
	const most = 16 << 10
	first := true
	for {
		part := block.Next(most)
		last := block.Len() == 0
		var err error
		if first {
			err = c.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: part, EndStream: end, EndHeaders: last})
		} else {
			err = c.WriteContinuation(stream, last, part)
		}
		if err != nil || last {
			return
		}
		first = false
	}
}

// status answers with a gRPC status and no message.
func (c *h2) status(stream uint32, code, message string, more ...string) {
	fields := []string{":status", "200", "content-type", "application/grpc", "grpc-status", code, "grpc-message", message}
	c.headers(stream, true, append(fields, more...)...)
}

// message answers with a gRPC message.
func (c *h2) message(stream uint32, compressed bool, body []byte, fields ...string) {
	c.headers(stream, false, append([]string{":status", "200", "content-type", "application/grpc"}, fields...)...)
	prefixed := make([]byte, 5, 5+len(body))
	if compressed {
		prefixed[0] = 1
	}
	for i := range 4 {
		prefixed[1+i] = byte(len(body) >> (24 - 8*i))
	}
	prefixed = append(prefixed, body...)
	for part := range slices.Chunk(prefixed, 16<<10) {
		if c.WriteData(stream, false, part) != nil {
			return
		}
	}
	c.headers(stream, true, "grpc-status", "0")
}

// partialSuccess is an answer that refuses one point with a text of 3 MiB.
func partialSuccess() []byte {
	answer := pmetricotlp.NewExportResponse()
	answer.PartialSuccess().SetRejectedDataPoints(1)
	answer.PartialSuccess().SetErrorMessage(strings.Repeat("blah", 3*mebibyte/4))
	body, err := answer.MarshalProto()
	if err != nil {
		panic(err) // a text and a number
	}
	return body
}
