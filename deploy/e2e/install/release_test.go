package install

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"netatmo-agent/deploy/e2e"
)

const (
	version = "0.1.0"
	newer   = "0.2.0"
)

// run runs a program and returns its output.
func run(t *testing.T, dir, program string, args ...string) string {
	t.Helper()
	out, err := try(dir, program, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return out
}

func try(dir, program string, args ...string) (output string, err error) {
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// repository is a clone of the tree under test, including uncommitted changes,
// as one commit with the tag of a version. Two clones have the same commit.
func repository(t *testing.T, dir, version string) {
	t.Helper()
	source := e2e.Source(t)
	names := run(t, source, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	for name := range strings.SplitSeq(strings.Trim(names, "\x00"), "\x00") {
		from, to := filepath.Join(source, name), filepath.Join(dir, name)
		info, err := os.Stat(from)
		if errors.Is(err, os.ErrNotExist) {
			continue // deleted, but not in git yet
		}
		b, err2 := os.ReadFile(from)
		if err := errors.Join(err, err2, os.MkdirAll(filepath.Dir(to), 0o755)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, b, info.Mode().Perm()); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("GIT_AUTHOR_DATE", "2026-01-02T03:04:05Z")
	t.Setenv("GIT_COMMITTER_DATE", "2026-01-02T03:04:05Z")
	git := []string{"-c", "user.name=test", "-c", "user.email=test@example.org"}
	run(t, dir, "git", "init", "--quiet", "--initial-branch=main")
	run(t, dir, "git", "add", "--all")
	run(t, dir, "git", append(git, "commit", "--quiet", "--message="+version)...)
	run(t, dir, "git", "tag", "v"+version)
}

// build builds a release in a separate clone, and returns its dist.
func build(t *testing.T, dir, version string, targets ...string) (dist string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	repository(t, dir, version)
	t.Log(run(t, dir, "deploy/release/build", append([]string{version}, targets...)...))
	return filepath.Join(dir, "dist")
}

var (
	shared    string // folder for all tests, see TestMain
	onceFor   sync.Mutex
	haveBuilt = map[string]string{}
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "release-")
	if err != nil {
		panic(err)
	}
	shared = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// release is the whole release 0.1.0.
func release(t *testing.T) string {
	t.Helper()
	return builtOnce(t, version)
}

// upgrade is the package of the next release, for this machine.
func upgrade(t *testing.T) string {
	t.Helper()
	return only(t, builtOnce(t, newer, "linux/amd64"), "*_amd64.deb")
}

func builtOnce(t *testing.T, version string, targets ...string) string {
	t.Helper()
	onceFor.Lock()
	defer onceFor.Unlock()
	if _, ok := haveBuilt[version]; !ok {
		if version == newer {
			signingKey(t)
		}
		haveBuilt[version] = build(t, filepath.Join(shared, version), version, targets...)
	}
	return haveBuilt[version]
}

// only returns the one file of a folder that matches a pattern.
func only(t *testing.T, dir, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s in %s: %v, %v", pattern, dir, found, err)
	}
	return found[0]
}

// sums returns the lines of SHA256SUMS by file name.
func sums(t *testing.T, dist string) map[string]string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dist, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for line := range strings.Lines(string(b)) {
		fields := strings.Fields(line)
		all[fields[1]] = fields[0]
	}
	return all
}

func TestTwoBuildsAreTheSame(t *testing.T) {
	first := sums(t, release(t))
	other := sums(t, build(t, filepath.Join(t.TempDir(), "another", "path", "to it"), version))
	for _, name := range slices.Sorted(maps.Keys(first)) {
		if first[name] != other[name] {
			t.Errorf("%s differs", name)
		}
	}
	if !slices.Equal(slices.Sorted(maps.Keys(first)), slices.Sorted(maps.Keys(other))) {
		t.Errorf("other files: %v", slices.Sorted(maps.Keys(other)))
	}
}

func TestReleaseIsComplete(t *testing.T) {
	dist := release(t)
	run(t, dist, "sha256sum", "--check", "--strict", "SHA256SUMS")
	want := []string{
		"netatmo-agent_0.1.0-1_amd64.deb", "netatmo-agent_0.1.0-1_arm64.deb", "netatmo-agent_0.1.0-1_armhf.deb", "netatmo-agent_0.1.0-1_riscv64.deb",
		"netatmo-agent-0.1.0-1.x86_64.rpm", "netatmo-agent-0.1.0-1.aarch64.rpm", "netatmo-agent-0.1.0-1.armv7hl.rpm", "netatmo-agent-0.1.0-1.riscv64.rpm",
		"netatmo-agent_0.1.0_images.oci.tar", "netatmo-agent-0.1.0.tgz", "image-tags",
	}
	linux := []string{"LICENSE", "THIRD-PARTY.txt", "README.md", "CHANGELOG.md", "netatmo-agent", "netatmo-agent.1", "netatmo-agent@.service", "home.env",
		"completions/netatmo-agent.bash", "completions/netatmo-agent.zsh", "completions/netatmo-agent.fish"}
	for target, files := range map[string][]string{
		"linux_amd64": linux, "linux_arm64": linux, "linux_arm_7": linux, "linux_arm_6": linux, "linux_riscv64": linux,
		"darwin_amd64":  {"netatmo-agent", "netatmo-agent.1", "netatmo-agent.plist", "LICENSE", "THIRD-PARTY.txt", "completions/netatmo-agent.zsh"},
		"windows_amd64": {"netatmo-agent.exe", "LICENSE", "THIRD-PARTY.txt", "README.md", "CHANGELOG.md", "task.ps1", "completions/netatmo-agent.ps1"},
		"darwin_arm64":  {"netatmo-agent", "netatmo-agent.1", "netatmo-agent.plist", "LICENSE", "THIRD-PARTY.txt", "completions/netatmo-agent.zsh"},
	} {
		name := "netatmo-agent_0.1.0_" + target
		archive := name + ".tar.gz"
		if strings.HasPrefix(target, "windows") {
			archive = name + ".zip"
		}
		want = append(want, archive, name+".cdx.json")
		have := entries(t, filepath.Join(dist, archive))
		for _, file := range files {
			if !slices.Contains(have, name+"/"+file) {
				t.Errorf("%s has no %s, but %v", archive, file, have)
			}
		}
		checkParts(t, filepath.Join(dist, name+".cdx.json"))
	}
	slices.Sort(want)
	if have := slices.Sorted(maps.Keys(sums(t, dist))); !slices.Equal(have, want) {
		t.Errorf("files %v\nwant %v", have, want)
	}
}

// entries returns the names of files in a .tar.gz or .zip.
func entries(t *testing.T, archive string) (names []string) {
	t.Helper()
	b, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(archive, ".zip") {
		z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range z.File {
			names = append(names, f.Name)
		}
		return names
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(unzipped); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return names
		} else if err != nil {
			t.Fatal(err)
		}
		names = append(names, header.Name)
	}
}

// checkParts checks a list of components: CycloneDX, for this version, with the
// agent's dependencies.
func checkParts(t *testing.T, file string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		Format     string `json:"bomFormat"`
		Components []struct{ Name string }
		Metadata   struct {
			Component struct{ Name, Version string }
		}
	}
	if err := json.Unmarshal(b, &list); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	found := false
	for _, c := range list.Components {
		found = found || c.Name == "go.opentelemetry.io/otel/sdk"
	}
	if list.Format != "CycloneDX" || list.Metadata.Component.Version != "v"+version || !found {
		t.Errorf("%s: format %q, component %+v, OpenTelemetry's SDK in it: %v", filepath.Base(file), list.Format, list.Metadata.Component, found)
	}
}

// An invalid request exits with 2 and says what to do.
func TestBuildRefusesWrongRequests(t *testing.T) {
	dir := t.TempDir()
	repository(t, dir, version)
	for _, tt := range []struct {
		name, want string
		args       []string
	}{
		{"no version", "which version?", nil},
		{"a word", `"banana" is not a version`, []string{"banana"}},
		{"a v in front", `"v0.1.0" is not a version`, []string{"v0.1.0"}},
		{"two numbers", `"0.1" is not a version`, []string{"0.1"}},
		{"a zero in front", `"0.01.0" is not a version`, []string{"0.01.0"}},
		{"a command", `is not a version`, []string{"0.1.0;reboot"}},
		{"another version than the tag's", "HEAD does not have the tag v0.3.0", []string{"0.3.0"}},
		{"an unknown target", `there is no target "linux/vax"`, []string{version, "linux/vax"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			refuses(t, dir, tt.want, tt.args...)
		})
	}
	t.Run("changes that are not committed", func(t *testing.T) {
		if err := os.WriteFile(filepath.Join(dir, "new.txt"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		refuses(t, dir, "the working tree has changes", version)
	})
}

func refuses(t *testing.T, dir, want string, args ...string) {
	t.Helper()
	out, err := try(dir, "deploy/release/build", args...)
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.ExitCode() != 2 || !strings.Contains(out, want) || strings.Count(out, "\n") != 1 {
		t.Errorf("error %v and this output, want exit code 2 and one line with %q:\n%s", err, want, out)
	}
}
