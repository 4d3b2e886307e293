package otlp

import (
	"net/http"
	"strings"
	"testing"

	"netatmo-agent/agent/logtest"
)

// Whatever answers, the failure is one readable line without the credentials.
func FuzzAnswer(f *testing.F) {
	f.Add(200, "application/x-protobuf", []byte("\n\x02\b\x03"))
	f.Add(200, "application/json", []byte(`{"partialSuccess":{"rejectedDataPoints":"3"}}`))
	f.Add(400, "application/x-protobuf", []byte("\b\x03\x12\x03bad"))
	f.Add(400, "application/json", []byte(`{"message":"bad","error":"worse"}`))
	f.Add(302, "text/html", []byte("<html>"+secretValue))
	f.Add(503, "text/plain; charset=utf-8", []byte(secretValue))
	f.Fuzz(func(t *testing.T, status int, contentType string, body []byte) {
		r := &remarks{log: (&logtest.Log{}).Logger()}
		resp := &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {contentType}, "Location": {string(body)}}, Request: &http.Request{}}
		got := r.fromHTTP(resp, body, secrets(secretValue))
		if status >= 200 && status <= 299 && len(body) == 0 && got != nil {
			t.Errorf("an empty success is %v", got)
		}
		if (status < 200 || status > 299) && got == nil {
			t.Errorf("status %d is a success", status)
		}
		if got == nil {
			return
		}
		if strings.Contains(got.Error(), strings.TrimPrefix(secretValue, "Basic ")) || strings.ContainsAny(got.Error(), "\r\n") || len([]rune(got.Error())) > 500 {
			t.Errorf("%q", got)
		}
		if _, known := meanings[got.Reason]; !known {
			t.Errorf("reason %q", got.Reason)
		}
	})
}
