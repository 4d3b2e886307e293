package telemetry

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"netatmo-agent/agent/config"
)

func TestRedact(t *testing.T) {
	const login = "bWU6cGE/d28+cmQtb2YtMTIzNA==" // me:pa?wo>rd-of-1234
	sent := map[string]config.Secret{
		"authorization": "Basic " + login, "x-api-key": "key/0123456789", "x-pin": "secret", "x-scope-orgid": "12345",
	}
	quoted := func(s string) string {
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
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
		{"decoded", "who is me with pa?wo>rd-of-1234?", "who is me with [redacted]?"},
		{"another header", `bad key\/0123456789, sorry`, "bad [redacted], sorry"},
		{"a short one", "secret and secre", "[redacted] and secre"},
		{"what is none", "tenant 12345: 100% of bWU6cGE, C:\\ and \\u12 and %2", "tenant 12345: 100% of bWU6cGE, C:\\ and \\u12 and %2"},
		{"not text", "\xff\xfe " + login + "\xff", "\xff\xfe [redacted]\xff"},
		{"an end in the middle", `%`, `%`},
		{"nothing", "", ""},
	} {
		if got := redact(tt.text, sent); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
