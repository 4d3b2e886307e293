package otlp

import (
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"netatmo-agent/agent/config"
	"netatmo-agent/agent/logtest"
	"netatmo-agent/agent/redact"
)

func basic(login string) config.Secret {
	return config.Secret("Basic " + base64.StdEncoding.EncodeToString([]byte(login)))
}

// Credentials are hidden; names that a backend reports as wrong are not.
func TestSecretsOfHeaders(t *testing.T) {
	series := `out of order {__name__="netatmo_temperature_celsius", job="netatmo-agent"} of anonymous`
	for _, tt := range []struct {
		name         string
		header       string
		value        config.Secret
		text, wanted string
	}{
		{"the user of a login", "authorization", basic("netatmo:pa?wo>rd-of-1234"), series, series},
		{"a long one", "authorization", basic("netatmo-agent:pa?wo>rd-of-1234"), series, series},
		{"a tenant", "x-scope-orgid", "netatmo", series, series},
		{"another tenant", "x-scope-orgid", "anonymous", series, series},
		{"the password", "authorization", basic("netatmo:pa?wo>rd-of-1234"), "netatmo with pa?wo>rd-of-1234", "netatmo with [redacted]"},
		{"both", "authorization", basic("me:pa?wo>rd-of-1234"), "me:pa?wo>rd-of-1234", "me[redacted]"},
		{"a short password", "authorization", basic("me:12345"), "me:12345", "me[redacted]"},
		{"a login without a user", "authorization", basic("glc_0123456789"), "no glc_0123456789", "no [redacted]"},
		{"a token", "authorization", "Bearer glc_0123456789", "no glc_0123456789", "no [redacted]"},
		{"a key with a scheme", "authorization", "ApiKey ZGF0YTpwYXNz0123", "no ZGF0YTpwYXNz0123", "no [redacted]"},
		{"a token with a scheme of a vendor's own", "authorization", "Api-Token dt0c01.ABCDEF", "no dt0c01.ABCDEF", "no [redacted]"},
		{"a token without a scheme", "authorization", "pylf_v1_0123456789", "no pylf_v1_0123456789", "no [redacted]"},
		{"a key", "x-api-key", "key/0123456789", `no key\/0123456789`, "no [redacted]"},
	} {
		_, secret := (&headers{fixed: map[string]config.Secret{tt.header: tt.value}}).current()
		if got := redact.Text(tt.text, secret...); got != tt.wanted {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.wanted)
		}
	}
}

// net/http quotes answers that are not HTTP, and the server writes the status
// line; neither shows the credentials.
func TestHTTPQuotes(t *testing.T) {
	const login = "glc_0123456789abcdef"
	for _, answer := range []string{
		"HTTP/1.1 401 bad login Bearer " + login + "\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 307 Bearer " + login + "\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK Bearer " + login + "\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>",
		"HTTP/1.1 200 OK\r\nyou sent Bearer " + login + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: " + login + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: " + login + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\n" + strings.Repeat("y", 80) + " Bearer " + login + "\r\n\r\n",
		"HTTP/1.1 " + login + "\r\n\r\n",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, answer)
		}))
		p, log := httpPush(t, server), &logtest.Log{}
		p.Headers = map[string]config.Secret{"authorization": "Bearer " + login}
		f := Classify(newTestExporter(t, p, log).Export(t.Context(), onePoint()))
		if f == nil || !strings.Contains(f.Error(), "[redacted]") || strings.Contains(f.Error()+log.String(), "glc_") {
			t.Errorf("%q: %v", answer, f)
		}
		server.Close()
	}
}

// An address can be the secret, as Sumo Logic's is.
func TestAddressThatIsASecret(t *testing.T) {
	const key = "ZaVnC4dhaV2b3kLm9Qx"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "no collector at "+r.URL.Path+", "+r.URL.EscapedPath()+" for "+key, http.StatusNotFound)
	}))
	defer server.Close()
	p, log := httpPush(t, server), &logtest.Log{}
	for _, path := range []string{"/receiver/v1/otlp/" + key, "/receiver%2Fv1/otlp/%5A" + key[1:]} {
		p.URL.RawPath = path
		var err error
		if p.URL.Path, err = url.PathUnescape(path); err != nil {
			t.Fatal(err)
		}
		f := Classify(newTestExporter(t, p, log).Export(t.Context(), onePoint()))
		shown := f.Error() + log.String() + Describe(p)
		if !strings.Contains(shown, "[redacted]") || strings.Contains(shown, key[1:]) {
			t.Errorf("%v, %s", f, Describe(p))
		}
	}
}
