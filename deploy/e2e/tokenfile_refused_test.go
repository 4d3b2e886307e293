package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"netatmo-agent/agent/simcloud"
)

// With a path that cannot hold a login, the agent exits with code 2 and says
// what is wrong and what to do, before any request and without creating files.
func TestTokenFileThatCannotBeUsed(t *testing.T) {
	for _, row := range []struct {
		name    string
		prepare func(r *rig)
		want    []string // besides the path
		locks   bool     // are left where they can be created and may be needed later
	}{
		{
			name:    "a directory",
			prepare: instead(func(path string) error { return os.Mkdir(path, 0o700) }),
			want:    []string{"is a directory", "set NETATMO_TOKEN_FILE to the path of a file"},
		},
		{
			name:    "a device",
			prepare: mknod(syscall.S_IFCHR, 1<<8|3), // like /dev/null
			want:    []string{"is a device", "set NETATMO_TOKEN_FILE to the path of a file"},
		},
		{
			name:    "a socket",
			prepare: mknod(syscall.S_IFSOCK, 0),
			want:    []string{"socket", "set NETATMO_TOKEN_FILE to the path of a file"},
		},
		{
			name:    "a pipe",
			prepare: mknod(syscall.S_IFIFO, 0),
			want:    []string{"pipe", "set NETATMO_TOKEN_FILE to the path of a file"},
		},
		{
			name:    "a link to a directory",
			prepare: instead(func(path string) error { return os.Symlink("/etc", path) }),
			want:    []string{"is a directory", "set NETATMO_TOKEN_FILE to the path of a file"},
		},
		{
			name: "not readable",
			prepare: func(r *rig) {
				r.put(r.grant(time.Hour))
				r.asNobody()
				must(r.t, os.Chown(r.TokenFile(), 0, 0))
			},
			want:  []string{"permission denied", "user id 65534", "chown"},
			locks: true,
		},
		{
			name: "in a directory that cannot be written",
			prepare: func(r *rig) {
				r.put(r.grant(-time.Hour))
				r.asNobody()
				must(r.t, os.Chmod(r.TokenFile(), 0o644))
				must(r.t, os.Chmod(filepath.Dir(r.TokenFile()), 0o555))
			},
			want: []string{"permission denied", "user id 65534", "chown"},
		},
		{
			name: "missing, in a directory that cannot be written",
			prepare: func(r *rig) {
				must(r.t, os.Mkdir(filepath.Dir(r.TokenFile()), 0o700))
				r.asNobody()
				must(r.t, os.Chmod(filepath.Dir(r.TokenFile()), 0o555))
			},
			want: []string{"permission denied", "user id 65534", "chown"},
		},
		{
			name: "below a directory that cannot be written",
			prepare: func(r *rig) {
				r.asNobody()
				must(r.t, os.Chmod(r.Home, 0o555))
			},
			want: []string{"permission denied", "user id 65534", "chown"},
		},
		{
			name:    "below a file",
			prepare: func(r *rig) { must(r.t, os.WriteFile(filepath.Dir(r.TokenFile()), nil, 0o600)) },
			want:    []string{"not a directory", "part of the path is a file"},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, simcloud.Options{})
			row.prepare(r)
			before := listTree(t, r.Home)
			r.start()
			if code := r.Wait(); code != 2 {
				t.Errorf("exit code %d, want 2", code)
			}
			for _, want := range append(row.want, filepath.Dir(r.TokenFile())) {
				if !strings.Contains(r.Log(), want) {
					t.Errorf("the log does not contain %q", want)
				}
			}
			if r.asked() != 0 || len(r.cloud.Requests()) != 0 {
				t.Errorf("%d token requests, API requests %v, want none", r.asked(), r.cloud.Requests())
			}
			if row.locks {
				must(t, os.Remove(filepath.Join(filepath.Dir(r.TokenFile()), "agent.lock")))
				must(t, os.Remove(filepath.Join(filepath.Dir(r.TokenFile()), "token.lock")))
			}
			if after := listTree(t, r.Home); after != before {
				t.Errorf("it has left files:\n%s\nbefore:\n%s", after, before)
			}
			r.keepsSecrets()
			if t.Failed() {
				t.Logf("it says:\n%s", r.Log())
			}
		})
	}
}

// instead puts something that is not a file in the place of the token file.
func instead(create func(path string) error) func(*rig) {
	return func(r *rig) {
		r.t.Helper()
		must(r.t, os.MkdirAll(filepath.Dir(r.TokenFile()), 0o700))
		must(r.t, create(r.TokenFile()))
	}
}

func mknod(kind uint32, device int) func(*rig) {
	return instead(func(path string) error { return syscall.Mknod(path, kind|0o600, device) })
}

// listTree lists the files below dir.
func listTree(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil {
			fmt.Fprintf(&b, "%v %v\n", info.Mode(), path)
		}
		return err
	}))
	return b.String()
}
