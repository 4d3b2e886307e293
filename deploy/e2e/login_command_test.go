package e2e

import (
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"netatmo-agent/agent/simcloud"
)

// terminal is the login command with a user who types.
type terminal struct {
	*Process
	t     *testing.T
	input io.WriteCloser
}

const prompt = "Paste that address, or the code in it:"

// startLogin starts the login command for an agent.
func startLogin(t *testing.T, a *Agent, args ...string) *terminal {
	t.Helper()
	p, input := startDialogue(t, a.Env, AgentBinary(t), append([]string{"login"}, args...)...)
	return &terminal{p, t, input}
}

// asks waits until the command has prompted n times.
func (tm *terminal) asks(n int) {
	tm.t.Helper()
	tm.Eventually("asks", func() bool { return strings.Count(tm.Output(), prompt) >= n })
}

func (tm *terminal) types(line string) {
	tm.t.Helper()
	if _, err := io.WriteString(tm.input, line+"\n"); err != nil {
		tm.t.Fatal(err)
	}
}

var authorizeURL = regexp.MustCompile(`https?://\S+/oauth2/authorize\?\S+`)

// address is the one that the command prints.
func (tm *terminal) address() string {
	tm.t.Helper()
	tm.asks(1)
	return authorizeURL.FindString(tm.Output())
}

// ended checks how the command has exited.
func (tm *terminal) ended(code int, says string) {
	tm.t.Helper()
	if got := tm.Wait(); got != code {
		tm.t.Errorf("exit code %d, want %d", got, code)
	}
	if printed := tm.Output() + tm.Log(); !strings.Contains(printed, says) {
		tm.t.Errorf("the output does not contain %q:\n%s", says, printed)
	}
}

// consent accepts on the page at an address, and returns the address that the
// browser is sent to.
func consent(t *testing.T, address string) (back *url.URL) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	form := u.Query()
	form.Set("answer", "accept")
	client := &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       patience,
	}
	resp, err := client.PostForm(address, form)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if back, err = resp.Location(); err != nil {
		t.Fatalf("the consent page answers %s: %v", resp.Status, err)
	}
	return back
}

// machine is an agent's settings and its cloud, on a machine without a browser.
func machine(t *testing.T, env ...Env) (*Agent, *Cloud) {
	t.Helper()
	cloud := NewCloud(t, simcloud.Options{})
	return NewAgent(t, cloud.Env().With(Env{"OTEL_METRICS_EXPORTER": "console"}).With(env...)), cloud
}

func TestLoginCommand(t *testing.T) {
	for name, paste := range map[string]func(back *url.URL, cloud *Cloud) string{
		"address":       func(back *url.URL, _ *Cloud) string { return back.String() },
		"code":          func(back *url.URL, _ *Cloud) string { return back.Query().Get("code") },
		"refresh token": func(_ *url.URL, cloud *Cloud) string { return cloud.Auth().Grant(allScopes...).Refresh },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			agent, cloud := machine(t, Env{"NETATMO_EXTERNAL_URL": "http://nas.test:8080", "NETATMO_DEVICES": "weather,energy"})
			login := startLogin(t, agent)
			address, err := url.Parse(login.address())
			if err != nil {
				t.Fatal(err)
			}
			if q := address.Query(); q.Get("scope") != "read_station read_thermostat read_smarther" || q.Get("redirect_uri") != "http://nas.test:8080/auth/callback" || q.Get("state") == "" {
				t.Errorf("the address to open asks for %v", q)
			}
			if !strings.Contains(login.Output(), "http://nas.test:8080/auth/callback\n") {
				t.Error("the redirect URI to register is not printed")
			}
			login.types(paste(consent(t, address.String()), cloud))
			login.ended(0, agent.TokenFile())
			checkSavedLogin(t, agent, cloud)
			checkNoSecrets(t, cloud, &Agent{Process: login.Process})
		})
	}
}

// checkSavedLogin checks that the token file contains the cloud's login, and
// that only its owner can read it.
func checkSavedLogin(t *testing.T, a *Agent, cloud *Cloud) {
	t.Helper()
	if have, want := readLogin(t, os.DirFS(filepath.Dir(a.TokenFile()))), cloud.Auth().Current(); have.Access != want.Access || have.Refresh != want.Refresh {
		t.Error("the token file does not contain the cloud's login")
	}
	if info, err := os.Stat(a.TokenFile()); err != nil || info.Mode() != 0o600 {
		t.Errorf("the token file: %v, %v; want mode 0600", info, err)
	}
}

// A mistake leads to another prompt, not to the end of the login.
func TestLoginCommandPromptsAgain(t *testing.T) {
	t.Parallel()
	agent, cloud := machine(t)
	login := startLogin(t, agent)
	back := consent(t, login.address())
	other := *back
	other.RawQuery = "code=" + back.Query().Get("code") + "&state=AAAAAAAAAAAAAAAAAAAAAAAAAA"
	refused := *back
	refused.RawQuery = "error=access_denied&state=" + back.Query().Get("state")
	asked := 1
	for _, mistake := range []struct{ typed, says string }{
		{"a token, please!", "not a refresh token, a code or an address"},
		{other.String(), "this address belongs to another login"},
		{refused.String(), "Access was not granted"},
		{login.address(), "contains no code"},
		{strings.Repeat("0", 32), "did not accept the code"},
		{"5f00000000000000000000aa|" + strings.Repeat("0", 32), "did not accept the refresh token"},
	} {
		login.types("") // has no effect
		login.types(mistake.typed)
		asked += 2
		login.asks(asked)
		if !strings.Contains(login.Output(), mistake.says) {
			t.Errorf("the output does not contain %q:\n%s", mistake.says, login.Output())
		}
	}
	if _, err := os.Stat(agent.TokenFile()); !os.IsNotExist(err) {
		t.Errorf("there is a token file: %v", err)
	}
	login.types(back.String())
	login.ended(0, "Logged in")
	checkSavedLogin(t, agent, cloud)
}

// Without input, the command does nothing.
func TestLoginCommandGivenUp(t *testing.T) {
	for name, row := range map[string]struct {
		giveUp func(*terminal)
		code   int
		says   string
	}{
		"end of the input": {func(tm *terminal) { tm.input.Close() }, 1, "no login"},
		"Ctrl-C":           {func(tm *terminal) { tm.Signal(syscall.SIGINT) }, 0, "Nothing has changed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			agent, cloud := machine(t)
			login := startLogin(t, agent)
			login.asks(1)
			row.giveUp(login)
			login.ended(row.code, row.says)
			if n := len(cloud.Auth().Stats().Requests); n != 0 {
				t.Errorf("%d kinds of token requests, want none", n)
			}
		})
	}
}

func TestLoginCommandAcceptsARefreshToken(t *testing.T) {
	for name, tt := range map[string]struct {
		typed func(refresh string) string
		code  int
		says  string
	}{
		"good":          {func(r string) string { return r + "\n" }, 0, "Logged in"},
		"in quotes":     {func(r string) string { return `"` + r + "\"\r\n" }, 0, "Logged in"},
		"of another":    {func(string) string { return "5f00000000000000000000aa|" + strings.Repeat("0", 32) }, 1, "did not accept the refresh token"},
		"a code":        {func(string) string { return strings.Repeat("0", 32) + "\n" }, 1, "not a refresh token"},
		"nothing":       {func(string) string { return "" }, 1, "nothing was pasted"},
		"access denied": {func(string) string { return "http://localhost:9210/auth/callback?error=access_denied" }, 1, "Access was not granted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			agent, cloud := machine(t)
			typed := tt.typed(cloud.Auth().Grant(allScopes...).Refresh)
			login := startLogin(t, agent, "--refresh-token", "-")
			if _, err := io.WriteString(login.input, typed); err != nil {
				t.Fatal(err)
			}
			login.input.Close()
			login.ended(tt.code, tt.says)
			if tt.code == 0 {
				checkSavedLogin(t, agent, cloud)
			}
			checkNoSecrets(t, cloud, &Agent{Process: login.Process})
		})
	}
	t.Run("on the command line", func(t *testing.T) {
		t.Parallel()
		agent, cloud := machine(t)
		refresh := cloud.Auth().Grant(allScopes...).Refresh
		login := startLogin(t, agent, "--refresh-token", refresh)
		login.ended(2, "every user of the machine can see command lines")
		checkNoSecrets(t, cloud, &Agent{Process: login.Process})
	})
}

// The waiting agent, with or without pages, adopts the login that the command
// saves.
func TestLoginCommandBesideAWaitingAgent(t *testing.T) {
	for name, listen := range map[string]string{"with pages": "", "without pages": "off"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			agent, cloud := machine(t)
			if listen != "" {
				agent.Env["NETATMO_LISTEN_ADDR"] = listen
			}
			agent.Start()
			agent.WaitLog("a login is needed")
			if listen == "off" && !strings.Contains(agent.Log(), `run="netatmo-agent login"`) {
				t.Error("without pages, the log does not name the command")
			}
			login := startLogin(t, agent)
			login.types(consent(t, login.address()).String())
			login.ended(0, "a running agent picks it up within 5 seconds")
			saved := time.Now()
			agent.Eventually("takes the login up", func() bool { return strings.Contains(agent.Log(), "loaded the login") })
			// The promise is 5 s; the rest is for a busy machine.
			if took := time.Since(saved); took > 8*time.Second {
				t.Errorf("adopted after %v, want 5 s at most", took)
			}
			agent.Eventually("has readings", func() bool { return strings.Contains(agent.Output(), "netatmo.temperature") })
			if n := cloud.Auth().Stats().Refreshes(); n != 0 {
				t.Errorf("%d refreshes, want none", n)
			}
			checkSavedLogin(t, agent, cloud)
			checkNoSecrets(t, cloud, agent)
		})
	}
}

// A user logs in again while the agent works: the agent's login no longer works
// from then on, and it continues with the new one.
func TestLoginCommandBesideAWorkingAgent(t *testing.T) {
	t.Parallel()
	cloud := NewCloud(t, simcloud.Options{Measure: 2 * time.Second, Upload: 4 * time.Second})
	agent := NewAgent(t, cloud.Env().With(Env{"OTEL_METRICS_EXPORTER": "console"}))
	cloud.LogIn(agent, allScopes...)
	agent.Start()
	agent.Eventually("has readings", func() bool { return strings.Contains(agent.Output(), "netatmo.temperature") })

	login := startLogin(t, agent)
	login.types(consent(t, login.address()).String())
	login.ended(0, "Logged in")
	before := cloud.Requests()["getstationsdata"]
	agent.Eventually("continues", func() bool { return cloud.Requests()["getstationsdata"] > before+1 })
	if strings.Contains(agent.Log(), "the login is lost") || loginLink.MatchString(agent.Log()) {
		t.Error("the agent lost its login to the new one")
	}
	if n := cloud.Auth().Stats().Refreshes(); n != 0 {
		t.Errorf("%d refreshes, want none: the new login needs none", n)
	}
	checkSavedLogin(t, agent, cloud)
	checkNoSecrets(t, cloud, agent)
}

// The command does not discard a login that it cannot save.
func TestLoginCommandOnAFullDisk(t *testing.T) {
	t.Parallel()
	agent, cloud := machine(t)
	dir := filepath.Dir(agent.TokenFile())
	p, input := startDialogue(t, agent.Env, "unshare", onSmallDisk(dir, AgentBinary(t), "login")...)
	login := &terminal{p, t, input}
	back := consent(t, login.address())
	disk := diskOf(p, dir)
	empty := fill(t, disk)
	login.types(back.String())
	login.WaitLog("could not be saved", "no space left", "Ctrl-C gives up and loses this login")
	if !login.Running() {
		t.Fatal("it exited without saving the login")
	}
	empty()
	login.ended(0, "Logged in")
	if readLogin(t, disk.FS()).Refresh != cloud.Auth().Current().Refresh {
		t.Error("the login is not on the disk")
	}
	checkNoSecrets(t, cloud, &Agent{Process: p})
}

// A browser and the command, without an agent.
func commandAndBrowser(s *scene) {
	login := startLogin(s.t, s.Agent)
	tab := s.tab()
	tab.Open(login.address())
	login.types(tab.PressInVain(accept))
	login.ended(0, "Logged in")
	s.Start()
	s.loggedIn()
	if loginLink.MatchString(s.Log()) {
		s.t.Error("the agent needs another login")
	}
}
