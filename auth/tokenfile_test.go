package auth

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"
)

func TestTokenFilesAreReadAsTheirAuthorsMeantThem(t *testing.T) {
	at := time.Date(2026, 7, 16, 18, 32, 6, 0, time.UTC)
	for _, row := range []struct {
		name, content string
		want          document // others are not compared
		damaged       bool
	}{
		{
			name:    "netatmo-exporter",
			content: `{"access_token":"5a|a","token_type":"bearer","refresh_token":"5a|r","expiry":"2026-07-16T20:32:06.400559267+02:00"}` + "\n",
			want:    document{Access: "5a|a", Refresh: "5a|r", Expiry: at},
		},
		{
			name:    "a newer netatmo-exporter",
			content: `{"access_token":"5a|a","refresh_token":"5a|r","expiry":"2026-07-16T18:32:06Z","expires_in":10800}`,
			want:    document{Access: "5a|a", Refresh: "5a|r", Expiry: at, Life: 3 * time.Hour},
		},
		{name: "by hand", content: `{ "refresh_token" : " 5a|r\n" }`, want: document{Refresh: "5a|r"}},
		{name: "no time set", content: `{"access_token":"a","expiry":"0001-01-01T00:00:00Z"}`, want: document{Access: "a"}},
		{name: "times of another type", content: `{"access_token":"a","expiry":1784226726,"expires_in":true}`, want: document{Access: "a"}},
		{name: "life as text", content: `{"access_token":"a","expires_in":"60"}`, want: document{Access: "a", Life: time.Minute}},
		{name: "life without end", content: `{"access_token":"a","expires_in":1e300}`, want: document{Access: "a"}},
		{name: "one token unusable", content: `{"access_token":"two words","refresh_token":"r"}`, want: document{Refresh: "r"}},
		{name: "both unusable", content: `{"access_token":"ü","refresh_token":null}`, damaged: true},
		{name: "null", content: `null`, damaged: true},
		{name: "a token alone", content: `"5a|r"`, damaged: true},
		{name: "a list", content: `[{"refresh_token":"r"}]`, damaged: true},
		{name: "nothing of use", content: `{"token":"r"}`, damaged: true},
	} {
		var d document
		err := json.Unmarshal([]byte(row.content), &d)
		d.others = nil
		if (err != nil) != row.damaged || !reflect.DeepEqual(d, row.want) {
			t.Errorf("%s: read as %+v, %v", row.name, d, err)
		}
	}
}

// netatmo-exporter decodes the file into an oauth2.Token.
func TestXOAuth2ReadsWhatWeWrite(t *testing.T) {
	d := document{Access: "5a|a", Refresh: "5a|r", Expiry: time.Date(2026, 7, 16, 18, 32, 6, 0, time.UTC), Life: 3 * time.Hour}
	b, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	var token oauth2.Token
	if err := json.Unmarshal(b, &token); err != nil {
		t.Fatal(err)
	}
	if token.AccessToken != d.Access || token.RefreshToken != d.Refresh || !token.Expiry.Equal(d.Expiry) || token.ExpiresIn != 10800 {
		t.Errorf("read as %+v", token)
	}
	back, err := json.Marshal(&token)
	if err != nil {
		t.Fatal(err)
	}
	var again document
	if err := json.Unmarshal(back, &again); err != nil || !again.same(d) || !again.Expiry.Equal(d.Expiry) || again.Life != d.Life {
		t.Errorf("and back as %+v, %v", again, err)
	}
}

type answers string

func (a answers) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(string(a)))}, nil
}

// Whatever the file contains: a start does not change it. The next login
// replaces it and keeps unknown attributes, or a copy of the whole content if
// it was damaged.
func FuzzTokenFile(f *testing.F) {
	for _, seed := range []string{
		"", " \n", "null", "{}", "[]", "7", `"5a|r"`, "{cut off", "\x00\x00", "\xff\xfe{\x00}\x00", "\ufeff{}",
		`{"access_token":"a","refresh_token":"r","expiry":"2093-01-01T00:00:00Z","expires_in":10800}`,
		`{"access_token":"a","refresh_token":"r","expiry":"1999-01-01T00:00:00.5+02:00","token_type":"Bearer"}`,
		`{"access_token":"a","refresh_token":"r"}`, `{"access_token":"a","expiry":"2093-01-01T00:00:00Z"}`,
		`{"refresh_token":"r"}`, `{"refresh_token":"r","note":{"deep":[1.50,"<&>\u2028"],"":null}}`,
		`{"access_token":"","refresh_token":7,"expiry":"9999-12-31T23:59:59-14:00"}`,
		`{"access_token":"a","expiry":"0000-01-01T00:00:00+14:00","Access_Token":"b","access_token":"c"}`,
		"{\"refresh_token\":\"r\",\"\xff\":\"\xfe\"}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(memoryDir(t), "token.json")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := New(t.Context(), Config{
			External:  new(url.URL),
			TokenFile: path, APIURL: rigAPI,
			HTTPClient: &http.Client{Transport: answers(`{"access_token":"new|a","refresh_token":"new|r","expires_in":10800}`)},
		})
		if err != nil {
			t.Fatal(err)
		}
		if now, _ := os.ReadFile(path); !bytes.Equal(now, content) {
			t.Fatalf("the start wrote %q over %q", now, content)
		}
		if err := s.AdoptRefreshToken(t.Context(), "pasted"); err != nil {
			t.Fatal(err)
		}
		now, _ := os.ReadFile(path)
		var after, before map[string]json.RawMessage
		if err := json.Unmarshal(now, &after); err != nil || string(after["access_token"]) != `"new|a"` || string(after["refresh_token"]) != `"new|r"` {
			t.Fatalf("saved %q, %v", now, err)
		}
		bad, _ := filepath.Glob(path + ".bad-*")
		if json.Unmarshal(bytes.TrimPrefix(content, []byte("\ufeff")), new(document)) != nil {
			if empty := len(bytes.TrimSpace(bytes.TrimPrefix(content, []byte("\ufeff")))) == 0; empty {
				return
			}
			if len(bad) != 1 {
				t.Fatal("the damaged content was not kept")
			}
			if kept, _ := os.ReadFile(bad[0]); !bytes.Equal(kept, content) {
				t.Fatalf("kept %q", kept)
			}
			return
		}
		if len(bad) != 0 {
			t.Error("good content was kept as bad")
		}
		_ = json.Unmarshal(bytes.TrimPrefix(content, []byte("\ufeff")), &before)
		for name, value := range before {
			switch name {
			case "access_token", "refresh_token", "expiry", "expires_in":
			default:
				if compact(value) != compact(after[name]) {
					t.Errorf("attribute %q became %q from %q", name, after[name], value)
				}
			}
		}
	})
}

func compact(raw json.RawMessage) string {
	var b bytes.Buffer
	_ = json.Compact(&b, raw)
	return b.String()
}

// A token copied from a URL has its bar escaped.
func TestAnEscapedBarInTheFileIsUnderstood(t *testing.T) {
	var d document
	if err := json.Unmarshal([]byte(`{"access_token":"5a%7Caaaa","refresh_token":"5a%7cbbbb"}`), &d); err != nil || d.Access != "5a|aaaa" || d.Refresh != "5a|bbbb" {
		t.Errorf("%q %q, %v", d.Access, d.Refresh, err)
	}
}
