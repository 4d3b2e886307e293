package simcloud_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"netatmo-agent/agent/simcloud"
)

func TestFaults(t *testing.T) {
	r := newRig(t, simcloud.Options{})
	for _, tc := range []struct {
		kind         simcloud.Kind
		status, code int
		body         string // a prefix of it, if there is no code
	}{
		{simcloud.TokenUnknown, 403, 2, ""},
		{simcloud.TokenExpired, 403, 3, ""},
		{simcloud.AppDeactivated, 403, 5, ""},
		{simcloud.ScopeMissing, 403, 13, ""},
		{simcloud.QuotaReached, 429, 26, ""},
		{simcloud.QuotaReached403, 403, 26, ""},
		{simcloud.Busy, 429, 11, ""},
		{simcloud.Internal, 500, 500, ""},
		{simcloud.BackendText, 500, 0, `{"error":{"code":0,"message":"failed to connect`},
		{simcloud.ErrorString, 400, 0, `{"error":"`},
		{simcloud.Forbidden, 403, 0, ""},
		{simcloud.Unavailable, 503, 0, "<html>"},
		{simcloud.HTML, 200, 0, "<html>"},
		{simcloud.Empty, 200, 0, ""},
	} {
		r.Inject(simcloud.Fault{Endpoint: "homesdata", Kind: tc.kind, Times: 2, RetryAfter: "7"})
		if w := r.request("getstationsdata"); w.Code != 200 {
			t.Errorf("%s hit another endpoint: %d", tc.kind, w.Code)
		}
		for range 2 {
			w := r.request("homesdata")
			code, _ := errorOf(w.Body.String())
			if w.Code != tc.status || code != tc.code || !strings.HasPrefix(w.Body.String(), tc.body) || w.Header().Get("Retry-After") != "7" {
				t.Errorf("%s: %d, code %d, %v, %s", tc.kind, w.Code, code, w.Header(), w.Body)
			}
		}
		if w := r.request("homesdata"); w.Code != 200 {
			t.Errorf("%s did not end: %d", tc.kind, w.Code)
		}
	}
	if n := r.Requests()["homesdata"]; n != 3*14 {
		t.Errorf("%d requests counted", n)
	}

	whole := r.request("getstationsdata").Body.String()
	r.Inject(simcloud.Fault{Kind: simcloud.Truncated})
	if w := r.request("getstationsdata"); w.Code != 200 || w.Body.String() != whole[:len(whole)/2] || json.Valid(w.Body.Bytes()) {
		t.Errorf("truncated: %s", w.Body)
	}
	r.Inject(simcloud.Fault{Kind: simcloud.Pretty})
	if w := r.request("getstationsdata"); !strings.HasPrefix(w.Body.String(), "{\r\n  \"body\"") || !json.Valid(w.Body.Bytes()) {
		t.Errorf("pretty: %.40q", w.Body)
	}
	r.Inject(simcloud.Fault{Kind: simcloud.Internal, Times: -1})
	r.request("homesdata")
	r.Heal()
	if w := r.request("homesdata"); w.Code != 200 {
		t.Errorf("healed: %d", w.Code)
	}

	r.Answer("getstationsdata", []byte(`{"body": 1 }`))
	if w := r.request("getstationsdata"); w.Body.String() != `{"body": 1 }` {
		t.Errorf("own answer: %s", w.Body)
	}
	r.Answer("getstationsdata", nil)
	if w := r.request("getstationsdata"); w.Body.String() != whole {
		t.Errorf("own answer did not end: %s", w.Body)
	}

	r.Down(true)
	for _, path := range []string{"/api/getstationsdata", "/oauth2/token"} {
		w := httptest.NewRecorder()
		r.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != 503 || !strings.HasPrefix(w.Body.String(), "<html>") {
			t.Errorf("%s while down: %d %s", path, w.Code, w.Body)
		}
	}
	r.Down(false)
	if w := r.request("getstationsdata"); w.Code != 200 {
		t.Errorf("up again: %d", w.Code)
	}
}

// TestFaultsOfTheConnection needs a real connection.
func TestFaultsOfTheConnection(t *testing.T) {
	r := newRig(t, simcloud.Options{})
	server := httptest.NewServer(r)
	defer server.Close()
	get := func(ctx context.Context, f simcloud.Fault) (int64, error) {
		r.Inject(f)
		req, _ := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/api/getstationsdata", strings.NewReader("access_token="+url.QueryEscape(r.token)))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := server.Client().Do(req)
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Errorf("%s: status %d", f.Kind, resp.StatusCode)
		}
		return io.Copy(io.Discard, resp.Body)
	}
	size, err := get(t.Context(), simcloud.Fault{Kind: simcloud.Pretty})
	if err != nil {
		t.Fatal(err)
	}
	whole, _ := get(t.Context(), simcloud.Fault{Kind: simcloud.Late, Delay: time.Millisecond})
	if n, err := get(t.Context(), simcloud.Fault{Kind: simcloud.Slow, Delay: 20 * time.Millisecond}); err != nil || n != whole || n >= size {
		t.Errorf("slow: %d bytes of %d, %v", n, whole, err)
	}
	if n, err := get(t.Context(), simcloud.Fault{Kind: simcloud.Cut}); !errors.Is(err, io.ErrUnexpectedEOF) || n != whole/2 {
		t.Errorf("cut: %d bytes, %v", n, err)
	}
	if _, err := get(t.Context(), simcloud.Fault{Kind: simcloud.HangUp}); !errors.Is(err, io.EOF) {
		t.Errorf("hang up: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := get(ctx, simcloud.Fault{Kind: simcloud.Hang}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("hang: %v", err)
	}
	if n, err := get(t.Context(), simcloud.Fault{Kind: simcloud.Huge}); err != nil || n < 100<<20 || n > 101<<20 {
		t.Errorf("huge: %d bytes, %v", n, err)
	}
}

func TestTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := simcloud.New(simcloud.Options{TokenLife: time.Hour})
		ask := func(method, query, form, header string) int {
			req := httptest.NewRequest(method, "/api/getstationsdata?"+query, strings.NewReader(form))
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if header != "" {
				req.Header.Set("Authorization", "Bearer "+header)
			}
			w := httptest.NewRecorder()
			c.ServeHTTP(w, req)
			code, _ := errorOf(w.Body.String())
			if (code == 0) != (w.Code == 200) || code != 0 && w.Code != 403 {
				t.Errorf("status %d for code %d", w.Code, code)
			}
			return code
		}
		old := c.Auth().Grant("read_station").Access
		token := c.Auth().Grant("read_station").Access
		field := url.Values{"access_token": {token}}.Encode()
		for name, got := range map[string][2]int{
			"header":      {ask("GET", "", "", token), 0},
			"query":       {ask("GET", field, "", ""), 0},
			"form":        {ask("POST", "", field, ""), 0},
			"none":        {ask("GET", "", "", ""), 1},
			"nonsense":    {ask("GET", "", "", "nonsense"), 2},
			"rotated out": {ask("GET", "", "", old), 2},
		} {
			if got[0] != got[1] {
				t.Errorf("%s: code %d, want %d", name, got[0], got[1])
			}
		}
		time.Sleep(time.Hour)
		if code := ask("GET", "", "", token); code != 3 {
			t.Errorf("expired: code %d", code)
		}
	})
}

// TestQuota also shows that the cloud uses the clock of synctest.
func TestQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := simcloud.New(simcloud.Options{})
		token := c.Auth().Grant("read_station").Access
		ask := func() *httptest.ResponseRecorder {
			req := httptest.NewRequest(http.MethodGet, "/api/getstationsdata", nil)
			req.Header.Set("Authorization", "Bearer "+token)
			w := httptest.NewRecorder()
			c.ServeHTTP(w, req)
			return w
		}
		passed := func(n int) (ok int) {
			for range n {
				if ask().Code == 200 {
					ok++
				}
			}
			return ok
		}
		if got := passed(60); got != 50 {
			t.Errorf("%d of 60 requests at once passed, want 50", got)
		}
		w := ask()
		if code, _ := errorOf(w.Body.String()); w.Code != 429 || code != 26 || !strings.Contains(w.Body.String(), "\r\n") {
			t.Errorf("over the quota: %d %q", w.Code, w.Body)
		}
		time.Sleep(5 * time.Second)
		if got := passed(1); got != 0 {
			t.Error("a request passed after 5 s")
		}
		total := 50
		for range 12 {
			time.Sleep(10 * time.Second)
			total += passed(50)
		}
		if total != 500 {
			t.Errorf("%d requests passed within the hour, want 500", total)
		}
		time.Sleep(time.Hour)
		if got := passed(1); got != 1 {
			t.Error("no request passes in the next hour")
		}

		c.Inject(simcloud.Fault{Kind: simcloud.Lockout, Delay: 30 * time.Minute})
		time.Sleep(29 * time.Minute)
		if got := passed(3); got != 0 {
			t.Errorf("%d requests passed while locked out", got)
		}
		time.Sleep(2 * time.Minute)
		if got := passed(3); got != 3 {
			t.Errorf("%d of 3 requests passed after the lock-out", got)
		}
	})
}
