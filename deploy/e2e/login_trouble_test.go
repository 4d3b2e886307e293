package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func redirectURIMismatch(s *scene) {
	link, tab := s.start(), s.tab()
	tab.Open(link)
	p := tab.Press(button)
	s.says(p, 403, "The redirect URI does not match", "dev.netatmo.com", "exactly", s.external()+"/auth/callback")
	s.look(tab, "redirect URI")
	s.notLoggedIn()
}

// A login without the scope of a device family: the pages open for it, while
// the other family continues.
func scopeMissing(s *scene) {
	s.cloud.LogIn(s.Agent, "read_station")
	link := s.start()
	if line := lineWith(s.Log(), link); !strings.Contains(line, "read_homecoach") {
		s.t.Errorf("the line with the link does not name the scope: %s", line)
	}
	tab := s.tab()
	s.says(tab.Open(link), 200, "Grant one more permission", "lacks read_homecoach", "Permission missing")
	s.look(tab, "scope missing")
	before := s.cloud.Requests()["getstationsdata"]
	s.Eventually("continues with the stations", func() bool { return s.cloud.Requests()["getstationsdata"] > before+1 })
	if strings.Contains(s.Output(), "module.type=home_coach") {
		s.t.Fatal("there is a reading of a home coach without its scope")
	}

	tab.Press(button)
	s.says(tab.Press(accept), 200, "Done. You are logged in")
	s.Eventually("has readings of the home coach", func() bool { return strings.Contains(s.Output(), "module.type=home_coach") })
	s.says(tab.Open(link), 200, "Connected to Netatmo")
	s.loggedIn()
}

func lineWith(text, part string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(line, part) {
			return line
		}
	}
	return ""
}

// The disk becomes full after the start, so that the first login cannot be
// saved. The page does not claim otherwise, and once the disk has space,
// pressing the button again helps.
func diskFull(s *scene) {
	s.Process = startProcess(s.t, s.Env, "unshare", onSmallDisk(filepath.Dir(s.TokenFile()), AgentBinary(s.t))...)
	link, tab := s.link(), s.tab()
	disk := diskOf(s.Process, filepath.Dir(s.TokenFile()))
	s.disk = disk.FS()
	empty := fill(s.t, disk)

	tab.Open(link)
	tab.Press(button)
	p := tab.Press(accept)
	s.says(p, 500, "Logged in, but the login could not be saved", "no space left", s.TokenFile(), "Not saved")
	if strings.Contains(p.Text, "no such file") {
		s.t.Errorf("the page names a wrong cause:\n%s", p.Text)
	}
	s.look(tab, "not saved")
	s.notLoggedIn()
	s.WaitLog("level=ERROR", "exists only in memory")
	s.Eventually("works with the login nevertheless", func() bool { return strings.Contains(s.Output(), "netatmo.temperature") })

	tab.Press(button)
	s.says(tab.Press(accept), 500, "cannot be saved, so Netatmo was not asked")
	if n := s.tokenRequests(); n != 1 {
		s.t.Errorf("%d token requests, want one: a login that cannot be saved would invalidate the last one", n)
	}
	tab.Press(button)
	empty()
	// The agent may save the login at this moment, so that nothing is left to
	// do. Either way the browser ends on a page that says so.
	p = tab.Press(accept)
	s.says(p, 200)
	if tab.Count(".tick") != 1 || tab.Count(anyControl) != 0 {
		s.t.Errorf("the page says:\n%s", p.Text)
	}
	s.loggedIn()
	s.WaitLog("saving the login works again")
}

// onSmallDisk returns the arguments with which unshare(1) starts a program that
// sees an empty disk of 64 KiB at a directory. Other processes do not see it.
func onSmallDisk(dir, program string, args ...string) []string {
	script := `mkdir -p "$0" && mount -t tmpfs -o size=64k none "$0" && exec "$@"`
	return append([]string{"--mount", "/bin/sh", "-c", script, dir, program}, args...)
}

// diskOf opens a directory as another process sees it. It stays open after that
// process has exited.
func diskOf(p *Process, dir string) *os.Root {
	p.t.Helper()
	root, err := os.OpenRoot(fmt.Sprintf("/proc/%d/root%s", p.cmd.Process.Pid, dir))
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { root.Close() })
	return root
}

// fill leaves no space on a disk, and returns a function that undoes that.
func fill(t *testing.T, disk *os.Root) (empty func()) {
	t.Helper()
	if err := disk.WriteFile("filler", make([]byte, 1<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	return func() {
		t.Helper()
		if err := disk.Remove("filler"); err != nil {
			t.Fatal(err)
		}
	}
}
