package e2e

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// door is the entry to a cloud. It records requests, and can be closed for a
// while.
type door struct {
	cloud http.Handler
	url   string
	shut  sync.RWMutex // held for writing while API requests must wait

	mu       sync.Mutex
	open     int             // connections
	arrived  int             // API requests, including waiting ones
	asked    int             // token requests, including waiting ones
	last     time.Time       // when a token request was answered
	used     map[string]bool // access tokens of API requests
	answered chan struct{}   // capacity 1: a token request has been answered
}

var errStillOpen = errors.New("connections of a client that is dead stay open")

// newDoor opens a door to a cloud, whose address it becomes.
func newDoor(t *testing.T, cloud *Cloud) *door {
	t.Helper()
	d := &door{cloud: cloud, used: map[string]bool{}, answered: make(chan struct{}, 1)}
	d.start(t)
	cloud.URL = d.url
	return d
}

func (d *door) start(t *testing.T) {
	t.Helper()
	server := httptest.NewUnstartedServer(d)
	server.Config.ConnState = d.count
	server.Start()
	t.Cleanup(server.Close)
	d.url = server.URL
}

func (d *door) count(_ net.Conn, state http.ConnState) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch state {
	case http.StateNew:
		d.open++
	case http.StateClosed, http.StateHijacked:
		d.open--
	case http.StateActive, http.StateIdle:
	}
}

// ServeHTTP passes a request to the cloud.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasPrefix(r.URL.Path, "/api/"):
		d.mu.Lock()
		d.arrived++
		d.used[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")] = true
		d.mu.Unlock()
		d.shut.RLock()
		defer d.shut.RUnlock()
	case r.URL.Path == "/oauth2/token":
		d.mu.Lock()
		d.asked++
		d.mu.Unlock()
		defer func() {
			d.mu.Lock()
			d.last = time.Now()
			d.mu.Unlock()
			select {
			case d.answered <- struct{}{}:
			default:
			}
		}()
	}
	d.cloud.ServeHTTP(w, r)
}

// waiting is the number of API requests so far.
func (d *door) waiting() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.arrived
}

// asking is the number of token requests so far.
func (d *door) asking() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked
}

// lastAnswer is when a token request was last answered.
func (d *door) lastAnswer() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.last
}

// wasUsed reports whether an API request had the access token.
func (d *door) wasUsed(access string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.used[access]
}

// settle waits until everything has ended that a killed client has begun.
// Connections are accepted in the order of their arrival, so after one of our
// own was served, none remains to be counted.
func (d *door) settle() error {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	resp, err := client.Get(d.url + "/none")
	if err != nil {
		return err
	}
	resp.Body.Close()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		d.mu.Lock()
		n := d.open
		d.mu.Unlock()
		if n == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return errStillOpen
		}
	}
}
