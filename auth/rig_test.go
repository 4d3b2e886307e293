package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"netatmo-agent/agent/logtest"
	"netatmo-agent/auth/authtest"
)

const (
	rigID, rigSecret = "5f0c1d2e3a4b5c6d7e8f9a0b", "s3cr3t-of-the-app"
	rigAPI           = "http://netatmo.test"
)

// rig is an app, its account and a directory, all in memory if possible. At the
// end it searches the log for secrets.
type rig struct {
	*testing.T
	server *authtest.Server
	client *http.Client
	path   string
	logs   *logtest.Log
	faults *faultyFile // for the Sources opened next; nil: none
	scopes []string
	bubble bool // under a fake clock
}

func newRig(t *testing.T, opts authtest.Options) *rig {
	t.Helper()
	opts.ClientID, opts.ClientSecret = rigID, rigSecret
	r := &rig{
		T: t, server: authtest.New(opts), logs: &logtest.Log{},
		path: filepath.Join(memoryDir(t), "token.json"), scopes: []string{"read_station"},
	}
	r.client = memoryClient(t, r.server)
	t.Cleanup(func() {
		text := r.logs.String()
		for _, issued := range r.server.Stats().Issued {
			if strings.Contains(text, issued.Access) || strings.Contains(text, issued.Refresh) {
				t.Error("a token was logged")
			}
		}
		if strings.Contains(text, rigSecret) {
			t.Error("the client secret was logged")
		}
		if n := r.server.Stats().MaxConcurrent; n > 1 {
			t.Errorf("%d refreshes at the same time", n)
		}
	})
	return r
}

// memoryDir returns a directory for the test, in memory if possible: the tests
// save thousands of times, and a disk needs time for each fsync.
func memoryDir(t *testing.T) string {
	t.Helper()
	dir := filepath.Join("/dev/shm", filepath.Base(filepath.Dir(t.TempDir())))
	if os.Mkdir(dir, 0o700) != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// inBubble runs test with a fake clock.
func inBubble(t *testing.T, opts authtest.Options, test func(*rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, opts)
		r.bubble = true
		test(r)
	})
}

func (r *rig) config() Config {
	return Config{
		ClientID: rigID, ClientSecret: rigSecret, APIURL: rigAPI, External: &url.URL{Scheme: "http", Host: "agent.test"},
		Scopes: r.scopes, TokenFile: r.path, HTTPClient: r.client, Logger: r.logs.Logger(), UserAgent: "netatmo-agent/test",
	}
}

func (r *rig) open() *Source {
	r.Helper()
	s, err := New(r.Context(), r.config())
	if err != nil {
		r.Fatal(err)
	}
	if r.faults != nil {
		r.faults.tokenFile = s.file
		s.file = r.faults
	}
	return s
}

// run starts Run. stop ends it and waits for that.
func (r *rig) run(s *Source) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	if r.bubble {
		synctest.Wait() // it has started
	}
	return func() {
		cancel()
		running.Wait()
	}
}

// put writes the file as a human does.
func (r *rig) put(content string) {
	r.Helper()
	if err := os.WriteFile(r.path, []byte(content), 0o600); err != nil {
		r.Fatal(err)
	}
}

// putPair writes a pair whose access token is valid for left.
func (r *rig) putPair(p authtest.Pair, left time.Duration) {
	r.Helper()
	r.put(fmt.Sprintf(`{"access_token":%q,"refresh_token":%q,"expiry":%q,"expires_in":10800,"note":{"kept":[1.50]}}`,
		p.Access, p.Refresh, time.Now().Add(left).Format(time.RFC3339Nano)))
}

func (r *rig) disk() document {
	r.Helper()
	content, err := os.ReadFile(r.path)
	if err != nil {
		r.Fatal(err)
	}
	var d document
	if err := json.Unmarshal(content, &d); err != nil {
		r.Fatalf("the token file is damaged: %v", err)
	}
	return d
}

func (r *rig) onDisk(p authtest.Pair) bool {
	content, _ := os.ReadFile(r.path)
	var d document
	return json.Unmarshal(content, &d) == nil && d.same(document{Access: p.Access, Refresh: p.Refresh})
}

// asked counts all refresh requests, whatever their outcome.
func (r *rig) asked() (n int) {
	for request, count := range r.server.Stats().Requests {
		if request.Grant == "refresh_token" {
			n += count
		}
	}
	return n
}

// token fails unless s returns the access token that the server considers
// valid.
func (r *rig) token(s *Source) {
	r.Helper()
	access, err := s.Token(context.Background())
	if err != nil {
		r.Fatal(err)
	}
	if !r.server.Check(access).Valid {
		r.Fatal("Token returned an invalid token")
	}
}

func (r *rig) loginError(s *Source, cause Cause) {
	r.Helper()
	_, err := s.Token(context.Background())
	if e, ok := errors.AsType[*LoginError](err); !ok || e.Cause != cause {
		r.Errorf("Token: %v, want a LoginError: %s", err, cause)
	}
	st := s.Status()
	if st.Authorized || !st.Waiting || st.Problem == "" {
		r.Errorf("status %+v, want one that waits for a login", st)
	}
}

func (r *rig) logged(level, text string) int { return r.logs.Count("level="+level, text) }

func (r *rig) wantLogged(level, text string) {
	r.Helper()
	if r.bubble {
		synctest.Wait() // what happens at this moment is logged
	}
	if r.logged(level, text) == 0 {
		r.Errorf("no line with %s and %q in:\n%s", level, text, r.logs)
	}
}

// faultyFile fails on request.
type faultyFile struct {
	tokenFile
	effect bool // a save that fails takes effect all the same

	mu    sync.Mutex
	fails func(d document) bool // which documents cannot be saved; nil: all can
	saves int
}

// breaks makes the saves fail for which fails returns true; nil: none.
func (f *faultyFile) breaks(fails func(document) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fails = fails
}

func (f *faultyFile) attempts() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.saves
}

func (f *faultyFile) attempt(d document, save func(document) error) error {
	f.mu.Lock()
	f.saves++
	works := f.fails == nil || !f.fails(d)
	f.mu.Unlock()
	if works {
		return save(d)
	}
	if f.effect {
		return errors.Join(syscall.ENOSPC, save(d))
	}
	return syscall.ENOSPC
}

func (f *faultyFile) Save(d document) error      { return f.attempt(d, f.tokenFile.Save) }
func (f *faultyFile) Overwrite(d document) error { return f.attempt(d, f.tokenFile.Overwrite) }

func always(document) bool { return true }

// memoryClient makes real HTTP requests to handler over connections in memory,
// which a fake clock can wait for.
func memoryClient(t *testing.T, handler http.Handler) *http.Client {
	t.Helper()
	l := authtest.NewListener()
	server := &http.Server{Handler: handler}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { server.Close() })
	return &http.Client{Transport: &http.Transport{DialContext: l.Dial, DisableKeepAlives: true}}
}
