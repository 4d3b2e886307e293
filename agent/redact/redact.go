// Package redact makes text from a server suitable for a log, a page or an
// error: it hides the secrets that servers quote, and shows only the beginning
// of what may be megabytes.
package redact

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// MaxText is how many bytes of a text are shown at most.
	MaxText = 2048

	maxLine        = 200 // characters
	shortestSecret = 6   // redacting shorter ones, such as a tenant's number, would make holes in words
	mask           = "[redacted]"
)

// Text returns the first MaxText bytes of text with "[redacted]" in place of
// each secret of 6 bytes or more, whether it is written unchanged, as in a JSON
// string or as in a URL, and in any case of ASCII letters. Memory and time do
// not depend on the length of text. It is safe for concurrent use.
func Text(text string, secrets ...string) string {
	end := len(text)
	if end > MaxText {
		end = MaxText
		for end > MaxText-utf8.UTFMax && !utf8.RuneStart(text[end]) {
			end--
		}
	}
	var shown strings.Builder
	hidden, masked := 0, false // text is hidden up to here
	for i := range end {
		for _, secret := range secrets {
			hidden = max(hidden, i+matched(text[i:], secret))
		}
		switch {
		case i >= hidden:
			shown.WriteByte(text[i])
			masked = false
		case !masked:
			shown.WriteString(mask)
			masked = true
		}
	}
	if max(end, hidden) < len(text) {
		shown.WriteString("…")
	}
	return shown.String()
}

// Line is Text as one line of at most 200 printable characters.
func Line(text string, secrets ...string) string {
	text = WholeLine(text, secrets...)
	if runes := []rune(text); len(runes) > maxLine {
		return string(runes[:maxLine]) + "…"
	}
	return text
}

// WholeLine is Text as one line of printable characters.
func WholeLine(text string, secrets ...string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(Text(text, secrets...), "\uFFFD"))
	return strings.Join(strings.Fields(text), " ")
}

// Error returns err, or an error with only the redacted text if err's text
// contains a secret or is too long: what err wraps would show it again.
func Error(err error, secrets ...string) error {
	text := err.Error()
	if shown := Text(text, secrets...); shown != text {
		return errors.New(shown)
	}
	return err
}

// matched returns how many bytes at the start of text spell the secret, 0 if
// they do not.
func matched(text, secret string) (longest int) {
	if len(secret) < shortestSecret {
		return 0
	}
	for _, next := range []func(string) (byte, int){plain, fromJSON, fromURL, fromForm} {
		n, i := 0, 0
		for i < len(secret) && n < len(text) {
			c, width := next(text[n:])
			if lower(c) != lower(secret[i]) {
				break
			}
			n += width
			i++
		}
		if i == len(secret) {
			longest = max(longest, n)
		}
	}
	return longest
}

func plain(s string) (c byte, width int) { return s[0], 1 }

func fromJSON(s string) (c byte, width int) {
	if s[0] != '\\' || len(s) < 2 {
		return s[0], 1
	}
	if s[1] == 'u' && len(s) >= 6 {
		if c, ok := hex(s[2:6]); ok {
			return c, 6
		}
	}
	return s[1], 2
}

func fromURL(s string) (c byte, width int) {
	if s[0] == '%' && len(s) >= 3 {
		if c, ok := hex(s[1:3]); ok {
			return c, 3
		}
	}
	return s[0], 1
}

// fromForm is fromURL in a query, where a plus is a space.
func fromForm(s string) (c byte, width int) {
	if s[0] == '+' {
		return ' ', 1
	}
	return fromURL(s)
}

// hex reads a number below 256. Unlike strconv it allocates nothing on failure.
func hex(digits string) (byte, bool) {
	n := 0
	for i := range len(digits) {
		digit := strings.IndexByte("0123456789abcdef", lower(digits[i]))
		if digit < 0 {
			return 0, false
		}
		n = n<<4 | digit
	}
	return byte(n), n < 256
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
