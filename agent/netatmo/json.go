package netatmo

import (
	"bytes"
	"encoding/json"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// The functions in this file read values that encoding/json has already
// validated. A map of json.RawMessage would cost several allocations for each
// key, and a struct would reject a whole module for one odd field.

// object is a JSON object as its members; the slices point into the answer.
type object []member

type member struct{ key, value []byte }

// read makes o the object raw. It reports whether raw is one.
func (o *object) read(raw []byte) bool {
	*o = (*o)[:0]
	if len(raw) == 0 || raw[0] != '{' {
		return false
	}
	for rest := blank(raw[1:]); rest[0] != '}'; {
		key, after := cut(rest)
		value, next := cut(blank(blank(after)[1:])) // past the colon
		*o = append(*o, member{key[1 : len(key)-1], value})
		rest = comma(next)
	}
	return true
}

// get returns the value of key, or nil. Of several values the last counts, as in
// encoding/json.
func (o object) get(key string) []byte {
	for _, m := range slices.Backward(o) {
		if string(m.key) == key {
			return m.value
		}
	}
	return nil
}

// elements yields the elements of the array raw, or the values of an object,
// because PHP, which produces Netatmo's answers, writes an array with gaps as
// an object.
func elements(raw []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		var o object
		if o.read(raw) {
			for _, m := range o {
				if !yield(m.value) {
					return
				}
			}
		}
		if len(raw) == 0 || raw[0] != '[' {
			return
		}
		for rest := blank(raw[1:]); rest[0] != ']'; {
			value, next := cut(rest)
			if !yield(value) {
				return
			}
			rest = comma(next)
		}
	}
}

// cut splits s after the value that it starts with.
func cut(s []byte) (value, rest []byte) {
	end := 0
	switch s[0] {
	case '"':
		end = stringEnd(s)
	case '{', '[':
		for depth := 1; depth > 0; {
			end++
			switch s[end] {
			case '"':
				end += stringEnd(s[end:]) - 1
			case '{', '[':
				depth++
			case '}', ']':
				depth--
			}
		}
		end++
	default:
		for end < len(s) && s[end] > ' ' && s[end] != ',' && s[end] != ']' && s[end] != '}' {
			end++
		}
	}
	return s[:end], s[end:]
}

// stringEnd returns the length of the string literal that s starts with.
func stringEnd(s []byte) int {
	for i := 1; ; i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
}

// blank skips leading blanks.
func blank(s []byte) []byte {
	for len(s) > 0 && s[0] <= ' ' {
		s = s[1:]
	}
	return s
}

// comma skips to the next member or element.
func comma(s []byte) []byte {
	if s = blank(s); s[0] == ',' {
		s = blank(s[1:])
	}
	return s
}

// number reads a number that arrived as such or as a string.
func number(raw []byte) (float64, bool) {
	if len(raw) > 1 && raw[0] == '"' {
		raw = bytes.TrimSpace(raw[1 : len(raw)-1])
	}
	for _, c := range raw {
		if (c < '0' || c > '9') && c != '.' && c != '-' && c != '+' && c != 'e' && c != 'E' {
			return 0, false // ParseFloat alone would take NaN, Inf and 0x1p-2
		}
	}
	n, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || math.IsInf(n, 0) {
		return 0, false
	}
	if n == 0 {
		n = 0 // not −0
	}
	return n, true
}

// text reads a string, or the digits of a number; it is empty for anything else.
// The result goes into logs, tables and labels, so it is one line of valid UTF-8:
// a control character becomes a blank.
func text(raw []byte) string {
	if len(raw) == 0 {
		return ""
	}
	if c := raw[0]; c == '-' || '0' <= c && c <= '9' {
		return string(raw)
	}
	if raw[0] != '"' {
		return ""
	}
	s := string(raw[1 : len(raw)-1])
	if strings.IndexByte(s, '\\') >= 0 {
		s = unescape(raw)
	}
	return short(strings.Map(printable, s)) // which also makes it UTF-8
}

// short cuts a text that is longer than a name or a line of a log should be.
func short(s string) string {
	characters := 0
	for i := range s {
		if characters == 200 {
			return s[:i] + "…"
		}
		characters++
	}
	return s
}

func unescape(raw []byte) (s string) {
	_ = json.Unmarshal(raw, &s) // well-formed, see above
	return s
}

func printable(r rune) rune {
	if unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control) {
		return ' '
	}
	return r
}

// ident reads an id. Netatmo has sent ids with blanks in them (observed).
func ident(raw []byte) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, text(raw))
}

// truth reads a boolean that arrived as such, as 0 or 1, as on or off, or as a
// string.
func truth(raw []byte) (value, ok bool) {
	switch strings.ToLower(strings.Trim(string(raw), `" `)) {
	case "true", "1", "on":
		return true, true
	case "false", "0", "off":
		return false, true
	}
	return false, false
}

// firstName returns the first of names that is not blank.
func firstName(names ...string) string {
	for _, name := range names {
		if strings.TrimSpace(name) != "" {
			return name
		}
	}
	return ""
}
