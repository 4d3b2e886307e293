package install

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"netatmo-agent/deploy/e2e"
)

const (
	onDebian = "Debian, Ubuntu, Raspberry Pi OS"
	folder   = "/var/lib/private/netatmo-agent/home/"

	// A login that needs no renewal for years.
	login = `{"access_token":"test-access","refresh_token":"test-refresh","expiry":"2099-01-01T00:00:00Z"}`
	// What a later version may have written.
	marks = `{"instance_id":"0b0f3a5e-3a51-4b6c-9d5e-1c3c1f1d2e3f","marks":{"70:ee:50:00:00:01":"2026-01-02T03:04:05Z"},"cadences":{"70:ee:50:00:00:01":600},"of_a_later_version":{"x":1}}`
)

// installed is a machine on which a user has followed the guide, with the files
// of the release in root's home, and then logged in.
func installed(t *testing.T, free string) *machine {
	t.Helper()
	m := newMachine(t, free)
	m.write("/etc/apt/apt.conf.d/yes", `APT::Get::Assume-Yes "true";`) // the guide's reader answers the question
	m.bring(only(t, release(t), "*_amd64.deb"), filepath.Join(release(t), "SHA256SUMS"), upgrade(t))
	for _, block := range section(t, "install.md", onDebian) {
		m.run(block)
	}
	m.until("journalctl --unit netatmo-agent@home", "?key=")
	m.run("systemctl stop netatmo-agent@home")
	m.write(folder+"token.json", login)
	m.write(folder+"state.json", marks)
	m.run("chown --reference=" + folder + " " + folder + "*.json && chmod 600 " + folder + "*.json && systemctl start netatmo-agent@home")
	m.running()
	return m
}

// running waits until the instance runs and has loaded the login.
func (m *machine) running() {
	m.t.Helper()
	m.until("systemctl show --property ActiveState netatmo-agent@home", "=active")
	m.until("journalctl --unit netatmo-agent@home _SYSTEMD_INVOCATION_ID=$(systemctl show --value --property InvocationID netatmo-agent@home)", "pushing")
}

// keepsLogin checks that the login is unchanged.
func (m *machine) keepsLogin() {
	m.t.Helper()
	var want, got map[string]string
	text := m.run("cat " + folder + "token.json")
	if err := errors.Join(json.Unmarshal([]byte(text), &got), json.Unmarshal([]byte(login), &want)); err != nil || !maps.Equal(got, want) {
		m.t.Errorf("the login is now %s, %v", text, err)
	}
}

// keepsAll checks that the login and the marks are unchanged.
func (m *machine) keepsAll() {
	m.t.Helper()
	m.keepsLogin()
	var want, got struct {
		Instance string            `json:"instance_id"`
		Marks    map[string]string `json:"marks"`
	}
	text := m.run("cat " + folder + "state.json")
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		m.t.Fatalf("state.json: %v\n%s", err, text)
	}
	if err := json.Unmarshal([]byte(marks), &want); err != nil {
		m.t.Fatal(err)
	}
	if got.Instance != want.Instance || len(got.Marks) != 1 || got.Marks["70:ee:50:00:00:01"] != want.Marks["70:ee:50:00:00:01"] {
		m.t.Errorf("the marks are now %s", text)
	}
}

// runs checks the version of the installed and of the running program.
func (m *machine) runs(version string) {
	m.t.Helper()
	if got := m.run("netatmo-agent version"); !strings.Contains(got, "v"+version+" ") {
		m.t.Errorf("installed is %s, want %s", got, version)
	}
	got := m.run("$(readlink --canonicalize /proc/$(systemctl show --value --property MainPID netatmo-agent@home)/exe) version")
	if !strings.Contains(got, "v"+version+" ") {
		m.t.Errorf("running is %s, want %s", got, version)
	}
}

// A user who follows the guides installs, upgrades, rolls back and removes the
// agent, and never loses the login.
func TestGuidesOnADebian(t *testing.T) {
	m := installed(t, "400m")
	m.runs(version)
	m.keepsAll()
	if out := m.run("dpkg --verify netatmo-agent"); out != "" {
		t.Errorf("files are not as packed:\n%s", out)
	}
	unit := "/usr/lib/systemd/system/netatmo-agent@.service"
	if out := m.run("systemd-analyze verify --man=no netatmo-agent@home.service"); out != "" {
		t.Error(out)
	}
	m.run("systemd-analyze security --offline=true --no-pager --threshold=13 " + unit)

	commands := section(t, "upgrade.md", "")
	m.run(commands[0])
	m.running()
	m.runs(newer)
	m.keepsAll()
	m.run(commands[1])
	m.running()
	m.runs(version)
	m.keepsAll()

	out := m.run(commands[2])
	if len(commands) != 3 || !strings.Contains(out, "/var/lib/private/netatmo-agent is kept") {
		t.Errorf("purge does not say where the login is:\n%s", out)
	}
	m.keepsAll()
	if out, err := m.try("systemctl is-active netatmo-agent@home"); err == nil {
		t.Errorf("the instance is %s", out)
	}
	if out := m.run("ls /etc/netatmo-agent; ls /etc/systemd/system/multi-user.target.wants"); !strings.Contains(out, "home.secret") || strings.Contains(out, "netatmo-agent") {
		t.Errorf("settings and links after the purge:\n%s", out)
	}
	m.run("apt-get install ./netatmo-agent_0.1.0-1_amd64.deb && systemctl enable --now netatmo-agent@home")
	m.running()
	m.keepsAll()
}

// The commands of the guide for one instance get its user, files and secret.
func TestGuideRunsCommandsForAnInstance(t *testing.T) {
	m := installed(t, "400m")
	blocks := section(t, "containers.md", "systemd")
	function := blocks[len(blocks)-1]
	out, err := m.try(function)
	if err != nil || !strings.Contains(out, "/var/lib/netatmo-agent/home/token.json") {
		t.Errorf("check: %v\n%s", err, out)
	}
	define, _, _ := strings.Cut(function, "\ninstance home")
	out, err = m.try(define + "\necho | instance home login")
	if !strings.Contains(out, "http://localhost:9210/auth/callback") {
		t.Errorf("login: %v\n%s", err, out)
	}
	if owners := strings.Fields(m.run("stat --format=%u " + folder + "token.json /proc/$(systemctl show --value --property MainPID netatmo-agent@home)")); len(owners) != 2 || owners[0] != owners[1] {
		t.Errorf("owner of the login, and user of the instance: %v", owners)
	}
	m.run("systemctl is-active netatmo-agent@home")
	m.keepsAll()
}

// A move to another machine, as in the guide.
func TestGuideMovesAnAgent(t *testing.T) {
	m := installed(t, "400m")
	blocks := section(t, "backup.md", "")
	m.run(blocks[0])
	m.run("rm -r /etc/netatmo-agent/* " + folder)
	m.run(blocks[1])
	m.running()
	m.keepsAll()
}

func TestUpgradeOnAFullDisk(t *testing.T) {
	m := installed(t, "400m")
	m.run("dd if=/dev/zero of=/var/tmp/filler bs=1M 2>/dev/null || true; truncate --size=-3M /var/tmp/filler")
	out, err := m.try("dpkg --install netatmo-agent_0.2.0-1_amd64.deb")
	if err == nil || !strings.Contains(out, "No space left on device") {
		t.Errorf("error %v and this output, want one about the disk:\n%s", err, out)
	}
	m.running()
	m.runs(version)
	m.keepsAll()
	m.run("rm /var/tmp/filler && dpkg --install netatmo-agent_0.2.0-1_amd64.deb")
	m.running()
	m.runs(newer)
	m.keepsAll()
}

func TestPackageForTheWrongProcessor(t *testing.T) {
	m := installed(t, "400m")
	m.bring(only(t, release(t), "*_arm64.deb"))
	out, err := m.try("dpkg --install netatmo-agent_0.1.0-1_arm64.deb")
	if err == nil || !strings.Contains(out, "package architecture (arm64) does not match system (amd64)") {
		t.Errorf("error %v and this output, want one about the processor:\n%s", err, out)
	}
	m.running()
	m.runs(version)
	m.keepsAll()
}

// A state file that this version cannot read is kept, and so is the login.
func TestDowngradeOverAStateFileOfALaterVersion(t *testing.T) {
	m := installed(t, "400m")
	const later = `{"format":2,"marks":[{"module":"70:ee:50:00:00:01","until":"2026-01-02T03:04:05Z"}]}`
	m.run("systemctl stop netatmo-agent@home")
	m.write(folder+"state.json", later)
	m.run("chown --reference=" + folder + " " + folder + "state.json; systemctl start netatmo-agent@home")
	m.running()
	if out := m.run("journalctl --unit netatmo-agent@home"); !strings.Contains(out, "the state file is damaged") {
		t.Errorf("the log does not say that the state file cannot be read:\n%s", out)
	}
	if out := m.run("cat " + folder + "state.json.bad-*"); !strings.Contains(out, later) {
		t.Errorf("the state file is not kept: %s", out)
	}
	m.keepsLogin()
}

func TestInstallFromARepository(t *testing.T) {
	m := newMachine(t, "400m")
	dir := t.TempDir()
	run(t, dir, "cp", only(t, release(t), "*_amd64.deb"), dir)
	run(t, dir, "sh", "-c", "apt-ftparchive packages . >Packages && apt-ftparchive release . >Release")
	m.run("rm -r /etc/apt/sources.list* && mkdir -p /srv/repo && echo 'deb [trusted=yes] file:/srv/repo ./' >/etc/apt/sources.list")
	for _, name := range []string{"Packages", "Release", "netatmo-agent_0.1.0-1_amd64.deb"} {
		m.bring(filepath.Join(dir, name))
		m.run("mv /root/" + name + " /srv/repo/")
	}
	m.run("apt-get update && apt-get install --yes netatmo-agent && netatmo-agent demo --for 5s")
	m.run("systemctl enable netatmo-agent@home && test -L /etc/systemd/system/multi-user.target.wants/netatmo-agent@home.service")
}

// The RPM installs, its files are as packed, and its signature is checked.
func TestRPM(t *testing.T) {
	rpm := only(t, release(t), "*.x86_64.rpm")
	root := t.TempDir()
	run(t, "", "rpm", "--root", root, "--initdb")
	run(t, "", "rpm", "--root", root, "--install", "--nodeps", "--noscripts", rpm)
	run(t, "", "rpm", "--root", root, "--verify", "--nodeps", "netatmo-agent")
	if out := run(t, "", filepath.Join(root, "usr/bin/netatmo-agent"), "version"); !strings.Contains(out, "v"+version) {
		t.Error(out)
	}
	if out := run(t, "", "rpm", "--query", "--package", "--scripts", rpm); !strings.Contains(out, "try-restart 'netatmo-agent@*.service'") {
		t.Errorf("scripts:\n%s", out)
	}
	signed := only(t, filepath.Dir(upgrade(t)), "*.x86_64.rpm")
	keys := t.TempDir()
	run(t, "", "rpm", "--dbpath", keys, "--initdb")
	if out, err := try("", "rpm", "--dbpath", keys, "--checksig", signed); err == nil {
		t.Errorf("a signature is accepted without its key: %s", out)
	}
	run(t, "", "rpm", "--dbpath", keys, "--import", filepath.Join(shared, "key.pub"))
	if out := run(t, "", "rpm", "--dbpath", keys, "--checksig", signed); !strings.Contains(out, "digests signatures OK") {
		t.Error(out)
	}
}

// signingKey makes a key for one day, and signs releases with it.
func signingKey(t *testing.T) {
	t.Helper()
	home := filepath.Join(shared, "gpg")
	if err := os.MkdirAll(home, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GNUPGHOME", home)
	run(t, "", "gpg", "--batch", "--passphrase", "", "--quick-gen-key", "test <test@example.org>", "rsa3072", "sign", "1d")
	run(t, "", "gpg", "--batch", "--armor", "--output", filepath.Join(shared, "key.pub"), "--export")
	run(t, "", "gpg", "--batch", "--armor", "--output", filepath.Join(shared, "key.asc"), "--export-secret-keys")
	t.Setenv("RPM_SIGNING_KEY", filepath.Join(shared, "key.asc"))
}

// The guide's commands for a fork and a newer Go.
func TestGuideForAFork(t *testing.T) {
	dir := t.TempDir()
	repository(t, dir, version)
	t.Setenv("GOFLAGS", "-trimpath -buildvcs=false")
	for _, block := range section(t, "install.md", "From source, and in a fork") {
		run(t, dir, "bash", "-euo", "pipefail", "-c", block)
	}
	if out := run(t, dir, "./netatmo-agent", "version"); !strings.Contains(out, "netatmo-agent") {
		t.Error(out)
	}
	if out := run(t, dir, "go", "list", "./..."); strings.Contains("\n"+out, "\nnetatmo-agent") {
		t.Errorf("packages with the old name are left:\n%s", out)
	}
}

// Everything that is released is built by the same Go.
func TestOneGoEverywhere(t *testing.T) {
	b, err := os.ReadFile(e2e.Source(t, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(b), "\ntoolchain go")
	goVersion, _, _ := strings.Cut(rest, "\n")
	if !ok || strings.Count(goVersion, ".") != 2 {
		t.Fatalf("go.mod names the toolchain %q", goVersion)
	}
	for file, want := range map[string]string{
		"Dockerfile":                    " golang:" + goVersion + " AS build",
		".github/workflows/ci.yml":      "image: golang:" + goVersion + "-bookworm",
		".github/workflows/release.yml": "image: golang:" + goVersion + "-bookworm",
		"deploy/install.md":             "toolchain@go" + goVersion,
	} {
		b, err := os.ReadFile(e2e.Source(t, file))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(b), want) {
			t.Errorf("%s does not have %q", file, want)
		}
	}
}

// The agent tells systemd when it has started and its state, and systemd
// restarts an agent that hangs.
func TestSystemdWatchesTheAgent(t *testing.T) {
	m := installed(t, "400m")
	m.until("systemctl show --property StatusText netatmo-agent@home", "logged in")
	m.run("mkdir /etc/systemd/system/netatmo-agent@home.service.d && printf '[Service]\nWatchdogSec=5s\nRestartSec=1\n' >/etc/systemd/system/netatmo-agent@home.service.d/test.conf && systemctl daemon-reload && systemctl restart netatmo-agent@home")
	m.running()
	m.run("kill -STOP $(systemctl show --value --property MainPID netatmo-agent@home)")
	m.until("systemctl show --property NRestarts netatmo-agent@home", "=1")
	m.running()
	m.keepsAll()
}
