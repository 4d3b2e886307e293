package install

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"netatmo-agent/deploy/e2e"
)

// patience is how long a test waits for something that takes a moment.
const patience = 90 * time.Second

// debian is a folder with a small Debian. The first call on a machine creates
// it with debootstrap, from the mirror of the machine's own package sources;
// later calls find it in the user's cache directory. It is never changed.
func debian(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	const suite = "bookworm"
	root := filepath.Join(cache, "netatmo-agent-ci", "debian-"+suite+"-2")
	if _, err := os.Stat(root); err == nil {
		return root
	}
	mirror := "http://deb.debian.org/debian"
	targets, _ := try("", "apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages")
	for line := range strings.Lines(targets) {
		if fields := strings.Fields(line); len(fields) == 2 && fields[1] == suite {
			mirror = fields[0]
		}
	}
	fresh := fmt.Sprintf("%s.%d", root, os.Getpid())
	if err := os.MkdirAll(filepath.Dir(fresh), 0o755); err != nil {
		t.Fatal(err)
	}
	run(t, "", "debootstrap", "--variant=minbase", "--include=systemd,dbus,ca-certificates", suite, fresh, mirror)
	if err := os.Rename(fresh, root); err != nil {
		t.Fatal(err)
	}
	return root
}

// machine is a newly installed Debian, with systemd running and without a
// network. Changes are lost when the test ends.
type machine struct {
	t      *testing.T
	root   string
	leader int // its first process
	log    *bytes.Buffer
}

// newMachine starts a machine whose disk has this number of bytes free.
func newMachine(t *testing.T, free string) *machine {
	t.Helper()
	dir := t.TempDir()
	disk, root := filepath.Join(dir, "disk"), filepath.Join(dir, "root")
	for _, d := range []string{disk, root} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	mount(t, "tmpfs", disk, "tmpfs", "size="+free+",mode=755")
	for _, d := range []string{"upper", "work"} {
		if err := os.Mkdir(filepath.Join(disk, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	mount(t, "overlay", root, "overlay", "lowerdir="+debian(t)+",upperdir="+disk+"/upper,workdir="+disk+"/work")
	m := &machine{t: t, root: root, log: &bytes.Buffer{}}
	m.boot()
	return m
}

func mount(t *testing.T, source, target, kind, options string) {
	t.Helper()
	if err := syscall.Mount(source, target, kind, 0, options); err != nil {
		t.Fatalf("mount %s: %v", target, err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(target, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", target, err)
		}
	})
}

func (m *machine) boot() {
	m.t.Helper()
	cmd := exec.Command("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network", "--console=pipe",
		"--machine=netatmo", "--directory="+m.root, "--boot", "systemd.unit=multi-user.target")
	cmd.Stdout, cmd.Stderr = m.log, m.log
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() {
		_ = syscall.Kill(m.leader, syscall.SIGKILL) // when the first process ends, all others do
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		if m.leader = childOf(cmd.Process.Pid); m.leader != 0 {
			if out, _ := m.try("systemctl is-system-running"); strings.Contains(out, "running") || strings.Contains(out, "degraded") {
				return
			}
		}
		if time.Now().After(deadline) {
			m.t.Fatalf("the machine does not start:\n%s", m.log)
		}
	}
}

// childOf is the first process that another one has started.
func childOf(pid int) int {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, list := range lists {
		b, _ := os.ReadFile(list)
		for word := range strings.FieldsSeq(string(b)) {
			child, _ := strconv.Atoi(word)
			return child
		}
	}
	return 0
}

// try runs a script in the machine, as root in its home.
func (m *machine) try(script string) (output string, err error) {
	m.t.Helper()
	cmd := exec.Command("nsenter", "--target", strconv.Itoa(m.leader), "--mount", "--uts", "--ipc", "--net", "--pid", "--root",
		"/usr/bin/env", "--ignore-environment", "--chdir=/root", "HOME=/root", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive", "bash", "-euo", "pipefail", "-c", script)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// run is try for a script that must succeed.
func (m *machine) run(script string) string {
	m.t.Helper()
	out, err := m.try(script)
	if err != nil {
		m.t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return out
}

// until repeats a script until it prints a text.
func (m *machine) until(script, want string) {
	m.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(200 * time.Millisecond) {
		out, _ := m.try(script)
		if strings.Contains(out, want) {
			return
		}
		if time.Now().After(deadline) {
			log, _ := m.try("journalctl --no-pager --lines=20")
			m.t.Fatalf("%s does not print %q:\n%s\nlog:\n%s", script, want, out, log)
		}
	}
}

// bring copies files into root's home.
func (m *machine) bring(files ...string) {
	m.t.Helper()
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			m.t.Fatal(err)
		}
		m.write("/root/"+filepath.Base(file), string(b))
	}
}

func (m *machine) write(path, text string) {
	m.t.Helper()
	cmd := exec.Command("nsenter", "--target", strconv.Itoa(m.leader), "--mount", "--root", "/usr/bin/tee", path)
	cmd.Stdin = strings.NewReader(text)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		m.t.Fatalf("write %s: %v\n%s", path, err, &stderr)
	}
}

// section returns the commands of a guide under one heading.
func section(t *testing.T, page, title string) []string {
	t.Helper()
	b, err := os.ReadFile(e2e.Source(t, "deploy", page))
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	here, open := title == "", false
	for line := range strings.Lines(string(b)) {
		switch {
		case open && line == "```\n":
			open = false
		case open:
			blocks[len(blocks)-1] += line
		case strings.HasPrefix(line, "```sh"):
			if open = here; open {
				blocks = append(blocks, "")
			}
		case strings.HasPrefix(line, "#"):
			here = title == "" || strings.TrimSpace(strings.TrimLeft(line, "#")) == title
		}
	}
	if len(blocks) == 0 {
		t.Fatalf("%s has no commands under %q", page, title)
	}
	return blocks
}
