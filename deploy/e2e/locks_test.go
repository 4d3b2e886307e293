package e2e

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"netatmo-agent/agent/simcloud"
	"netatmo-agent/auth/authtest"
)

// A second agent in the directory is refused with the process id of the first,
// whose login it leaves alone. After the first is killed, another agent can
// start.
func TestOneAgentPerDirectory(t *testing.T) {
	t.Parallel()
	r := newRig(t, simcloud.Options{})
	r.put(r.grant(time.Hour))
	r.start()
	r.works()
	before, content := stat(t, r.TokenFile()), r.content()

	second := &Agent{Env: r.Env.With(Env{"NETATMO_LISTEN_ADDR": FreeAddr(t)}), Home: r.Home, t: t}
	got := second.Command()
	pid := strconv.Itoa(r.cmd.Process.Pid)
	if got.Code != 2 || !strings.Contains(got.Log, "process "+pid) || !strings.Contains(got.Log, "NETATMO_TOKEN_FILE") {
		t.Errorf("exit code %d, want 2 and process %s; it says:\n%s", got.Code, pid, got.Log)
	}
	if !os.SameFile(before, stat(t, r.TokenFile())) || r.content() != content || r.asked() != 0 {
		t.Error("the second agent touched the login of the first")
	}
	if page, err := http.Get("http://" + r.Env["NETATMO_LISTEN_ADDR"]); err != nil || page.StatusCode != http.StatusOK {
		t.Errorf("the first agent does not continue: %v", err)
	}
	r.Kill()
	r.start()
	r.works()
}

func stat(t *testing.T, path string) os.FileInfo {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	return info
}

// takenUp is how long a waiting agent may take to find a login in the file.
const takenUp = 5 * time.Second

// Whatever puts a login into the file of a waiting agent, the agent uses it
// within seconds. The dialogue of the login command has separate tests.
func TestLoginBesideAWaitingAgent(t *testing.T) {
	for name, logIn := range map[string]func(r *rig){
		"refresh token on standard input": func(r *rig) {
			r.loginFrom(r.cloud.Auth().Grant(allScopes...).Refresh)
		},
		"copied over by hand": func(r *rig) {
			r.put(r.grant(time.Hour))
		},
		"moved there by hand": func(r *rig) {
			r.putAt(r.Home+"/new.json", r.grant(time.Hour), 0o600)
			must(r.t, os.Rename(r.Home+"/new.json", r.TokenFile()))
		},
		"only a refresh token, by hand": func(r *rig) {
			r.put(tokenFile("", r.cloud.Auth().Grant(allScopes...).Refresh, ""))
		},
		"typed slowly": func(r *rig) {
			content := r.grant(time.Hour)
			r.put(content[:40])
			r.WaitLog("token file is now damaged")
			r.put(content)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, simcloud.Options{})
			must(t, os.MkdirAll(filepath.Dir(r.TokenFile()), 0o700))
			r.start()
			r.LoginLink()
			logIn(r)
			written := stat(t, r.TokenFile()).ModTime()
			r.Eventually("has readings", func() bool { return strings.Contains(r.Output(), " netatmo.temperature ") })
			if took := r.loggedAt("loaded the login").Sub(written); took > takenUp {
				t.Errorf("adopted %v after it was written, want %v at most", took, takenUp)
			}
			if kept := r.bad(); len(kept) != 0 {
				t.Errorf("kept an unneeded copy: %q", kept)
			}
			r.stop()
			if !r.saved() || r.refused() != 0 {
				t.Errorf("the valid login is on the disk: %v; %d refreshes refused", r.saved(), r.refused())
			}
		})
	}
}

// While the access token of a polling agent expires repeatedly, and Netatmo is
// slow, other commands in the same directory use the same login: a pair is
// never refreshed twice at the same time.
func TestCommandsBesideAPollingAgent(t *testing.T) {
	t.Parallel()
	o := busy
	o.TokenLife = 2 * time.Second
	r := newRig(t, o)
	r.cloud.Auth().Inject(authtest.Fault{Kind: authtest.Slow, Times: -1, Delay: 300 * time.Millisecond})
	r.put(r.grant(2 * time.Second))
	r.start()
	r.works()
	enough, stop := context.WithCancel(t.Context())
	var commands sync.WaitGroup
	probes := 0 // a plain check tries the app with a made-up token
	for _, c := range []struct {
		unless string // an error that is not a failure
		args   []string
	}{
		// It renews nothing, so the token may expire while it runs.
		{"it was renewed elsewhere", []string{"check"}},
		{"", []string{"check", "--refresh"}},
		{"", []string{"check", "--refresh"}},
		{"", []string{"backfill", "--since", "10m"}},
	} {
		commands.Go(func() {
			if runs := r.repeat(enough, c.unless, c.args...); len(c.args) == 1 {
				probes = runs
			}
		})
	}
	// The agent does not know the cadence yet, and polls after ten seconds.
	polls := r.cloud.Requests()["gethomecoachsdata"]
	r.Eventually("polls beside the commands", func() bool {
		return r.cloud.Requests()["gethomecoachsdata"] > polls && r.cloud.Auth().Stats().Refreshes() >= 6
	})
	stop()
	commands.Wait()
	stats := r.cloud.Auth().Stats()
	if stats.MaxConcurrent != 1 || r.refused() > probes {
		t.Errorf("%d refreshes at the same time, %d with a dead token", stats.MaxConcurrent, r.refused())
	}
	r.wantsNoLogin()
	r.stop()
	if !r.saved() {
		t.Error("the valid pair is not on the disk")
	}
}

// repeat runs a command until ctx ends, reports failures, and returns how often
// it ran.
func (r *rig) repeat(ctx context.Context, unless string, args ...string) (runs int) {
	for ; ctx.Err() == nil; runs++ {
		cmd := exec.Command(AgentBinary(r.t), args...)
		cmd.Env = r.Env.list()
		out, err := cmd.CombinedOutput()
		if err != nil && (unless == "" || !strings.Contains(string(out), unless)) {
			r.t.Errorf("%v: %v\n%s", args, err, tail(string(out), 30))
			return runs
		}
		time.Sleep(100 * time.Millisecond)
	}
	r.t.Logf("%v ran %d times", args, runs)
	return runs
}
