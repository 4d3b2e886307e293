package netatmo

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"time"
)

const (
	maxAnswer = 32 << 20 // bytes of a success
	maxReport = 1 << 20  // bytes of a failure
	maxValue  = 4 << 20  // bytes of one device in an answer
)

// formError says that a document is complete, but not an answer of the API.
type formError string

func (e formError) Error() string { return string(e) }

const (
	errNotJSON = formError("it is not a JSON object")
	errHTML    = formError("it is an HTML page")
	errEmpty   = formError("it is empty")
	errNoBody  = formError("it has no body")
)

// errCut says that the connection ended before the document did.
var errCut = errors.New("the connection broke off")

// Answer is the result of one request.
type Answer struct {
	Readings []Reading

	// Server is Netatmo's clock when it answered (time_server, else the header
	// Date), or zero if the answer has neither.
	Server time.Time
	// Offset is how far the local clock is ahead of Server, less half of the
	// round trip. Netatmo's clock has whole seconds.
	Offset time.Duration

	// Rejected lists the parts of the answer that the client does not
	// understand, devices that Netatmo cannot reach (body.errors) and devices
	// that are absent; a thousand at most.
	Rejected []ItemError

	// Homes has all homes of the account if Ask requested them.
	Homes []Home
}

// envelope is the part of an answer around its body.
type envelope struct {
	server time.Time // zero if unknown
	local  time.Time // the local clock at the same moment

	failed  bool // it has an error
	code    int
	message string
	errors  []byte // of devices; it belongs to the body
}

func (e *envelope) answer(d decoder) Answer {
	a := Answer{Readings: d.readings, Server: e.server, Rejected: d.rejected}
	if !e.server.IsZero() {
		a.Offset = e.local.Sub(e.server)
	}
	for i := range a.Readings {
		a.Readings[i].settle(e)
	}
	return a
}

// now is Netatmo's time of the answer, or the local time if that is unknown.
func (e *envelope) now() time.Time {
	if e.server.IsZero() {
		return e.local
	}
	return e.server
}

// read reads one answer of at most limit bytes from r and passes its body to
// body as it arrives. It returns errors of r, or says why r has no answer. A
// formError of body counts only if the answer reports no other error.
func (e *envelope) read(r io.Reader, limit int, body func(*stream) error) error {
	e.code = NoCode
	s := newStream(r, limit)
	if err := s.sniff(); err != nil {
		return err
	}
	var form error = errNoBody
	err := s.object(func(key string) error {
		switch key {
		case "body":
			err := body(s)
			e.take("error", s.fault)
			if _, ok := errors.AsType[formError](err); !ok {
				form = nil
				return err
			}
			form = err
			return nil
		case "time_server", "error", "errors":
			raw, err := s.value()
			if err == nil {
				e.take(key, raw)
			}
			return err
		}
		return s.skip()
	})
	if err == nil && !e.failed {
		err = form
	}
	return err
}

func (e *envelope) take(key string, raw []byte) {
	switch key {
	case "errors":
		e.errors = bytes.Clone(raw)
	case "time_server":
		if n, is := instant(raw); is == said {
			e.server = time.Unix(int64(n), 0).UTC()
		}
	case "error":
		if none := string(raw); none == "" || none == "null" || none == `""` {
			return
		}
		var o object
		e.failed, e.message = true, text(raw)
		if o.read(raw) {
			e.message = text(o.get("message"))
			if n, ok := number(o.get("code")); ok && n == float64(int32(n)) {
				e.code = int(n)
			}
		}
	}
}

// stream reads one JSON document piece by piece, so that an answer about
// thousands of devices is never in memory as a whole.
type stream struct {
	src boundedReader
	dec *json.Decoder
	raw json.RawMessage // reused by value

	depth int    // 1 in the answer, 2 in its body
	fault []byte // the error in a body, instead of data or beside it
}

func newStream(r io.Reader, limit int) *stream {
	s := &stream{src: boundedReader{r: bufio.NewReader(connection{r}), most: limit, limit: limit, left: limit}}
	s.dec = json.NewDecoder(&s.src)
	s.dec.UseNumber()
	return s
}

// sniff detects early a document that is not a JSON object.
func (s *stream) sniff() error {
	for ; s.src.limit > 0; s.src.limit-- {
		c, err := s.src.r.ReadByte()
		if errors.Is(err, io.EOF) {
			return errEmpty
		}
		if err != nil {
			return err
		}
		switch c {
		case ' ', '\t', '\r', '\n':
		case '{':
			return s.src.r.UnreadByte()
		case '<':
			return errHTML
		default:
			return errNotJSON
		}
	}
	return tooLongError{"it", s.src.most}
}

// object calls member for each member of the next object; member must read the
// member's value. A value that is not an object is skipped.
func (s *stream) object(member func(key string) error) error {
	_, err := s.members(member)
	return err
}

// list calls element for each element of the next list (see elements), with its
// number from 1, and reports whether there was a list. raw is valid during the
// call. An object without members is not a list.
func (s *stream) list(element func(n int, raw []byte)) (bool, error) {
	n := 0
	start, err := s.members(func(string) error {
		raw, err := s.value()
		if err == nil {
			n++
			element(n, raw)
		}
		return err
	})
	return start == '[' || n > 0, err
}

// only reads a body that must have a list under key, and skips the rest. An
// account without devices has an empty body (observed).
func (s *stream) only(key string, element func(n int, raw []byte)) error {
	found, empty := false, true
	start, err := s.members(func(k string) error {
		empty = false
		if k != key {
			return s.skip()
		}
		var err error
		found, err = s.list(element)
		return err
	})
	if err == nil && !found && (start == 0 || !empty) {
		err = formError("it has no list of " + key)
	}
	return err
}

// skim skips a body except for its error.
func (s *stream) skim() error { return s.object(func(string) error { return s.skip() }) }

// members calls member with the key of each member of an object, or with an
// empty key for each element of an array. It returns '{', '[', or 0 for a value
// that is neither. The error of a body goes to fault instead.
func (s *stream) members(member func(key string) error) (json.Delim, error) {
	s.src.left = maxValue
	token, err := s.dec.Token()
	if err != nil {
		return 0, err
	}
	start, _ := token.(json.Delim)
	if start != '{' && start != '[' {
		return 0, nil
	}
	s.depth++
	defer func() { s.depth-- }()
	for s.dec.More() {
		key := ""
		if start == '{' {
			s.src.left = maxValue
			token, err := s.dec.Token()
			if err != nil {
				return start, err
			}
			key, _ = token.(string)
		}
		if s.depth == 2 && key == "error" {
			raw, err := s.value()
			if err != nil {
				return start, err
			}
			s.fault = bytes.Clone(raw)
		} else if err := member(key); err != nil {
			return start, err
		}
	}
	_, err = s.dec.Token()
	return start, err
}

// value returns the next value, valid until the next call.
func (s *stream) value() ([]byte, error) {
	s.src.left = maxValue
	err := s.dec.Decode(&s.raw)
	return s.raw, err
}

func (s *stream) skip() error {
	_, err := s.value()
	return err
}

// connection distinguishes an answer whose connection broke from a complete one
// whose text ends early. The decoder calls both an unexpected end.
type connection struct{ body io.Reader }

func (c connection) Read(p []byte) (int, error) {
	n, err := c.body.Read(p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = errCut
	}
	return n, err
}

// boundedReader limits how much a stream reads, in total and for one value.
type boundedReader struct {
	r     *bufio.Reader
	most  int // bytes allowed in total
	limit int // bytes left in total
	left  int // bytes left for the current value
}

// tooLongError says that an answer exceeds what this client reads.
type tooLongError struct {
	what  string
	limit int // bytes
}

func (e tooLongError) Error() string {
	return e.what + " is longer than " + strconv.Itoa(e.limit>>20) + " MiB"
}

func (s *boundedReader) Read(p []byte) (int, error) {
	if s.limit <= 0 {
		return 0, tooLongError{"it", s.most}
	}
	if s.left <= 0 {
		return 0, tooLongError{"one value in it", maxValue}
	}
	n, err := s.r.Read(p[:min(len(p), s.limit, s.left)])
	s.limit -= n
	s.left -= n
	return n, err
}

// unreadable reports whether the document is invalid, rather than incomplete
// because of the connection.
func unreadable(err error) bool {
	_, form := errors.AsType[formError](err)
	_, syntax := errors.AsType[*json.SyntaxError](err)
	_, long := errors.AsType[tooLongError](err)
	return form || syntax || long || endsEarly(err)
}

func endsEarly(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

// damage explains what is wrong with an answer.
func damage(err error) string {
	if endsEarly(err) {
		return "it ends in the middle"
	}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return "it is damaged JSON: " + syntax.Error()
	}
	return err.Error()
}
