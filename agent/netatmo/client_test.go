package netatmo_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"netatmo-agent/agent/netatmo"
)

func TestRequest(t *testing.T) {
	var got *http.Request
	c := serve(t, netatmo.Options{UserAgent: "netatmo-agent/1"}, func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		got = r
		io.WriteString(w, `{"body":{"devices":[],"homes":[]}}`)
	})
	ask := func(name string, f func() error, path, form string) {
		t.Helper()
		if err := f(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got.URL.Path != path || got.Form.Encode() != form {
			t.Errorf("%s: asked for %s with %s", name, got.URL.Path, got.Form.Encode())
		}
		if got.Header.Get("Authorization") != "Bearer secret-1" || got.UserAgent() != "netatmo-agent/1" {
			t.Errorf("%s: headers %v", name, got.Header)
		}
	}
	ctx := t.Context()
	ask("own", func() error { _, err := c.Weather(ctx, false); return err }, "/api/getstationsdata", "get_favorites=false")
	ask("favourites", func() error { _, err := c.Weather(ctx, true); return err }, "/api/getstationsdata", "get_favorites=true")
	ask("coaches", func() error { _, err := c.HomeCoaches(ctx); return err }, "/api/gethomecoachsdata", "")
	ask("homes", func() error { _, err := c.Homes(ctx); return err }, "/api/homesdata", "")
	ask("status", func() error { _, err := c.HomeStatus(ctx, netatmo.Home{ID: "h"}); return err }, "/api/homestatus", "home_id=h")
}

// TestRejectedToken: a token that Netatmo rejects is replaced once, and the
// request repeated once.
func TestRejectedToken(t *testing.T) {
	for _, tc := range []struct {
		name     string
		accepted string // the only token that works
		code     int
		outcomes []string
		rejected []string
	}{
		{"the next one works", "secret-2", 3, []string{"auth", "ok"}, []string{"secret-1"}},
		{"unknown token", "secret-2", 2, []string{"auth", "ok"}, []string{"secret-1"}},
		{"no token", "secret-2", 1, []string{"auth", "ok"}, []string{"secret-1"}},
		{"none works", "", 3, []string{"auth", "auth"}, []string{"secret-1"}},
		{"a missing scope is no matter of tokens", "secret-2", 13, []string{"scope"}, nil},
		{"nor is a quota", "secret-2", 26, []string{"quota"}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			source := &tokens{}
			var outcomes []string
			o := netatmo.Options{Tokens: source, OnRequest: func(_, outcome string) { outcomes = append(outcomes, outcome) }}
			c := serve(t, o, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != "Bearer "+tc.accepted {
					w.WriteHeader(http.StatusForbidden)
					fmt.Fprintf(w, `{"error":{"code":%d,"message":"no"}}`, tc.code)
					return
				}
				io.WriteString(w, station(`{"_id":"70:ee:50:00:00:01","type":"NAMain"}`))
			})
			a, err := c.Weather(t.Context(), false)
			if ok := tc.outcomes[len(tc.outcomes)-1] == "ok"; ok != (err == nil) || ok != (len(a.Readings) == 1) {
				t.Errorf("%d readings, error %v", len(a.Readings), err)
			}
			if !slices.Equal(outcomes, tc.outcomes) || !slices.Equal(source.rejected, tc.rejected) {
				t.Errorf("outcomes %v, rejected %v", outcomes, source.rejected)
			}
		})
	}
}

func TestNoLogin(t *testing.T) {
	cause := errors.New("no login yet; open the page")
	asked := false
	c := serve(t, netatmo.Options{Tokens: &tokens{err: cause}, OnRequest: func(_, _ string) { asked = true }},
		func(http.ResponseWriter, *http.Request) { asked = true })
	_, err := c.Weather(t.Context(), false)
	fail, ok := errors.AsType[*netatmo.Error](err)
	if !ok || fail.Class != netatmo.ClassLogin || !errors.Is(err, cause) || asked {
		t.Errorf("%v, asked %v; want class login around the cause, and no request", err, asked)
	}
}

func TestRedirect(t *testing.T) {
	followed := false
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed = true }))
	defer elsewhere.Close()
	c := serve(t, netatmo.Options{}, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL, http.StatusFound)
	})
	_, err := c.Weather(t.Context(), false)
	if err == nil || followed || !strings.Contains(err.Error(), "NETATMO_API_URL") {
		t.Errorf("error %v, followed %v", err, followed)
	}
}

// TestHugeAnswers: more than 32 MiB, or one device of more than 4 MiB, is
// refused with an explanation, and not kept in memory.
func TestHugeAnswers(t *testing.T) {
	block := strings.Repeat(" ", 1<<20)
	device := `{"_id":"70:ee:50:00:00:01","type":"NAMain","more":"` + block[:1000] + `"},`
	for _, tc := range []struct {
		name, start, repeat, want string
	}{
		{"blanks", "", block, "it is longer than 32 MiB"},
		{"blanks inside", `{"status":`, block, "one value in it is longer than 4 MiB"},
		{"one text", `{"status":"`, strings.ReplaceAll(block, " ", "x"), "one value in it is longer than 4 MiB"},
		{"many devices", `{"body":{"devices":[`, strings.Repeat(device, 1<<20/len(device)), "it is longer than 32 MiB"},
		{"an HTML page", "<html>", block, "HTML"},
		{"as a failure", `{"x":[0`, strings.Repeat(",0", 1<<19), "HTTP 500, it is longer than 1 MiB"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := serve(t, netatmo.Options{}, func(w http.ResponseWriter, _ *http.Request) {
				if strings.Contains(tc.want, "500") {
					w.WriteHeader(500)
				}
				io.WriteString(w, tc.start)
				for range 100 {
					if _, err := io.WriteString(w, tc.repeat); err != nil {
						return
					}
				}
			})
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := c.Weather(t.Context(), false)
			runtime.ReadMemStats(&after)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one that says %q", err, tc.want)
			}
			if grown := (after.Sys - before.Sys) >> 20; after.Sys > before.Sys && grown > 48 {
				t.Errorf("took %d MiB", grown)
			}
		})
	}
}

// TestTimeout: no answer, and an answer that never ends.
func TestTimeout(t *testing.T) {
	for name, rt := range map[string]transport{
		"silence": func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		},
		"endless": func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: &endless{ctx: r.Context()}}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := clientOver(rt, netatmo.NewGate(400))
				start := time.Now()
				_, err := c.Weather(t.Context(), false)
				fail, ok := errors.AsType[*netatmo.Error](err)
				if !ok || fail.Class != netatmo.ClassNetwork || !strings.Contains(err.Error(), "30s") {
					t.Errorf("%v; want an error of class network that names the time", err)
				}
				if took := time.Since(start); took != 30*time.Second {
					t.Errorf("took %s, want 30s", took)
				}

				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_, err = c.Weather(ctx, false)
				if fail, ok := errors.AsType[*netatmo.Error](err); !ok || fail.Class != netatmo.ClassCanceled || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%v; want class canceled when the caller's context ends", err)
				}
			})
		})
	}
}

// endless begins an answer and then sends nothing more.
type endless struct {
	ctx  context.Context
	told bool
}

func (e *endless) Read(p []byte) (int, error) {
	if !e.told {
		e.told = true
		return copy(p, `{"body":{"devices":[`), nil
	}
	<-e.ctx.Done()
	return 0, e.ctx.Err()
}

func (e *endless) Close() error { return nil }

func TestUnreachableServer(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	srv.Close()
	c := netatmo.NewClient(netatmo.Options{BaseURL: srv.URL, Tokens: &tokens{}, Gate: netatmo.NewGate(400)})
	_, err := c.Weather(t.Context(), false)
	fail, ok := errors.AsType[*netatmo.Error](err)
	if !ok || fail.Class != netatmo.ClassNetwork || strings.Contains(err.Error(), "/api/") {
		t.Errorf("%v; want class network, without the URL again", err)
	}
}

// TestConnectionIsUsedAgain: an answer is read to its end, so that the next
// request can reuse the connection.
func TestConnectionIsUsedAgain(t *testing.T) {
	from := map[string]bool{}
	c := serve(t, netatmo.Options{}, func(w http.ResponseWriter, r *http.Request) {
		from[r.RemoteAddr] = true
		io.WriteString(w, station()+"\n\n")
	})
	for range 3 {
		if _, err := c.Weather(t.Context(), false); err != nil {
			t.Fatal(err)
		}
	}
	if len(from) != 1 {
		t.Errorf("%d connections, want 1", len(from))
	}
}

// TestQuotaStopsAllRequests: after code 26 no caller makes a request until the
// pause is over, whatever is waiting.
func TestQuotaStopsAllRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []time.Duration
		start := time.Now()
		over := false
		rt := transport(func(r *http.Request) (*http.Response, error) {
			asked = append(asked, time.Since(start))
			if over {
				return answer(200, "", station())(r)
			}
			over = true
			return answer(403, "", code("26"))(r)
		})
		gate := netatmo.NewGate(400)
		if _, err := clientOver(rt, gate).HomeCoaches(t.Context()); err == nil {
			t.Fatal("got no error")
		}
		if _, err := clientOver(rt, gate).Weather(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		if want := []time.Duration{0, time.Hour}; !slices.Equal(asked, want) {
			t.Errorf("asked at %v, want %v", asked, want)
		}
	})
}
