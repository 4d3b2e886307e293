package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Images builds and runs container images with buildah, which needs no daemon,
// in a separate store. It needs root.
type Images struct {
	t       testing.TB
	options []string
}

// NewImages prepares an empty store.
func NewImages(t testing.TB) *Images {
	t.Helper()
	dir := t.TempDir()
	return &Images{t: t, options: []string{
		"--root", filepath.Join(dir, "root"), "--runroot", filepath.Join(dir, "run"), "--storage-driver", "vfs",
	}}
}

// buildah runs a command and returns its output.
func (im *Images) buildah(args ...string) string {
	im.t.Helper()
	return run(im.t, "buildah", append(im.options, args...)...)
}

func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	var stderr strings.Builder
	cmd := exec.Command(name, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, tail(stderr.String(), 30))
	}
	return strings.TrimSpace(string(out))
}

// StandIn makes a replacement for the image golang, under its name, from this
// machine's busybox, git and CA certificates. It does not contain the Go tree
// and the module cache; Build mounts them.
func (im *Images) StandIn(name string) {
	im.t.Helper()
	container := im.buildah("from", "scratch")
	root := im.buildah("mount", container)
	busybox, git := look(im.t, "busybox"), look(im.t, "git")
	im.copy(busybox, root, "/usr/bin/busybox")
	im.copy("/etc/ssl/certs/ca-certificates.crt", root, "/etc/ssl/certs/ca-certificates.crt")
	for _, file := range append(libraries(im.t, git), git) {
		im.copy(file, root, file)
	}
	for _, dir := range []string{"bin", "root", "tmp", "go", "usr/local/go", "modules"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			im.t.Fatal(err)
		}
	}
	for applet := range strings.FieldsSeq(run(im.t, busybox, "--list")) {
		if err := os.Symlink("/usr/bin/busybox", filepath.Join(root, "bin", applet)); err != nil {
			im.t.Fatal(err)
		}
	}
	passwd := []byte("root:x:0:0::/root:/bin/sh\n") // the build cache is in root's home
	if err := os.WriteFile(filepath.Join(root, "etc/passwd"), passwd, 0o600); err != nil {
		im.t.Fatal(err)
	}
	im.buildah("umount", container)
	im.buildah("config", "--workingdir", "/go",
		"--env", "PATH=/usr/local/go/bin:/usr/bin:/bin", "--env", "GOPATH=/go",
		"--env", "GOTOOLCHAIN=local", "--env", "GOPROXY=file:///modules", container)
	im.buildah("commit", "--quiet", "--rm", container, name)
}

// Build builds the agent's Dockerfile without a network.
func (im *Images) Build(tag string, args ...string) {
	im.t.Helper()
	run(im.t, "go", "-C", Source(im.t), "mod", "download")
	all := append([]string{"--net", "buildah"}, im.options...)
	all = append(all, "bud", "--isolation", "chroot", "--pull-never", "--format", "docker", "--tag", tag,
		"--volume", run(im.t, "go", "env", "GOROOT")+":/usr/local/go:ro",
		"--volume", run(im.t, "go", "env", "GOMODCACHE")+"/cache/download:/modules:ro")
	run(im.t, "unshare", append(append(all, args...), Source(im.t))...)
}

// Container creates a container of an image and returns its name.
func (im *Images) Container(tag string) string {
	im.t.Helper()
	return im.buildah("from", "--pull-never", tag)
}

// Mount returns the root directory of a container.
func (im *Images) Mount(container string) string {
	im.t.Helper()
	return im.buildah("mount", container)
}

// Start runs the entrypoint of a container of the agent's image with arguments,
// variables in addition to the image's, and a directory instead of its volume.
func (im *Images) Start(container string, env Env, volume string, args ...string) *Process {
	im.t.Helper()
	all := append(im.options, "run", "--isolation", "chroot", "--volume", volume+":/var/lib/netatmo-agent")
	for k, v := range env {
		all = append(all, "--env", k+"="+v)
	}
	all = append(all, container, "--", "/netatmo-agent")
	p := startProcess(im.t, Env{"PATH": os.Getenv("PATH"), "HOME": im.t.TempDir()}, look(im.t, "buildah"), append(all, args...)...)
	p.signalled = innermost
	return p
}

// innermost returns the last process in the chain of descendants of pid.
func innermost(pid int) int {
	for {
		lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid)) // any thread may have started it
		child := 0
		for _, list := range lists {
			b, _ := os.ReadFile(list) // a thread that has ended has no list
			for word := range strings.FieldsSeq(string(b)) {
				child, _ = strconv.Atoi(word)
			}
		}
		if child == 0 {
			return pid
		}
		pid = child
	}
}

// copy puts a file of this machine into the tree at root.
func (im *Images) copy(from, root, to string) {
	im.t.Helper()
	to = filepath.Join(root, to)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		im.t.Fatal(err)
	}
	b, err := os.ReadFile(from)
	if err != nil {
		im.t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o755); err != nil {
		im.t.Fatal(err)
	}
}

func look(t testing.TB, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("%v (Debian: apt-get install buildah busybox-static git)", err)
	}
	return path
}

// libraries lists the shared libraries that a program is linked to.
func libraries(t testing.TB, program string) []string {
	t.Helper()
	var files []string
	for word := range strings.FieldsSeq(run(t, "ldd", program)) {
		if filepath.IsAbs(word) {
			files = append(files, word)
		}
	}
	return files
}

// goImage is the image that the Dockerfile builds with.
func goImage(t testing.TB) string {
	t.Helper()
	dockerfile, err := os.ReadFile(Source(t, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(dockerfile)) {
		if fields := strings.Fields(line); len(fields) == 5 && fields[0] == "FROM" && fields[4] == "build" {
			return "docker.io/library/" + fields[2]
		}
	}
	t.Fatal("the Dockerfile has no stage called build")
	return ""
}
