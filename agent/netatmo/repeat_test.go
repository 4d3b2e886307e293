package netatmo_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"netatmo-agent/agent/netatmo"
)

type anyToken struct{}

func (anyToken) Token(context.Context) (string, error) { return "token", nil }
func (anyToken) Reject(string)                         {}

type seenKey struct{}

// net/http repeats a request on its own if the server closes the connection
// that it reuses. Every request that is sent counts at the Gate, repeated or
// not.
func TestRepeatedRequestsCount(t *testing.T) {
	var mu sync.Mutex
	requests := 0
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		requests++
		seen := r.Context().Value(seenKey{}).(*bool)
		if *seen {
			panic(http.ErrAbortHandler) // closes the connection without an answer
		}
		*seen = true
		_, _ = w.Write([]byte(`{"body":{"devices":[]},"status":"ok"}`))
	}))
	server.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		return context.WithValue(ctx, seenKey{}, new(bool))
	}
	server.Start()
	defer server.Close()
	gate := netatmo.NewGate(400)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := netatmo.NewClient(netatmo.Options{BaseURL: server.URL, HTTP: &http.Client{Transport: transport, Timeout: time.Minute}, Tokens: anyToken{}, Gate: gate})
	for range 3 {
		if _, err := client.HomeCoaches(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if counted := 400 - gate.Remaining(); requests < 4 || counted != requests {
		t.Errorf("%d requests on the wire, %d counted", requests, counted)
	}
}
