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

// door is the way into a cloud. It sees who comes, and can be shut for a while.
type door struct {
	cloud http.Handler
	url   string
	shut  sync.RWMutex // held for writing while API requests have to wait

	mu       sync.Mutex
	open     int             // connections
	arrived  int             // API requests, those that wait included
	asked    int             // token requests, those that wait included
	last     time.Time       // when a token request was answered
	used     map[string]bool // access tokens that the API was asked with
	answered chan struct{}   // capacity 1: a token request has been answered
}

var errStillOpen = errors.New("connections of a client that is dead stay open")

// newDoor opens a door to a cloud, which has its address from then on.
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

// ServeHTTP lets a request through to the cloud.
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

// waiting is how many API requests came so far.
func (d *door) waiting() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.arrived
}

// asking is how many token requests came so far.
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

// wasUsed reports whether the API was asked with an access token.
func (d *door) wasUsed(access string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.used[access]
}

// settle waits until all is over that a client has begun which was killed.
// Connections are accepted in the order in which they came, so after one of our
// own was served there is none left to be counted.
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
