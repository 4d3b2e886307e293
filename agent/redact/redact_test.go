package redact_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"netatmo-agent/agent/redact"
)

// quoted is s as the inside of a JSON string.
func quoted(s string) string {
	b, _ := json.Marshal(s)
	return string(b[1 : len(b)-1])
}

// escaped is s with every byte written in a format.
func escaped(format string) func(string) string {
	return func(s string) string {
		var b strings.Builder
		for _, c := range []byte(s) {
			fmt.Fprintf(&b, format, c)
		}
		return b.String()
	}
}

func TestText(t *testing.T) {
	const login = "bWU6cGE/d28+cmQtb2YtMTIzNA=="
	slashes := strings.NewReplacer("/", `\/`, "=", `\u003D`, "+", `\u002b`)
	for _, tt := range []struct{ name, text, want string }{
		{"as it is", "no user Basic " + login + ".", "no user Basic [redacted]."},
		{"whole in itself", login, "[redacted]"},
		{"without its end", "got bWU6cGE/d28+cmQtb2YtMTIzNA", "got [redacted]"},
		{"cut", "got WU6cGE/d…", "got [redacted]…"},
		{"in capitals", "got " + strings.ToUpper(login), "got [redacted]"},
		{"in JSON", `{"got":"` + slashes.Replace(login) + `"}`, `{"got":"[redacted]"}`},
		{"in JSON in JSON", quoted(`{"got":"` + slashes.Replace(login) + `"}`), quoted(`{"got":"[redacted]"}`)},
		{"in a URL", "to /?login=" + url.QueryEscape(login) + "&x=%2F", "to /?login=[redacted]&x=%2F"},
		{"in a URL in a URL", "to /?from=" + url.QueryEscape("/?login="+url.QueryEscape(login)), "to /?from=%2F%3Flogin%3D[redacted]"},
		{"in JSON in a URL", "/?body=" + url.QueryEscape(slashes.Replace(login)), "/?body=[redacted]"},
		{"another", `bad key\/0123456789, sorry`, "bad [redacted], sorry"},
		{"a token of Netatmo's", "5A0123456789%7cfedcba and 0123456789%7C", "[redacted] and [redacted]"},
		{"a short one", "secret and secre", "[redacted] and secre"},
		{"what is none", "tenant 12345: 100% of bWU6cGE, C:\\ and \\u12 and %2", "tenant 12345: 100% of bWU6cGE, C:\\ and \\u12 and %2"},
		{"not text", "\xff\xfe " + login + "\xff", "\xff\xfe [redacted]\xff"},
		{"an end in the middle", `%`, `%`},
		{"nothing", "", ""},
	} {
		if got := redact.Text(tt.text, login, "key/0123456789", "5a0123456789|fedcba", "secret", "12345", ""); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestError(t *testing.T) {
	cause := errors.New("connection refused")
	if err := redact.Error(cause, "0123456789"); !errors.Is(err, cause) {
		t.Errorf("%v, want the error itself", err)
	}
	err := redact.Error(fmt.Errorf("bad header %q: %w", "Bearer 0123456789", cause), "0123456789")
	if err.Error() != `bad header "Bearer [redacted]": connection refused` || errors.Is(err, cause) {
		t.Errorf("%v, want it redacted and without a cause", err)
	}
}

// FuzzText: of a secret that is written in any two ways, one within the other,
// no 8 characters in a row remain.
func FuzzText(f *testing.F) {
	ways := []func(string) string{strings.Clone, strings.ToUpper, url.QueryEscape, url.PathEscape, quoted, escaped("%%%02x"), escaped(`\u%04X`)}
	f.Add("no user ", "bWU6cGE/d28+cmQtb2YtMTIzNA==", ".", byte(2), byte(4), byte(0), byte(28))
	f.Add(`{"a":"%`, "5a0123456789|fedcba", `\`, byte(6), byte(5), byte(3), byte(12))
	f.Fuzz(func(t *testing.T, before, secret, after string, inner, outer, from, to byte) {
		redact.Text(before+secret+after, before, after) // whatever the secrets are, it comes to an end
		for _, c := range []byte(secret) {
			if c <= ' ' || c > '~' || c == '%' || c == '\\' || c == '[' || c == ']' {
				return // no header's value, or one that is an escape itself
			}
		}
		start, end := int(from), int(to)
		if end > len(secret) || end-start < 8 || strings.Contains(before+after, "%") || strings.Contains(before+after, `\`) {
			return
		}
		part := secret[start:end]
		written := ways[int(outer)%len(ways)](ways[int(inner)%len(ways)](part))
		got := redact.Text(before+written+after, secret)
		shown := strings.ToLower(strings.ReplaceAll(got, "[redacted]", "\n"))
		for i := range len(part) - 7 {
			piece := part[i : i+8]
			if strings.Contains(shown, strings.ToLower(ways[int(outer)%len(ways)](ways[int(inner)%len(ways)](piece)))) ||
				strings.Contains(shown, strings.ToLower(piece)) {
				t.Fatalf("%q of %q is left in %q", piece, before+written+after, got)
			}
		}
	})
}
