package attack

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"netatmo-agent/agent/simcloud"
	"netatmo-agent/auth/authtest"
	"netatmo-agent/deploy/e2e"
)

// scene is an agent between a cloud and a backend, which both can be made
// hostile.
type scene struct {
	t       *testing.T
	cloud   *e2e.Cloud
	front   *front   // of the cloud
	tls     *tlsDoor // of the cloud, see overTLS
	backend *backend
	agent   *e2e.Agent // its files and settings; it is never started as an e2e.Agent
	program *program

	log     *logbook
	peak    atomic.Int64
	strikes atomic.Int64
	known   time.Time // the newest measurement at the backend when the attack ended
	ended   time.Time
	lost    int
	row     row

	scopes     []string // of the login
	mostMemory int64
	restless   bool // the attack ends when the process exits
}

// options describe a cloud with a station that uploads every ten seconds.
func options() simcloud.Options {
	home := simcloud.Default()
	h := &home.Homes[0]
	h.Coaches, h.Gateways, h.Rooms = nil, nil, nil
	h.Stations[0].Modules = h.Stations[0].Modules[:1]
	return simcloud.Options{Measure: 5 * time.Second, Upload: 10 * time.Second, Scenario: home}
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{t: t, log: &logbook{}, mostMemory: mostMemory, scopes: []string{"read_station"}}
	s.backend = newBackend(t)
	s.world(options())
	s.agent = e2e.NewAgent(t, s.cloud.Env().With(e2e.Env{
		"NETATMO_DEVICES":             "weather",
		"OTEL_METRIC_EXPORT_INTERVAL": "1000",
		"OTEL_EXPORTER_OTLP_TIMEOUT":  "5000",
		"PATH":                        os.Getenv("PATH"),
	}))
	s.over("grpc")
	return s
}

// world replaces the scene's cloud.
func (s *scene) world(o simcloud.Options) {
	s.t.Helper()
	s.cloud = e2e.NewCloud(s.t, o)
	s.front = &front{cloud: s.cloud}
	server := httptest.NewServer(s.front)
	s.t.Cleanup(server.Close)
	s.cloud.URL = server.URL
	if s.agent != nil {
		s.set(s.cloud.Env())
	}
}

// over chooses the protocol of the push.
func (s *scene) over(protocol string) {
	s.set(e2e.Env{"OTEL_EXPORTER_OTLP_PROTOCOL": protocol, "OTEL_EXPORTER_OTLP_ENDPOINT": s.backend.url(protocol)})
}

func (s *scene) set(env e2e.Env) { s.agent.Env = s.agent.Env.With(env) }

// logIn writes a login to the token file.
func (s *scene) logIn() { s.cloud.LogIn(s.agent, s.scopes...) }

// start starts the agent.
func (s *scene) start() {
	s.t.Helper()
	s.program = start(s.t, s.agent.Env, s.log, &s.peak)
}

// healthy starts the agent with a login and waits until it pushes readings.
func (s *scene) healthy() {
	s.t.Helper()
	s.logIn()
	s.start()
	s.eventually("pushes readings", func() bool { return !s.backend.newest().IsZero() })
}

// eventually waits until cond is true.
func (s *scene) eventually(what string, cond func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); !cond(); time.Sleep(20 * time.Millisecond) {
		if !s.program.running() && !cond() {
			s.t.Fatalf("the agent exited (exit code %d) before: %s\n%s", s.program.cmd.ProcessState.ExitCode(), what, s.tail())
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("after %v, not reached: %s\n%s", patience, what, s.tail())
		}
	}
}

// struck waits until the attack has struck n times.
func (s *scene) struck(n int64) {
	s.t.Helper()
	s.eventually("is struck", func() bool { return s.strikes.Load() >= n })
}

// recovers ends the attack and waits for the next reading that the backend did
// not have before.
func (s *scene) recovers() {
	s.t.Helper()
	s.front.hostile.Store(nil)
	s.backend.honest()
	if s.tls != nil {
		s.tls.turn(nil)
	}
	s.known, s.ended = s.backend.newest(), time.Now()
	for s.backend.newest().Compare(s.known) <= 0 && time.Since(s.ended) <= 2*silence && s.program.running() {
		time.Sleep(20 * time.Millisecond)
	}
	s.row.recovery = time.Since(s.ended)
	if !s.program.running() {
		s.t.Errorf("the agent has ended, exit code %d\n%s", s.program.cmd.ProcessState.ExitCode(), s.tail())
	}
}

var loginLink = regexp.MustCompile(`https?://\S+/\?key=[\w-]+`)

// judge stops the agent, counts what was lost and checks the bounds.
func (s *scene) judge() row {
	s.t.Helper()
	s.program.measure()
	if !s.restless {
		s.program.signal(syscall.SIGTERM)
		if code := s.program.wait(20 * time.Second); code != 0 {
			s.t.Errorf("SIGTERM: exit code %d, want 0\n%s", code, s.tail())
		}
		s.countLogin()
	}
	s.row.memory, s.row.lost = s.peak.Load(), s.lost
	s.row.log, s.row.line = s.log.size()
	s.keepsSecrets()
	s.row.check(s.t, s.mostMemory)
	if s.t.Failed() || os.Getenv("ATTACK_LOG") != "" {
		s.t.Logf("the agent printed last:\n%s", s.tail())
	}
	return s.row
}

// countLogin counts a lost login if the valid one is not on the disk, or if the
// agent has used an invalid one.
func (s *scene) countLogin() {
	s.t.Helper()
	refused := s.cloud.Auth().Stats().Requests[authtest.Request{Grant: "refresh_token", Outcome: "invalid_grant"}]
	if !s.saved() || refused > 0 {
		s.lost++
		s.t.Errorf("the valid login is on the disk: %v; %d refreshes with a dead token, want none", s.saved(), refused)
	}
}

// saved reports whether the pair that is valid at the cloud is on the disk.
func (s *scene) saved() bool {
	living := s.cloud.Auth().Current()
	content, err := os.ReadFile(s.agent.TokenFile())
	if err != nil {
		return false
	}
	var disk struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	return json.Unmarshal(content, &disk) == nil && disk.Access == living.Access && disk.Refresh == living.Refresh
}

// keepsSecrets searches the log for secrets.
func (s *scene) keepsSecrets() {
	s.t.Helper()
	secrets := []string{e2e.ClientSecret}
	for _, pair := range s.cloud.Auth().Stats().Issued {
		secrets = append(secrets, pair.Access, pair.Refresh)
	}
	for _, secret := range secrets {
		if secret != "" && strings.Contains(s.log.text(), secret) {
			s.t.Errorf("the log has a secret in it (%d characters long)", len(secret))
			return
		}
	}
}

// tail is the end of the log, with long lines cut.
func (s *scene) tail() string {
	lines := strings.Split(strings.TrimRight(s.log.text(), "\n"), "\n")
	lines = lines[max(0, len(lines)-30):]
	for i, line := range lines {
		if len(line) > 600 {
			lines[i] = line[:600] + "…"
		}
	}
	return strings.Join(lines, "\n")
}

// front serves the cloud, or hostile instead.
type front struct {
	cloud   http.Handler
	hostile atomic.Pointer[http.HandlerFunc]
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h := f.hostile.Load(); h != nil {
		(*h)(w, r)
		return
	}
	f.cloud.ServeHTTP(w, r)
}

// below passes the cloud's requests below a path to h, and counts each as a
// strike. Other requests are served as usual.
func (s *scene) below(path string, h http.HandlerFunc) {
	hostile := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, path) {
			s.cloud.ServeHTTP(w, r)
			return
		}
		defer s.strikes.Add(1)
		h(w, r)
	})
	s.front.hostile.Store(&hostile)
}

// expire makes the agent renew its access token at the next poll.
func (s *scene) expire() { s.cloud.Inject(simcloud.Fault{Kind: simcloud.TokenExpired}) }
