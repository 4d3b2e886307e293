package e2e

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"netatmo-agent/agent/simcloud"
	"netatmo-agent/auth/authtest"
)

// rig is an agent that pushes to its standard output, and the cloud of the
// login in its token file.
type rig struct {
	*Agent
	t     *testing.T
	cloud *Cloud
	door  *door
	under []string // a program, with arguments, that executes the agent
}

func newRig(t *testing.T, o simcloud.Options, env ...Env) *rig {
	t.Helper()
	cloud := NewCloud(t, o)
	d := newDoor(t, cloud)
	agent := NewAgent(t, cloud.Env().With(Env{"OTEL_METRICS_EXPORTER": "console"}).With(env...))
	return &rig{Agent: agent, t: t, cloud: cloud, door: d}
}

// busy is a cloud that gives the agent a reason to make requests every few
// seconds.
var busy = simcloud.Options{Measure: 2 * time.Second, Upload: 2 * time.Second}

// start is like Start, with the program in under.
func (r *rig) start() {
	r.t.Helper()
	argv := append(append([]string{}, r.under...), AgentBinary(r.t))
	if r.under != nil {
		argv[len(argv)-1] = anybodysBinary(r.t)
	}
	argv = append(argv, r.args...)
	r.Process = startProcess(r.t, r.Env, argv[0], argv[1:]...)
}

// stop stops the agent with SIGTERM.
func (r *rig) stop() {
	r.t.Helper()
	if code, took := r.Terminate(); code != 0 || took > stopsInTime {
		r.t.Errorf("SIGTERM: exit code %d after %v, want 0 within %v", code, took, stopsInTime)
	}
	r.keepsSecrets()
}

func (r *rig) keepsSecrets() {
	r.t.Helper()
	checkNoSecrets(r.t, r.cloud, r.Agent)
}

// put writes the token file, and creates its directory.
func (r *rig) put(content string) {
	r.t.Helper()
	r.putAt(r.TokenFile(), content, 0o600)
}

func (r *rig) putAt(path, content string, mode os.FileMode) {
	r.t.Helper()
	must(r.t, os.MkdirAll(filepath.Dir(path), 0o700))
	must(r.t, os.WriteFile(path, []byte(content), mode))
	must(r.t, os.Chmod(path, mode)) // whatever the umask
}

// grant returns a token file for a new login at the cloud.
func (r *rig) grant(expiresIn time.Duration) string {
	p := r.cloud.Auth().Grant(allScopes...)
	return tokenFile(p.Access, p.Refresh, time.Now().Add(expiresIn).UTC().Format(time.RFC3339))
}

// tokenFile returns the content of a token file without empty values.
func tokenFile(access, refresh, expiry string) string {
	attributes := map[string]string{"access_token": access, "refresh_token": refresh, "expiry": expiry}
	for name, value := range attributes {
		if value == "" {
			delete(attributes, name)
		}
	}
	b, _ := json.Marshal(attributes)
	return string(b)
}

// content is the content of the token file.
func (r *rig) content() string {
	r.t.Helper()
	return read(r.t, r.TokenFile())
}

// token is a token file, as netatmo-exporter reads it.
type token struct {
	Access  string    `json:"access_token"`
	Type    string    `json:"token_type,omitempty"`
	Refresh string    `json:"refresh_token,omitempty"`
	Expiry  time.Time `json:"expiry"`
}

// parse returns the content of a token file, nothing if it has no token.
func parse(content string) token {
	var tk token
	if json.Unmarshal([]byte(strings.TrimPrefix(content, "\ufeff")), &tk) != nil {
		return token{}
	}
	return tk
}

func (tk token) holds(p authtest.Pair) bool { return tk.Access == p.Access && tk.Refresh == p.Refresh }

// saved reports whether the pair that is valid at the cloud is on the disk.
func (r *rig) saved() bool {
	r.t.Helper()
	return parse(r.content()).holds(r.cloud.Auth().Current())
}

// works waits until the agent has readings, and checks that it needs no login.
func (r *rig) works() {
	r.t.Helper()
	r.Eventually("has readings", func() bool { return strings.Contains(r.Output(), " netatmo.temperature ") })
	r.wantsNoLogin()
}

func (r *rig) wantsNoLogin() {
	r.t.Helper()
	if loginLink.MatchString(r.Log()) {
		r.t.Error("it needs a login")
	}
}

// worksAfterLogin logs in as a user does and waits until the agent has readings
// and the login is on the disk.
func (r *rig) worksAfterLogin() {
	r.t.Helper()
	r.Authorise()
	r.Eventually("has readings", func() bool { return strings.Contains(r.Output(), " netatmo.temperature ") })
	if !r.saved() {
		r.t.Error("the new login is not on the disk")
	}
}

// asked is the number of token requests so far.
func (r *rig) asked() int {
	n := 0
	for _, times := range r.cloud.Auth().Stats().Requests {
		n += times
	}
	return n
}

// refused is the number of refreshes with a token that was not the valid one.
func (r *rig) refused() int {
	return r.cloud.Auth().Stats().Requests[authtest.Request{Grant: "refresh_token", Outcome: "invalid_grant"}]
}

// loginFrom runs the login command with a refresh token.
func (r *rig) loginFrom(refreshToken string) {
	r.t.Helper()
	login := startLogin(r.t, r.Agent, "--refresh-token", "-")
	_, err := io.WriteString(login.input, refreshToken+"\n")
	must(r.t, err)
	login.input.Close()
	login.ended(0, "Logged in")
}

const nobody = 65534

// asNobody gives the agent's home to a user without root's privileges on files,
// and starts the agent as that user from now on.
func (r *rig) asNobody() {
	r.t.Helper()
	must(r.t, os.Chmod(filepath.Dir(r.Home), 0o755))
	must(r.t, filepath.WalkDir(r.Home, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, nobody, nobody))
	}))
	r.under = []string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"}
}

// anybodysBinary returns a copy of the agent that every user can run. Another
// process creates it: a file that this process has open for writing may also be
// open in a process that it starts at the same moment, and then it cannot be
// run.
func anybodysBinary(t testing.TB) string {
	t.Helper()
	path := filepath.Join(openDir(t), "netatmo-agent")
	run(t, "install", "-m", "755", AgentBinary(t), path)
	return path
}

// openDir returns a directory that every user may enter.
func openDir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.Chmod(filepath.Dir(dir), 0o755))
	return dir
}

func read(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	return string(b)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
