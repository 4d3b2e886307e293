// Package redact takes secrets out of what a server said, before it reaches a
// log, a page or an error. Servers quote the login that they refuse, and seldom
// as it was sent: cut, in capitals, escaped for JSON or a URL. To look for the
// secret alone would let all of those pass, and so would a redactor that each
// client writes for itself; hence one for all.
package redact

import (
	"errors"
	"strconv"
	"strings"
)

const (
	shortestSecret = 6 // what is shorter (a tenant's number) is none, and would make holes in words
	telling        = 8 // so many characters in a row of a secret are not shown
	nesting        = 3 // texts within texts, each escaped anew
)

// Text returns text with "[redacted]" in the place of all that has 8 bytes in a
// row in common with a secret, be it escaped up to twice as in JSON or in a URL,
// and in whatever case of ASCII letters. A secret of 6 or 7 bytes is hidden where
// it is whole, a shorter one is not. Redact before cutting: less than 8 bytes that
// a cut leaves would be shown. Safe for concurrent use.
func Text(text string, secrets ...string) string {
	if text == "" {
		return ""
	}
	hidden := make([]bool, len(text))
	all := fragments(secrets)
	said := echo{text: lower(text), at: make([]int, len(text)+1)}
	for i := range said.at {
		said.at[i] = i
	}
	for range nesting {
		for length, parts := range all {
			for i := 0; i+length <= len(said.text); i++ {
				if parts[said.text[i:i+length]] {
					for j := said.at[i]; j < said.at[i+length]; j++ {
						hidden[j] = true
					}
				}
			}
		}
		said = said.unescaped()
	}
	var shown strings.Builder
	for i, hide := range hidden {
		switch {
		case !hide:
			shown.WriteByte(text[i])
		case i == 0 || !hidden[i-1]:
			shown.WriteString("[redacted]")
		}
	}
	return shown.String()
}

// Error returns err, or an error with the redacted text alone if err's shows a
// secret, as those of net/http do that quote an answer: what it wraps holds the
// secret too.
func Error(err error, secrets ...string) error {
	if said := Text(err.Error(), secrets...); said != err.Error() {
		return errors.New(said)
	}
	return err
}

// fragments returns the shortest parts of secrets that are not shown, by their
// length.
func fragments(secrets []string) map[int]map[string]bool {
	all := map[int]map[string]bool{}
	for _, secret := range secrets {
		length := min(len(secret), telling)
		if length < shortestSecret {
			continue
		}
		if all[length] == nil {
			all[length] = map[string]bool{}
		}
		secret = lower(secret)
		for i := range len(secret) - length + 1 {
			all[length][secret[i:i+length]] = true
		}
	}
	return all
}

// echo is what a text says, perhaps in other characters.
type echo struct {
	text string
	at   []int // where each byte, and the end, stands in the original
}

// unescaped takes away one layer of the escapes of URLs and JSON strings.
func (e echo) unescaped() echo {
	var text strings.Builder
	var at []int
	for i := 0; i < len(e.text); {
		char, length := e.text[i], 1
		switch rest := e.text[i:]; {
		case char == '%':
			if c, ok := hex(rest, 1, 2); ok {
				char, length = c, 3
			}
		case char == '\\' && len(rest) > 1:
			char, length = rest[1], 2
			if c, ok := hex(rest, 2, 4); ok && rest[1] == 'u' {
				char, length = c, 6
			}
		}
		text.WriteByte(char)
		at = append(at, e.at[i])
		i += length
	}
	return echo{lower(text.String()), append(at, e.at[len(e.text)])}
}

// hex reads a character of 8 bits from digits at an offset.
func hex(s string, offset, digits int) (byte, bool) {
	if len(s) < offset+digits {
		return 0, false
	}
	n, err := strconv.ParseUint(s[offset:offset+digits], 16, 8)
	return byte(n), err == nil
}

// lower changes the case of ASCII letters alone, and so no length.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
