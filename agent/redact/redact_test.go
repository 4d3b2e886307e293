package redact_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"netatmo-agent/agent/redact"
)

// quoted is s as the inside of a JSON string.
func quoted(s string) string {
	b, _ := json.Marshal(s)
	return string(b[1 : len(b)-1])
}

func TestText(t *testing.T) {
	const login = "bWU6cGE/d28+cmQtb2YtMTIzNA=="
	slashes := strings.NewReplacer("/", `\/`, "=", `\u003D`, "+", `\u002b`)
	for _, tt := range []struct{ name, text, want string }{
		{"as it is", "no user Basic " + login + ".", "no user Basic [redacted]."},
		{"nothing else", login, "[redacted]"},
		{"twice in a row", login + login, "[redacted]"},
		{"in capitals", "got " + strings.ToUpper(login), "got [redacted]"},
		{"in JSON", `{"got":"` + slashes.Replace(login) + `"}`, `{"got":"[redacted]"}`},
		{"in a URL", "to /?login=" + url.QueryEscape(login) + "&x=%2F", "to /?login=[redacted]&x=%2F"},
		{"in a quoted string", strconv.Quote(`a"b\c/def`), `"[redacted]"`},
		{"with a blank, in a form", "q=two+words&r=two%20words", "q=[redacted]&r=[redacted]"},
		{"another", `bad key\/0123456789, sorry`, "bad [redacted], sorry"},
		{"a token of Netatmo's", "5A0123456789%7cfedcba and 0123456789%7C", "[redacted] and 0123456789%7C"},
		{"a short one", "secret and secre", "[redacted] and secre"},
		{"one inside another", "the secret-santa", "the [redacted]"},
		{"none", "tenant 12345: 100% of bWU6cGE, C:\\ and \\u12 and %2", "tenant 12345: 100% of bWU6cGE, C:\\ and \\u12 and %2"},
		{"not text", "\xff\xfe " + login + "\xff", "\xff\xfe [redacted]\xff"},
		{"a lone percent sign", `%`, `%`},
		{"nothing", "", ""},
	} {
		if got := redact.Text(tt.text, login, "key/0123456789", "5a0123456789|fedcba", "secret", "secret-santa", `a"b\c/def`, "two words", "12345", ""); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestLongText: only the beginning of a long text is shown, and a secret that
// the cut runs through is hidden.
func TestLongText(t *testing.T) {
	const secret = "0123456789abcdef"
	for before := redact.MaxText - 20; before <= redact.MaxText; before++ {
		got := redact.Text(strings.Repeat("x", before)+secret+strings.Repeat("y", redact.MaxText), secret)
		if strings.Contains(got, "0") || len(got) > redact.MaxText+len("[redacted]…") || !strings.HasSuffix(got, "…") {
			t.Fatalf("%d bytes before the secret: %d bytes that end in %q", before, len(got), got[len(got)-30:])
		}
	}
	if got := redact.Text(strings.Repeat("é", redact.MaxText), secret); !utf8.ValidString(got) {
		t.Errorf("cut inside a character: %q", got[len(got)-10:])
	}
}

// TestMemory: what it costs depends on the text that is shown, not on that which
// a server sent.
func TestMemory(t *testing.T) {
	long := strings.Repeat("the token 0123456789abcdef is refused ", 1<<20/38)
	for name, hide := range map[string]func(){
		"text":  func() { redact.Text(long, "0123456789abcdef", "another secret") },
		"error": func() { _ = redact.Error(errors.New(long), "0123456789abcdef", "another secret") },
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		hide()
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 8*redact.MaxText {
			t.Errorf("%s: %d bytes allocated to show %d", name, n, redact.MaxText)
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

// FuzzText: a secret that is written in any way is hidden.
func FuzzText(f *testing.F) {
	ways := []func(string) string{strings.Clone, strings.ToUpper, url.QueryEscape, url.PathEscape, quoted, strconv.Quote}
	f.Add("no user ", "bWU6cGE/d28+cmQtb2YtMTIzNA==", ".", byte(2))
	f.Add(`{"a":"%`, "5a0123456789|fedcba", `\`, byte(4))
	f.Fuzz(func(t *testing.T, before, secret, after string, way byte) {
		for _, c := range []byte(secret) {
			if c <= ' ' || c > '~' || c == '[' || c == ']' {
				return // not a header's value, or part of what replaces it
			}
		}
		if len(secret) < 6 {
			return
		}
		written := ways[int(way)%len(ways)](secret)
		if got := redact.Text(before+written+after, secret); strings.Contains(strings.ToLower(got), strings.ToLower(secret)) && !strings.Contains("[redacted]", strings.ToLower(secret)) {
			t.Fatalf("%q is left in %q", secret, got)
		}
		if got := redact.Text(written, secret); strings.Trim(got, `"`) != "[redacted]" {
			t.Fatalf("%q is left of %q", got, written)
		}
	})
}
