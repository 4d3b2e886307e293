package auth

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"netatmo-agent/auth/authtest"
)

// The rows are those of the token file table: what a file leads to at start,
// first without a request by New, then with Run.
func TestTokenFileAtStart(t *testing.T) {
	at := func(d time.Duration) string { return time.Now().Add(d).Format(time.RFC3339) }
	rows := []struct {
		name   string
		file   func(authtest.Pair) string
		ignore bool

		authorized bool  // after New
		cause      Cause // of the LoginError if not
		asks       int   // refreshes once Run has started
		level, log string
	}{
		{name: "no file", cause: CauseNone},
		{
			name:  "an archive",
			file:  func(authtest.Pair) string { return strings.Repeat("x", 17<<20) },
			cause: CauseDamaged, level: "WARN", log: "token file is damaged",
		},
		{name: "empty file", file: func(authtest.Pair) string { return "\n" }, cause: CauseNone},
		{
			name:       "all three, valid",
			file:       func(p authtest.Pair) string { return file(p.Access, p.Refresh, at(time.Hour)) },
			authorized: true,
		},
		{
			name:       "all three, valid for minutes, life not said",
			file:       func(p authtest.Pair) string { return file(p.Access, p.Refresh, at(2*time.Minute)) },
			authorized: true,
		},
		{
			name:       "expired",
			file:       func(p authtest.Pair) string { return file(p.Access, p.Refresh, at(-30*24*time.Hour)) },
			authorized: true, asks: 1, level: "WARN", log: "expired",
		},
		{
			name:   "expired, to be ignored",
			file:   func(p authtest.Pair) string { return file(p.Access, p.Refresh, at(-time.Second)) },
			ignore: true, cause: CauseIgnored, level: "WARN", log: "NETATMO_EXPIRED_TOKEN",
		},
		{
			name:   "valid, if expired to be ignored",
			file:   func(p authtest.Pair) string { return file(p.Access, p.Refresh, at(time.Hour)) },
			ignore: true, authorized: true,
		},
		{
			name:       "expiry missing",
			file:       func(p authtest.Pair) string { return file(p.Access, p.Refresh, "") },
			authorized: true, asks: 1, level: "WARN", log: "no valid expiry",
		},
		{
			name:       "expiry never set by the program that wrote it",
			file:       func(p authtest.Pair) string { return file(p.Access, p.Refresh, "0001-01-01T00:00:00Z") },
			authorized: true, asks: 1, level: "WARN", log: "no valid expiry",
		},
		{
			name:       "expiry malformed",
			file:       func(p authtest.Pair) string { return file(p.Access, p.Refresh, "tomorrow") },
			authorized: true, asks: 1, level: "WARN", log: "no valid expiry",
		},
		{
			name:       "refresh token missing",
			file:       func(p authtest.Pair) string { return file(p.Access, "", at(time.Hour)) },
			authorized: true, level: "WARN", log: "no refresh_token",
		},
		{
			name:  "refresh token missing, expired",
			file:  func(p authtest.Pair) string { return file(p.Access, "", at(-time.Hour)) },
			cause: CauseExpired, level: "WARN", log: "no refresh_token",
		},
		{
			name:       "only a refresh token",
			file:       func(p authtest.Pair) string { return file("", p.Refresh, "") },
			authorized: true, asks: 1, level: "INFO", log: "only a refresh_token",
		},
		{
			name:   "only a refresh token, expired to be ignored",
			file:   func(p authtest.Pair) string { return file("", p.Refresh, "") },
			ignore: true, authorized: true, asks: 1,
		},
		{name: "not JSON", file: func(authtest.Pair) string { return "{cut off" }, cause: CauseDamaged, level: "WARN", log: "token file is damaged"},
		{name: "no usable token", file: func(authtest.Pair) string { return `{"access_token":"","refresh_token":7}` }, cause: CauseDamaged, level: "WARN", log: "token file is damaged"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			inBubble(t, authtest.Options{}, func(r *rig) {
				before := ""
				if row.file != nil {
					before = row.file(r.server.Grant("read_station"))
					r.put(before)
				}
				cfg := r.config()
				cfg.IgnoreExpired = row.ignore
				s, err := New(r.Context(), cfg)
				if err != nil {
					r.Fatal(err)
				}
				if r.asked() != 0 {
					r.Error("New made a request")
				}
				if content, _ := os.ReadFile(r.path); string(content) != before {
					r.Errorf("New changed the file to %q", content)
				}
				if row.level != "" {
					r.wantLogged(row.level, row.log)
				}
				if st := s.Status(); st.Authorized != row.authorized || st.Waiting == row.authorized {
					r.Errorf("status %+v", st)
				}

				stop := r.run(s)
				time.Sleep(time.Second)
				if n := r.asked(); n != row.asks {
					r.Errorf("%d refreshes, want %d", n, row.asks)
				}
				if row.authorized {
					r.token(s)
				} else {
					r.loginError(s, row.cause)
				}
				stop()
				if !row.authorized {
					if content, _ := os.ReadFile(r.path); string(content) != before {
						r.Errorf("waiting changed the file to %q", content)
					}
				} else if row.asks > 0 && !r.onDisk(r.server.Current()) {
					r.Error("the new pair is not on the disk")
				}
			})
		})
	}
}

func file(access, refresh, expiry string) string {
	var attributes []string
	for name, value := range map[string]string{"access_token": access, "refresh_token": refresh, "expiry": expiry} {
		if value != "" {
			attributes = append(attributes, fmt.Sprintf("%q:%q", name, value))
		}
	}
	return "{" + strings.Join(attributes, ",") + "}"
}

func TestALoginWithoutRefreshTokenWorksToItsLastSecond(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		p := r.server.Grant()
		r.put(file(p.Access, "", time.Now().Add(time.Hour).Format(time.RFC3339)))
		s := r.open()
		defer r.run(s)()
		changed := s.Changed()
		time.Sleep(time.Hour - time.Second)
		r.token(s)
		select {
		case <-changed:
			r.Error("a change was reported before there was one")
		default:
		}
		time.Sleep(time.Second)
		r.loginError(s, CauseExpired)
		<-changed
	})
}

func TestTheDirectoryIsCreatedAndTheModeNarrowed(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		r.path = filepath.Join(filepath.Dir(r.path), "new", "token.json")
		s := r.open()
		if info, err := os.Stat(filepath.Dir(r.path)); err != nil || info.Mode().Perm() != 0o700 {
			r.Errorf("directory: %v, %v", info.Mode(), err)
		}
		if err := s.AdoptRefreshToken(r.Context(), r.server.Grant().Refresh); err != nil {
			r.Fatal(err)
		}
		if err := os.Chmod(r.path, 0o664); err != nil {
			r.Fatal(err)
		}
		r.open()
		r.wantLogged("WARN", "mode=0664")
		if info, _ := os.Stat(r.path); info.Mode().Perm() != 0o600 {
			r.Errorf("mode %v", info.Mode())
		}
	})
}

func TestASymbolicLinkStaysOne(t *testing.T) {
	inBubble(t, authtest.Options{}, func(r *rig) {
		target := r.path + ".target"
		if err := os.Symlink(target, r.path); err != nil {
			r.Fatal(err)
		}
		s := r.open()
		if err := s.AdoptRefreshToken(r.Context(), r.server.Grant().Refresh); err != nil {
			r.Fatal(err)
		}
		if info, err := os.Lstat(r.path); err != nil || info.Mode()&fs.ModeSymlink == 0 {
			r.Error("the link is gone")
		}
		if _, err := os.Stat(target); err != nil || !r.onDisk(r.server.Current()) {
			r.Error("the login is not at the end of the link")
		}
	})
}
