package e2e

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"netatmo-agent/agent/simcloud"
	"netatmo-agent/auth/authtest"
)

// The rows of the README's table of token files with a login that works, or
// that the agent can repair without a human.
func TestTokenFileThatWorks(t *testing.T) {
	for _, row := range []struct {
		name      string
		file      func(p authtest.Pair) string
		env       Env
		refreshes int
		warns     string // besides that it renews the token; empty: no warning
	}{
		{
			name: "all three, still valid",
			file: func(p authtest.Pair) string { return tokenFile(p.Access, p.Refresh, in(time.Hour)) },
		},
		{
			name: "all three, still valid, in a file of a Windows editor",
			file: func(p authtest.Pair) string {
				return "\ufeff" + strings.ReplaceAll(tokenFile(p.Access, p.Refresh, in(time.Hour)), ",", ",\r\n") + "\r\n"
			},
		},
		{
			name:      "expired, with a refresh token",
			file:      func(p authtest.Pair) string { return tokenFile(p.Access, p.Refresh, in(-time.Hour)) },
			refreshes: 1, warns: "has expired",
		},
		{
			name:      "expired years ago, written while the clock was behind",
			file:      func(p authtest.Pair) string { return tokenFile(p.Access, p.Refresh, "1970-01-01T03:00:00Z") },
			refreshes: 1, warns: "has expired",
		},
		{
			name: "valid for decades, written while the clock was ahead",
			file: func(p authtest.Pair) string { return tokenFile(p.Access, p.Refresh, "2093-01-01T00:00:00Z") },
		},
		{
			name: "still valid, with ignore",
			file: func(p authtest.Pair) string { return tokenFile(p.Access, p.Refresh, in(time.Hour)) },
			env:  Env{"NETATMO_EXPIRED_TOKEN": "ignore"},
		},
		{
			name:      "expiry missing",
			file:      func(p authtest.Pair) string { return tokenFile(p.Access, p.Refresh, "") },
			refreshes: 1, warns: "no valid expiry",
		},
		{
			name:      "expiry that was never set",
			file:      func(p authtest.Pair) string { return tokenFile(p.Access, p.Refresh, "0001-01-01T00:00:00Z") },
			refreshes: 1, warns: "no valid expiry",
		},
		{
			name:      "expiry that is not a time",
			file:      func(p authtest.Pair) string { return tokenFile(p.Access, p.Refresh, "tomorrow") },
			refreshes: 1, warns: "no valid expiry",
		},
		{
			name:  "refresh token missing",
			file:  func(p authtest.Pair) string { return tokenFile(p.Access, "", in(time.Hour)) },
			warns: "has no refresh_token",
		},
		{
			name:  "only an access token",
			file:  func(p authtest.Pair) string { return tokenFile(p.Access, "", "") },
			warns: "has no refresh_token",
		},
		{
			name:      "only a refresh token",
			file:      func(p authtest.Pair) string { return tokenFile("", p.Refresh, "") },
			refreshes: 1,
		},
		{
			name:      "access token empty",
			file:      func(p authtest.Pair) string { return `{"access_token":"","refresh_token":"` + p.Refresh + `"}` },
			refreshes: 1,
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, simcloud.Options{}, row.env)
			content := row.file(r.cloud.Auth().Grant(allScopes...))
			r.put(content)
			r.start()
			r.works()
			if got := r.asked(); got != row.refreshes || r.refused() != 0 {
				t.Errorf("%d token requests, %d refused, want %d and none", got, r.refused(), row.refreshes)
			}
			warned := strings.Contains(r.Log(), "level=WARN")
			if warned != (row.warns != "") || !strings.Contains(r.Log(), row.warns) {
				t.Errorf("warned: %v; want a warning with %q", warned, row.warns)
			}
			r.stop()
			if row.refreshes > 0 && !r.saved() {
				t.Error("the new pair is not on the disk")
			}
			if had, has := parse(content), parse(r.content()); row.refreshes == 0 && (has.Access != had.Access || has.Refresh != had.Refresh) {
				t.Error("the pair in the file has changed")
			}
			r.start()
			r.works()
			if r.asked() != row.refreshes {
				t.Error("a restart requested another token")
			}
		})
	}
}

func in(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339) }

// The rows without a login that works: the agent says why and waits, changes
// nothing, even after a restart, and accepts the next login.
func TestTokenFileWithoutAWorkingLogin(t *testing.T) {
	damaged := func(content string) func(authtest.Pair) string {
		return func(authtest.Pair) string { return content }
	}
	for _, row := range []struct {
		name     string
		file     func(p authtest.Pair) string // nil: none
		env      Env
		revoked  bool
		kept     bool // the content is kept in a copy at the next login
		requests int  // at the first start
		says     string
	}{
		{name: "no file", says: "no login yet"},
		{name: "empty", file: damaged(""), says: "no login yet"},
		{name: "blanks", file: damaged("\n \t\n"), says: "no login yet"},
		{
			name:    "expired, and refused by Netatmo",
			file:    func(p authtest.Pair) string { return tokenFile(p.Access, p.Refresh, in(-time.Hour)) },
			revoked: true, requests: 1, says: "invalid_grant",
		},
		{
			name:    "only a refresh token, and refused by Netatmo",
			file:    func(p authtest.Pair) string { return tokenFile("", p.Refresh, "") },
			revoked: true, requests: 1, says: "invalid_grant",
		},
		{
			name: "expired, to be ignored",
			file: func(p authtest.Pair) string { return tokenFile(p.Access, p.Refresh, in(-time.Second)) },
			env:  Env{"NETATMO_EXPIRED_TOKEN": "ignore"}, says: "NETATMO_EXPIRED_TOKEN=ignore",
		},
		{
			name: "expired, without a refresh token",
			file: func(p authtest.Pair) string { return tokenFile(p.Access, "", in(-time.Second)) },
			says: "no refresh token",
		},
		{name: "not JSON", file: damaged("access_token: 5a1b|aaaa\n"), kept: true, says: "token.json"},
		{name: "JSON cut off", file: func(p authtest.Pair) string { return tokenFile(p.Access, p.Refresh, in(time.Hour))[:150] }, kept: true, says: "token.json"},
		{name: "not an object", file: damaged(`["5a1b|aaaa"]`), kept: true, says: "token.json"},
		{name: "another document", file: damaged(`{"installed":{"client_id":"x"}}`), kept: true, says: "token.json"},
		{name: "empty tokens", file: damaged(`{"access_token":"","refresh_token":"","expiry":"2093-01-01T00:00:00Z"}`), kept: true, says: "token.json"},
		{name: "null", file: damaged("null"), kept: true, says: "token.json"},
		{name: "no text at all", file: damaged("\x00\x01\xff\xfe" + strings.Repeat("\x00", 4000)), kept: true, says: "token.json"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, simcloud.Options{}, row.env)
			var content string
			if row.file != nil {
				content = row.file(r.cloud.Auth().Grant(allScopes...))
				r.put(content)
			}
			if row.revoked {
				r.cloud.Auth().Revoke()
			}
			r.start()
			r.LoginLink()
			if r.asked() != row.requests || len(r.cloud.Requests()) != 0 {
				t.Errorf("%d token requests, want %d; API requests %v, want none", r.asked(), row.requests, r.cloud.Requests())
			}
			if !strings.Contains(r.Log(), row.says) {
				t.Errorf("the log does not contain %q", row.says)
			}
			r.stop()
			if row.requests == 0 {
				r.unchanged(row.file != nil, content)
			} else if had, has := parse(content), parse(r.content()); has.Access != had.Access || has.Refresh != had.Refresh {
				t.Error("the refused pair is gone, although it may work again")
			}

			r.start()
			r.worksAfterLogin()
			r.stop()
			if !r.saved() {
				t.Error("the new login is gone after the stop")
			}
			kept := r.bad()
			if row.kept && (len(kept) != 1 || read(t, kept[0]) != content) || !row.kept && len(kept) != 0 {
				t.Errorf("copies of the old content: %q", kept)
			}
		})
	}
}

// unchanged checks that the token file is unchanged, or still missing.
func (r *rig) unchanged(exists bool, content string) {
	r.t.Helper()
	b, err := os.ReadFile(r.TokenFile())
	if exists && (err != nil || string(b) != content) {
		r.t.Errorf("the token file was changed (%v); it has now %d bytes, before %d", err, len(b), len(content))
	}
	if !exists && !errors.Is(err, fs.ErrNotExist) {
		r.t.Errorf("a token file was created: %v", err)
	}
	if kept := r.bad(); len(kept) != 0 {
		r.t.Errorf("kept an unneeded copy: %q", kept)
	}
}

// bad lists the copies of damaged token files.
func (r *rig) bad() []string {
	r.t.Helper()
	kept, err := filepath.Glob(r.TokenFile() + ".bad-*")
	must(r.t, err)
	return kept
}

// Without a refresh token the agent works until the end of the access token,
// and only then needs a login.
func TestWithoutRefreshTokenToTheLastSecond(t *testing.T) {
	t.Parallel()
	const life = 6 * time.Second
	r := newRig(t, simcloud.Options{TokenLife: life, Measure: busy.Measure, Upload: busy.Upload})
	p := r.cloud.Auth().Grant(allScopes...)
	expiry := p.Expiry.Truncate(time.Second)
	r.put(tokenFile(p.Access, "", expiry.UTC().Format(time.RFC3339)))
	r.start()
	r.works()
	r.LoginLink()
	if said := r.loggedAt("a login is needed"); said.Before(expiry) {
		t.Errorf("the agent asks for a login %v before the end of the access token", expiry.Sub(said))
	}
	if r.asked() != 0 {
		t.Errorf("%d token requests, want none", r.asked())
	}
	r.worksAfterLogin()
}

// loggedAt is when the agent last logged a line with this text.
func (r *rig) loggedAt(text string) time.Time {
	r.t.Helper()
	lines := strings.Split(r.Log(), "\n")
	for _, line := range slices.Backward(lines) {
		if !strings.Contains(line, text) {
			continue
		}
		stamp, _, _ := strings.Cut(strings.TrimPrefix(line, "time="), " ")
		at, err := time.Parse(time.RFC3339, stamp)
		must(r.t, err)
		return at
	}
	r.t.Fatalf("the log does not contain %q", text)
	return time.Time{}
}

// The file of netatmo-exporter, which marshals the Token of
// golang.org/x/oauth2, with its name and the variable for its path: the agent
// continues with it, and netatmo-exporter can continue with what the agent
// saves there.
func TestTokenFileOfNetatmoExporter(t *testing.T) {
	t.Parallel()
	r := newRig(t, simcloud.Options{})
	path := filepath.Join(r.Home, "netatmo-token.json")
	r.Env["NETATMO_EXPORTER_TOKEN_FILE"] = path
	p := r.cloud.Auth().Grant(allScopes...)
	theirs, err := json.Marshal(token{p.Access, "", p.Refresh, time.Now().Add(-time.Hour).In(time.FixedZone("CEST", 7200))})
	must(t, err)
	r.putAt(path, string(theirs)+"\n", 0o600)
	r.start()
	r.works()
	r.stop()
	ours := parse(read(t, path))
	if current := r.cloud.Auth().Current(); !ours.holds(current) || ours.Expiry.Sub(current.Expiry).Abs() > 2*time.Second {
		t.Errorf("the file has another pair or expires at %v instead of %v", ours.Expiry, current.Expiry)
	}
	if r.asked() != 1 || r.refused() != 0 {
		t.Errorf("%d token requests, %d refused", r.asked(), r.refused())
	}
}

// Attributes that the agent does not know survive a refresh and a login.
func TestUnknownAttributesSurvive(t *testing.T) {
	t.Parallel()
	r := newRig(t, simcloud.Options{})
	p := r.cloud.Auth().Grant(allScopes...)
	r.put(`{"note":{"by":"<me> & you","n":[1.50,null]},"access_token":"` + p.Access +
		`","refresh_token":"` + p.Refresh + `","expiry":"` + in(-time.Hour) + `","token_type":"Bearer","scope":["read_station"]}`)
	others := func() string {
		var all map[string]json.RawMessage
		must(t, json.Unmarshal([]byte(r.content()), &all))
		for _, ours := range []string{"access_token", "refresh_token", "expiry", "expires_in"} {
			delete(all, ours)
		}
		b, err := json.Marshal(all)
		must(t, err)
		return string(b)
	}
	before := others()
	r.start()
	r.works()
	r.stop()
	if after := others(); after != before || !r.saved() {
		t.Errorf("after a refresh the file says %s, before %s", after, before)
	}
	r.loginFrom(r.cloud.Auth().Grant(allScopes...).Refresh)
	if after := others(); after != before || !r.saved() {
		t.Errorf("after a login the file says %s, before %s", after, before)
	}
}
