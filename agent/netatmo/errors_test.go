package netatmo_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"netatmo-agent/agent/netatmo"
)

const html = "\r\n<html><head><title>503 Service Temporarily Unavailable</title></head></html>"

func code(n string) string { return `{"error":{"code":` + n + `,"message":"Words of Netatmo"}}` }

// TestErrors tries every known way in which Netatmo refuses: the class of the
// error, and how long all callers have to wait.
func TestErrors(t *testing.T) {
	const never, soon, long = 0, 10 * time.Second, time.Hour
	for _, tc := range []struct {
		name   string
		status int
		body   string
		class  netatmo.Class
		pause  time.Duration
	}{
		{"access token missing", 401, code("1"), netatmo.ClassAuth, never},
		{"invalid access token", 403, code("2"), netatmo.ClassAuth, never},
		{"access token expired", 403, code("3"), netatmo.ClassAuth, never},
		{"the same under 200", 200, code("3"), netatmo.ClassAuth, never},
		{"inconsistency", 500, code("4"), netatmo.ClassServer, never},
		{"application deactivated", 403, code("5"), netatmo.ClassApp, never},
		{"device not found", 404, code("9"), netatmo.ClassNotFound, never},
		{"missing arguments", 400, code("10"), netatmo.ClassInvalid, never},
		{"internal error", 500, code("11"), netatmo.ClassBusy, soon},
		{"load shedding", 429, code("11"), netatmo.ClassBusy, soon},
		{"missing scope", 403, code("13"), netatmo.ClassScope, never},
		{"invalid argument", 400, code("21"), netatmo.ClassInvalid, never},
		{"application not found", 403, code("22"), netatmo.ClassApp, never},
		{"user not found", 403, code("23"), netatmo.ClassApp, never},
		{"invalid date", 400, code("25"), netatmo.ClassInvalid, never},
		{"usage, today", 429, "{\r\n  \"error\" : {\r\n    \"message\" : \"Maximum api usage reached\",\r\n    \"code\" : 26\r\n  }\r\n}", netatmo.ClassQuota, long},
		{"usage, before", 403, `{"error":{"code":26,"message":"User usage reached"}}`, netatmo.ClassQuota, long},
		{"usage, code as a string", 403, code(`"26"`), netatmo.ClassQuota, long},
		{"invalid refresh token", 400, code("30"), netatmo.ClassAuth, never},
		{"not found", 404, code("31"), netatmo.ClassNotFound, never},
		{"too many connections", 403, code("39"), netatmo.ClassBusy, soon},
		{"device unreachable", 400, code("41"), netatmo.ClassServer, never},
		{"unknown path", 404, `{"error":{"code":404,"message":"Not Found"}}`, netatmo.ClassServer, never},
		{"backend's text", 200, `{"error":{"code":0,"message":"failed to connect to server [db] on first connect"}}`, netatmo.ClassServer, never},
		{"code of the future, refused", 400, code("77"), netatmo.ClassInvalid, never},
		{"code of the future, failed", 502, code("77"), netatmo.ClassServer, never},
		{"code of the future, forbidden", 403, code("77"), netatmo.ClassBusy, soon},

		{"error is a string", 400, `{"error":"Something"}`, netatmo.ClassServer, never},
		{"error is a string, under 200", 200, `{"error":"Something"}`, netatmo.ClassServer, never},
		{"error without code", 403, `{"error":{"message":"Something"}}`, netatmo.ClassBusy, soon},
		{"code is null", 500, `{"error":{"code":null}}`, netatmo.ClassServer, never},
		{"code is a fraction", 500, code("2.5"), netatmo.ClassServer, never},
		{"error and body", 200, `{"body":{"devices":[]},"error":{"code":11}}`, netatmo.ClassBusy, soon},
		{"error in the body", 200, `{"status":"ok","body":{"error":{"code":26,"message":"Words of Netatmo"}}}`, netatmo.ClassQuota, long},
		{"error in the body, beside data", 200, `{"body":{"devices":[{"_id":"70:ee:50:00:00:01","type":"NAMain"}],"error":{"code":3}}}`, netatmo.ClassAuth, never},
		{"error in the body of a refusal", 403, `{"body":{"error":{"code":13}}}`, netatmo.ClassScope, never},
		{"error in the body, a string", 200, `{"body":{"error":"Something"}}`, netatmo.ClassServer, never},
		{"no error in the body", 200, `{"error":{"code":26},"body":{"error":null,"devices":[]}}`, netatmo.ClassQuota, long},
		{"error and then cut off", 403, `{"error":{"code":26,"message":"x"}`, netatmo.ClassQuota, long},
		{"no error at all", 500, `{"status":"ok"}`, netatmo.ClassServer, never},

		{"gateway, HTML", 403, html, netatmo.ClassBusy, soon},
		{"gateway, empty", 403, "", netatmo.ClassBusy, soon},
		{"gateway, 429", 429, "", netatmo.ClassBusy, soon},
		{"gateway, 401", 401, html, netatmo.ClassBusy, soon},
		{"outage, HTML", 503, html, netatmo.ClassServer, never},
		{"outage, text", 502, "Bad Gateway", netatmo.ClassServer, never},
		{"outage, empty", 504, "", netatmo.ClassServer, never},
		{"outage, JSON list", 500, "[]", netatmo.ClassServer, never},
		{"another server", 404, html, netatmo.ClassServer, never},
		{"moved", 301, "", netatmo.ClassServer, never},

		{"HTML under 200", 200, html, netatmo.ClassMalformed, never},
		{"text under 200", 200, "OK", netatmo.ClassMalformed, never},
		{"a list under 200", 200, "[]", netatmo.ClassMalformed, never},
		{"nothing under 200", 200, " \r\n", netatmo.ClassMalformed, never},
		{"cut off", 200, `{"status":"ok","body":{"devices":[{"_id":"70:ee:50:00:00:01","type":"NAMain"},{"_id":"70`, netatmo.ClassMalformed, never},
		{"cut off between devices", 200, `{"status":"ok","body":{"devices":[{"_id":"70:ee:50:00:00:01","type":"NAMain"},`, netatmo.ClassMalformed, never},
		{"cut off at the end", 200, `{"status":"ok","body":{"devices":[]}`, netatmo.ClassMalformed, never},
		{"damaged", 200, `{"status":"ok","body":{"devices":[{"_id":]}}`, netatmo.ClassMalformed, never},
		{"no body", 200, `{"status":"ok"}`, netatmo.ClassMalformed, never},
		{"body is text", 200, `{"body":"none"}`, netatmo.ClassMalformed, never},
		{"body is null", 200, `{"body":null}`, netatmo.ClassMalformed, never},
		{"body without devices", 200, `{"body":{"user":{}}}`, netatmo.ClassMalformed, never},
		{"devices are text", 200, `{"body":{"devices":"none"}}`, netatmo.ClassMalformed, never},
		{"devices are null", 200, `{"body":{"devices":null}}`, netatmo.ClassMalformed, never},
		{"devices are an empty object", 200, `{"body":{"devices":{}}}`, netatmo.ClassMalformed, never},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var outcomes []string
				gate := netatmo.NewGate(400)
				c := netatmo.NewClient(netatmo.Options{
					BaseURL: "http://netatmo.test", Tokens: &tokens{}, Gate: gate, HTTP: &http.Client{Transport: answer(tc.status, "", tc.body)},
					OnRequest: func(endpoint, outcome string) { outcomes = append(outcomes, endpoint+" "+outcome) },
				})
				a, err := c.Weather(t.Context(), false)
				fail, ok := errors.AsType[*netatmo.Error](err)
				if !ok {
					t.Fatalf("error %v, want an *Error", err)
				}
				if fail.Class != tc.class || fail.RetryAfter != tc.pause {
					t.Errorf("class %s, retry after %s: %s", fail.Class, fail.RetryAfter, fail)
				}
				if len(a.Readings) > 0 {
					t.Error("readings in spite of the error")
				}
				if got := time.Until(gate.PausedUntil()); max(got, 0) != tc.pause {
					t.Errorf("the gate is closed for %s, want %s", got, tc.pause)
				}
				if last := outcomes[len(outcomes)-1]; last != "getstationsdata "+string(tc.class) {
					t.Errorf("outcome %q", last)
				}
				text := fail.Error()
				if !strings.HasPrefix(text, "getstationsdata: ") || strings.ContainsAny(text, "\r\n<") || strings.Contains(text, "secret") {
					t.Errorf("unsuitable text %q", text)
				}
				t.Log(text)
			})
		})
	}
}

// answer is a transport that always gives the same answer.
func answer(status int, retryAfter, body string) transport {
	return func(*http.Request) (*http.Response, error) {
		h := http.Header{"Content-Type": {"text/html"}}
		if retryAfter != "" {
			h.Set("Retry-After", retryAfter)
		}
		return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}, nil
	}
}

func TestRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inTwoHours := time.Now().Add(2 * time.Hour).UTC().Format(http.TimeFormat)
		for _, tc := range []struct {
			status int
			body   string
			header string
			want   time.Duration
		}{
			{429, code("26"), "", time.Hour},
			{429, code("26"), "60", time.Hour},
			{429, code("26"), "7200", time.Hour},
			{429, code("26"), "1000000000", time.Hour},
			{429, code("26"), "soon", time.Hour},
			{429, code("11"), "3", 3 * time.Second},
			{429, code("11"), "-3", 10 * time.Second},
			{429, code("11"), "1800", 30 * time.Minute},
			{429, code("11"), inTwoHours, time.Hour},
			{500, code("4"), "604800", time.Hour},
			{503, html, "120", 2 * time.Minute},
			{503, html, "1000000000", 10 * time.Minute},
			{503, html, inTwoHours, 10 * time.Minute},
			{403, html, "604800", 10 * time.Minute},
			{429, `{"error":"Something"}`, "604800", 10 * time.Minute},
			{503, html, "", 0},
			{400, code("21"), "120", 0},
		} {
			gate := netatmo.NewGate(400)
			_, err := clientOver(answer(tc.status, tc.header, tc.body), gate).Weather(t.Context(), false)
			fail, _ := errors.AsType[*netatmo.Error](err)
			if fail == nil || fail.RetryAfter != tc.want {
				t.Errorf("%d %s Retry-After %q: %v, want %s", tc.status, tc.body, tc.header, err, tc.want)
			}
		}
	})
}

// TestNoSecrets: neither the token nor the user's mail address gets into an
// error, even if the server repeats it.
func TestNoSecrets(t *testing.T) {
	for _, body := range []string{
		`{"error":{"code":2,"message":"secret-2 is no token"}}`,
		`{"error":{"code":2,"message":"SECRET-2 is no token"}}`,
		`{"error":{"code":2,"message":"secret%2D2 is no token"}}`,
		`{"body":{"user":{"mail":"somebody@example.org"}}}`,
		`{"body":{"user":{"mail":"somebody@example.org"},"devices":[{]}}`,
		`secret-2 <somebody@example.org>`,
	} {
		_, err := saying(200, body).Weather(t.Context(), false)
		if err == nil || strings.Contains(strings.ToLower(err.Error()), "secret") || strings.Contains(err.Error(), "example.org") {
			t.Errorf("%v", err)
		}
	}
}

func TestErrorTexts(t *testing.T) {
	for _, tc := range []struct {
		err  *netatmo.Error
		want string
	}{
		{&netatmo.Error{Class: netatmo.ClassScope, Code: 13, Status: 403, Endpoint: "gethomecoachsdata", Message: "no scope"},
			"gethomecoachsdata: the login does not include a scope that this needs (HTTP 403, code 13, no scope); log in again and grant it: read_homecoach"},
		{&netatmo.Error{Class: netatmo.ClassLogin, Code: netatmo.NoCode, Endpoint: "homesdata", Err: errors.New("log in at the page")},
			"homesdata: not requested, because there is no access token (log in at the page)"},
		{&netatmo.Error{Class: netatmo.ClassServer, Code: netatmo.NoCode, Status: 404, Endpoint: "homesdata", Message: "it is an HTML page"},
			"homesdata: Netatmo failed (HTTP 404, it is an HTML page); check NETATMO_API_URL: this does not look like the API"},
		{&netatmo.Error{Class: netatmo.ClassQuota, Code: 26, Status: 429, Endpoint: "getmeasure", Subject: "module 02:00", RetryAfter: time.Hour},
			"getmeasure of module 02:00: Netatmo's request limit is reached (HTTP 429, code 26); wait an hour; other programs that use this account or app count too; no request for 1h0m0s"},
	} {
		if got := tc.err.Error(); got != tc.want {
			t.Errorf("got  %s\nwant %s", got, tc.want)
		}
	}
	if !errors.Is(&netatmo.Error{Err: context.Canceled}, context.Canceled) {
		t.Error("the cause is lost")
	}
}

// TestNoSecretsInBrokenAnswers: net/http quotes an answer that is not HTTP.
func TestNoSecretsInBrokenAnswers(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nyou sent "+r.Header.Get("Authorization")+"\r\n\r\n")
	}))
	defer server.Close()
	c := netatmo.NewClient(netatmo.Options{BaseURL: server.URL, Tokens: &tokens{}, Gate: netatmo.NewGate(400)})
	_, err := c.Weather(t.Context(), false)
	if err == nil || !strings.Contains(err.Error(), "you sent Bearer [redacted]") {
		t.Errorf("%v, want the answer without the token", err)
	}
}
