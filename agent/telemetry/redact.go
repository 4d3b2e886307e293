package telemetry

import (
	"encoding/base64"
	"strconv"
	"strings"

	"netatmo-agent/agent/config"
)

const (
	shortestSecret = 6 // what is shorter (a tenant's number) is none, and would make holes in words
	telling        = 8 // so many characters in a row of a secret are not shown
	nesting        = 3 // texts within texts, each escaped anew
)

// redact takes what the headers sent hold out of what a server said: all that
// has as many characters in a row in common with them as tell something, be it
// escaped as in JSON or in a URL, and in whatever case.
func redact(text string, sent map[string]config.Secret) string {
	hidden := make([]bool, len(text))
	all := fragments(sent)
	said := echo{text: lower(text), at: make([]int, len(text)+1)}
	for i := range said.at {
		said.at[i] = i
	}
	for range nesting {
		for length, secret := range all {
			for i := 0; i+length <= len(said.text); i++ {
				if secret[said.text[i:i+length]] {
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

// fragments returns the shortest parts of secrets that are not shown, by their
// length.
func fragments(sent map[string]config.Secret) map[int]map[string]bool {
	all := map[int]map[string]bool{}
	for _, value := range sent {
		for _, secret := range secrets(value.Reveal()) {
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
	}
	return all
}

// secrets returns what is secret of a header's value: of a Basic or Bearer
// login the credentials and what is inside of them.
func secrets(value string) []string {
	scheme, credentials, _ := strings.Cut(value, " ")
	if !strings.EqualFold(scheme, "Basic") && !strings.EqualFold(scheme, "Bearer") {
		return []string{value}
	}
	plain, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(credentials, "="))
	if err != nil {
		return []string{credentials}
	}
	user, password, _ := strings.Cut(string(plain), ":")
	return []string{credentials, string(plain), user, password}
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
