package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"netatmo-agent/agent/simcloud"
)

// Missing directories are created with access for the agent's user only.
func TestDirectoryThatDoesNotExist(t *testing.T) {
	t.Parallel()
	r := newRig(t, simcloud.Options{})
	path := filepath.Join(r.Home, "a", "b", "login.json")
	r.Env["NETATMO_TOKEN_FILE"] = path
	r.start()
	r.LoginLink()
	for _, dir := range []string{filepath.Dir(path), filepath.Dir(filepath.Dir(path))} {
		if mode := stat(t, dir).Mode(); mode != os.ModeDir|0o700 {
			t.Errorf("%s has mode %v, want 0700", dir, mode)
		}
	}
	r.Authorise()
	if mode := stat(t, path).Mode(); mode != 0o600 {
		t.Errorf("the token file has mode %v, want 0600", mode)
	}
	if !parse(read(t, path)).holds(r.cloud.Auth().Current()) {
		t.Error("the login is not on the disk")
	}
}

// Links are followed and remain links.
func TestLinks(t *testing.T) {
	for name, link := range map[string]func(r *rig) (target string){
		"absolute": func(r *rig) string {
			target := filepath.Join(r.Home, "elsewhere", "token.json")
			must(r.t, os.Symlink(target, r.TokenFile()))
			return target
		},
		"relative, in two steps": func(r *rig) string {
			must(r.t, os.Symlink("../step", r.TokenFile()))
			must(r.t, os.Symlink("elsewhere/token.json", filepath.Join(r.Home, "step")))
			return filepath.Join(r.Home, "elsewhere", "token.json")
		},
		"of the directory": func(r *rig) string {
			must(r.t, os.Remove(filepath.Dir(r.TokenFile())))
			must(r.t, os.Symlink("elsewhere", filepath.Dir(r.TokenFile())))
			return filepath.Join(r.Home, "elsewhere", "token.json")
		},
	} {
		for _, there := range []bool{true, false} {
			t.Run(name+map[bool]string{true: "", false: ", dangling"}[there], func(t *testing.T) {
				t.Parallel()
				r := newRig(t, simcloud.Options{})
				must(t, os.Mkdir(filepath.Dir(r.TokenFile()), 0o700))
				target := link(r)
				must(t, os.Mkdir(filepath.Dir(target), 0o700))
				if there {
					r.putAt(target, r.grant(-time.Hour), 0o600)
				}
				links := symlinks(t, r.Home)
				r.start()
				if there {
					r.works()
				} else {
					r.worksAfterLogin()
				}
				r.stop()
				if after := symlinks(t, r.Home); after != links {
					t.Errorf("links now:\n%s\nbefore:\n%s", after, links)
				}
				if info, err := os.Lstat(target); err != nil || info.Mode() != 0o600 || !parse(read(t, target)).holds(r.cloud.Auth().Current()) {
					t.Errorf("the login is not at the end of the link: %v", err)
				}
			})
		}
	}
}

// symlinks lists the links below dir.
func symlinks(t *testing.T, dir string) string {
	t.Helper()
	var links []string
	for line := range strings.Lines(listTree(t, dir)) {
		if strings.HasPrefix(line, "L") {
			_, path, _ := strings.Cut(strings.TrimSpace(line), " ")
			to, err := os.Readlink(path)
			must(t, err)
			links = append(links, path+" -> "+to)
		}
	}
	return strings.Join(links, "\n")
}

// A file that others can read becomes private, and the log says so.
func TestModeIsNarrowed(t *testing.T) {
	for _, mode := range []os.FileMode{0o644, 0o666, 0o640, 0o777} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, simcloud.Options{})
			r.putAt(r.TokenFile(), r.grant(time.Hour), mode)
			r.start()
			r.works()
			r.WaitLog("level=WARN", "0600", fmt.Sprintf("mode=%04o", mode))
			if got := stat(t, r.TokenFile()).Mode(); got != 0o600 {
				t.Errorf("the token file has mode %v, want 0600", got)
			}
		})
	}
}

// A file of another user: root leaves it to that user; others warn and continue
// if the directory allows it.
func TestOwnerIsAnother(t *testing.T) {
	for name, tt := range map[string]struct {
		prepare func(r *rig)
		owner   uint32 // afterwards
	}{
		"root finds a user's file": {
			func(r *rig) { must(r.t, os.Chown(r.TokenFile(), nobody, nobody)) },
			nobody,
		},
		"a user finds root's file": {
			func(r *rig) {
				r.asNobody()
				must(r.t, os.Chown(r.TokenFile(), 0, 0))
				must(r.t, os.Chmod(r.TokenFile(), 0o644))
			},
			nobody,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, simcloud.Options{})
			r.put(r.grant(-time.Hour))
			tt.prepare(r)
			r.start()
			r.works()
			r.WaitLog("level=WARN", "belongs to a different user")
			r.stop()
			info := stat(t, r.TokenFile())
			if owner := info.Sys().(*syscall.Stat_t); owner.Uid != tt.owner || info.Mode() != 0o600 {
				t.Errorf("the token file belongs to %d and has mode %v, want %d and 0600", owner.Uid, info.Mode(), tt.owner)
			}
			if !r.saved() {
				t.Error("the new pair is not on the disk")
			}
		})
	}
}
