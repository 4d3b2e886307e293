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
	maxAnswer = 32 << 20 // of a success
	maxReport = 1 << 20  // of a failure
	maxValue  = 4 << 20  // of one device in an answer
)

// formError says that a document is whole, but not an answer of the API.
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

// Answer is what one request told.
type Answer struct {
	Readings []Reading

	// Server is Netatmo's clock when it answered (time_server, else the header
	// Date), zero where the answer had neither.
	Server time.Time
	// Offset is by how much the local clock is ahead of Server, with half of
	// the round trip taken off. Netatmo's clock comes in whole seconds.
	Offset time.Duration

	// Rejected lists what in the answer was not understood, and what Netatmo
	// itself could not reach (body.errors); a thousand at most.
	Rejected []ItemError
}

// envelope is what stands around the body of an answer.
type envelope struct {
	server time.Time // zero where unknown
	local  time.Time // the local clock at the same moment

	failed  bool // it had an error
	code    int
	message string
	errors  []byte // the list that belongs into the body
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

// now is Netatmo's time of the answer, the local one where that is unknown.
func (e *envelope) now() time.Time {
	if e.server.IsZero() {
		return e.local
	}
	return e.server
}

// read reads one answer of at most limit bytes from r and gives its body to
// body as it arrives. The errors are those of r, or say in what way r holds no
// answer; a formError of body is one only if the answer does not name another.
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
// thousands of devices is never held as a whole.
type stream struct {
	src source
	dec *json.Decoder
	raw json.RawMessage // reused by value

	depth int    // 1 in the answer, 2 in its body
	fault []byte // the error that a body had in the place of data, or beside it
}

func newStream(r io.Reader, limit int) *stream {
	s := &stream{src: source{r: bufio.NewReader(connection{r}), most: limit, limit: limit, left: limit}}
	s.dec = json.NewDecoder(&s.src)
	s.dec.UseNumber()
	return s
}

// sniff says early and in plain words that the document is no JSON object.
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

// object calls member for each member of the object that comes next; member
// must take its value off the stream. A value that is no object is skipped.
func (s *stream) object(member func(key string) error) error {
	_, err := s.members(member)
	return err
}

// list calls element for each element of the list that comes next (see
// elements), with its number from 1 on, and reports whether there was one. raw
// is valid during the call. An object without members is no list.
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

// only reads a body that must have a list under key, and skips the rest. One
// that holds nothing at all is an account without anything (observed).
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

// skim skips a body in which nothing but an error is of interest.
func (s *stream) skim() error { return s.object(func(string) error { return s.skip() }) }

// members calls member with the key of each member of an object, or with an
// empty key for each element of an array. It returns which of the two it was,
// '{' or '[', or 0. The error of a body goes to fault instead.
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

// connection tells an answer whose connection broke off from one that is whole
// and whose text ends early, which the decoder calls an unexpected end too.
type connection struct{ body io.Reader }

func (c connection) Read(p []byte) (int, error) {
	n, err := c.body.Read(p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = errCut
	}
	return n, err
}

// source bounds what a stream reads: in all, and for one value.
type source struct {
	r     *bufio.Reader
	most  int // bytes that the whole may have
	limit int // and may still have
	left  int // bytes that the present value may still have
}

// tooLongError says that an answer exceeds what this client reads.
type tooLongError struct {
	what  string
	limit int // bytes
}

func (e tooLongError) Error() string {
	return e.what + " is longer than " + strconv.Itoa(e.limit>>20) + " MiB"
}

func (s *source) Read(p []byte) (int, error) {
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

// unreadable reports whether err says that the document is wrong, rather than
// that it could not be fetched.
func unreadable(err error) bool {
	_, form := errors.AsType[formError](err)
	_, syntax := errors.AsType[*json.SyntaxError](err)
	_, long := errors.AsType[tooLongError](err)
	return form || syntax || long || endsEarly(err)
}

func endsEarly(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

// describe says in words what is wrong with an answer.
func describe(err error) string {
	if endsEarly(err) {
		return "it ends in the middle"
	}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return "it is damaged JSON: " + syntax.Error()
	}
	return err.Error()
}
