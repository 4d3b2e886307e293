package e2e

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"netatmo-agent/agent/simcloud"
	"netatmo-agent/auth/authtest"
)

// privateMounts moves the test, and the processes that it starts, into a mount
// namespace, so that its mounts are invisible to others. It needs root.
func privateMounts(t *testing.T) {
	t.Helper()
	runtime.LockOSThread() // never unlocked: the thread ends with the test, and its mounts with the thread
	must(t, syscall.Unshare(syscall.CLONE_NEWNS))
	must(t, syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""))
}

// mount mounts a file system until the test ends.
func mount(t *testing.T, source, target, kind string, flags uintptr, options string) {
	t.Helper()
	must(t, syscall.Mount(source, target, kind, flags, options))
	t.Cleanup(func() { must(t, syscall.Unmount(target, syscall.MNT_DETACH)) })
}

// mountedRig is a rig whose state directory is a separate disk.
func mountedRig(t *testing.T, o simcloud.Options) (r *rig, dir string) {
	t.Helper()
	privateMounts(t)
	r = newRig(t, o)
	dir = filepath.Dir(r.TokenFile())
	must(t, os.Mkdir(dir, 0o700))
	mount(t, "none", dir, "tmpfs", 0, "size=64k,mode=700")
	return r, dir
}

// A single file that is bind-mounted, as people do with Docker, is overwritten
// in place; the log says what to mount instead.
func TestFileMountedAlone(t *testing.T) {
	t.Parallel()
	privateMounts(t)
	r := newRig(t, simcloud.Options{})
	source := filepath.Join(r.Home, "on-the-host.json")
	r.putAt(source, r.grant(-time.Hour), 0o644)
	r.put("")
	mount(t, source, r.TokenFile(), "", syscall.MS_BIND, "")
	host := stat(t, source)
	onTheHost := func() {
		t.Helper()
		if !parse(read(t, source)).holds(r.cloud.Auth().Current()) {
			t.Error("the new pair is not in the file on the host")
		}
		if now := stat(t, source); !os.SameFile(host, now) || now.Mode() != 0o600 {
			t.Errorf("the file on the host is another, or its mode %v is not 0600", now.Mode())
		}
	}
	r.start()
	r.works()
	r.WaitLog("level=WARN", "mount its directory instead")
	if strings.Count(r.Log(), "in place") != 1 {
		t.Error("the same thing is logged twice")
	}
	r.Kill()
	onTheHost()
	r.cloud.Inject(simcloud.Fault{Kind: simcloud.TokenExpired})
	r.start()
	r.works()
	for deadline := time.Now().Add(patience); r.asked() < 2 && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	r.stop()
	onTheHost()
	if r.asked() != 2 || r.refused() != 0 {
		t.Errorf("%d token requests, %d refused, want 2 and none", r.asked(), r.refused())
	}
}

// The first login into a file that is bind-mounted alone; for that, Docker
// users create an empty file.
func TestEmptyFileMountedAlone(t *testing.T) {
	t.Parallel()
	privateMounts(t)
	r := newRig(t, simcloud.Options{})
	source := filepath.Join(r.Home, "on-the-host.json")
	r.putAt(source, "", 0o600)
	r.put("")
	mount(t, source, r.TokenFile(), "", syscall.MS_BIND, "")
	r.start()
	r.worksAfterLogin()
	r.stop()
	if !parse(read(t, source)).holds(r.cloud.Auth().Current()) {
		t.Error("the login is not in the file on the host")
	}
}

// A disk that becomes full while Netatmo makes the new pair stops no refresh,
// then or later, and loses no login, whatever happens to the process. When it
// has space again, everything is as before.
func TestDiskThatFillsUp(t *testing.T) {
	t.Parallel()
	r, dir := mountedRig(t, simcloud.Options{})
	disk, err := os.OpenRoot(dir)
	must(t, err)
	defer disk.Close()
	r.put(r.grant(-time.Hour))
	r.cloud.Auth().Inject(authtest.Fault{Kind: authtest.Slow, Delay: time.Second})
	r.start()
	r.madeNewPair()
	empty := fill(t, disk)
	r.works()
	r.WaitLog("level=WARN", "in place", "no space left on device")
	r.Kill()
	if !r.saved() {
		t.Error("the new pair is not on the disk")
	}

	r.cloud.Inject(simcloud.Fault{Kind: simcloud.TokenExpired})
	r.start()
	r.works()
	r.Eventually("renews the token", func() bool { return r.cloud.Auth().Stats().Refreshes() == 2 })
	r.stop()
	if !r.saved() {
		t.Error("the pair that was made on the full disk is not on it")
	}

	r.start()
	r.works()
	full := stat(t, r.TokenFile())
	empty()
	r.stop()
	if os.SameFile(full, stat(t, r.TokenFile())) {
		t.Error("with space on the disk, the file is still overwritten in place")
	}
	if refreshes := r.cloud.Auth().Stats().Refreshes(); r.refused() != 0 || refreshes != 2 || !r.saved() {
		t.Errorf("%d refreshes, %d refused, want 2 and none; saved: %v", refreshes, r.refused(), r.saved())
	}
}

// madeNewPair waits until the cloud has made a pair with a refresh, whether or
// not it has answered.
func (r *rig) madeNewPair() {
	r.t.Helper()
	r.Eventually("asks for a new pair", func() bool {
		issued := r.cloud.Auth().Stats().Issued
		return issued[len(issued)-1].Grant == "refresh_token"
	})
}

// A full disk has no space for a first login.
func TestDiskThatIsFull(t *testing.T) {
	t.Parallel()
	r, dir := mountedRig(t, simcloud.Options{})
	disk, err := os.OpenRoot(dir)
	must(t, err)
	defer disk.Close()
	must(t, disk.WriteFile("agent.lock", []byte("1\n"), 0o600)) // from an earlier start
	must(t, disk.WriteFile("token.lock", []byte("1\n"), 0o600))
	fill(t, disk)
	r.start()
	r.endsBeforeAnyRequest("no space left on device", "free some space")
}

// endsBeforeAnyRequest checks that the process exits with code 2 and says what
// is wrong.
func (r *rig) endsBeforeAnyRequest(says ...string) {
	r.t.Helper()
	if code := r.Wait(); code != 2 {
		r.t.Errorf("exit code %d, want 2", code)
	}
	for _, text := range says {
		if !strings.Contains(r.Log(), text) {
			r.t.Errorf("the log does not contain %q:\n%s", text, r.Log())
		}
	}
	if r.asked() != 0 || len(r.cloud.Requests()) != 0 {
		r.t.Errorf("%d token requests, API requests %v, want none", r.asked(), r.cloud.Requests())
	}
}

// A disk that is read-only at start is refused.
func TestDiskThatIsReadOnly(t *testing.T) {
	for name, there := range map[string]bool{"with a login": true, "empty": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, dir := mountedRig(t, simcloud.Options{})
			if there {
				r.put(r.grant(-time.Hour))
			}
			readOnly(t, dir, true)
			r.start()
			r.endsBeforeAnyRequest("read-only file system", "mount it writable", dir)
		})
	}
}

// A disk that becomes read-only, as Linux does with a failing SD card, or that
// is removed: the refresh token is not used, since the new pair could not be
// saved. The token is renewed as soon as the disk is writable again.
func TestDiskThatBecomesReadOnly(t *testing.T) {
	for name, tt := range map[string]struct {
		prepare func(r *rig) (forbid func(on bool))
		says    string
	}{
		"read-only": {
			func(r *rig) func(bool) {
				privateMounts(r.t)
				mount(r.t, "none", filepath.Dir(r.TokenFile()), "tmpfs", 0, "size=64k,mode=700")
				r.put(r.grant(time.Hour))
				return func(on bool) { readOnly(r.t, filepath.Dir(r.TokenFile()), on) }
			},
			"read-only file system",
		},
		"another's": { // except for the locks
			func(r *rig) func(bool) {
				r.put(r.grant(time.Hour))
				r.asNobody()
				return func(on bool) {
					owner := map[bool]int{true: 0, false: nobody}[on]
					must(r.t, os.Chown(filepath.Dir(r.TokenFile()), owner, owner))
					must(r.t, os.Chmod(filepath.Dir(r.TokenFile()), 0o755))
					must(r.t, os.Chown(r.TokenFile(), owner, owner))
					must(r.t, os.Chmod(r.TokenFile(), 0o644))
				}
			},
			"permission denied",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, simcloud.Options{})
			must(t, os.Mkdir(filepath.Dir(r.TokenFile()), 0o700))
			forbid := tt.prepare(r)
			content := r.content()
			r.cloud.Inject(simcloud.Fault{Kind: simcloud.TokenExpired})
			r.door.shut.Lock()
			r.start()
			r.Eventually("asks the API", func() bool { return r.door.waiting() > 0 })
			forbid(true)
			r.door.shut.Unlock()
			r.WaitLog("renewing the access token failed", tt.says)
			if r.asked() != 0 {
				t.Error("the refresh token was spent although the new pair cannot be saved")
			}
			if had, has := parse(content), parse(r.content()); has.Refresh != had.Refresh {
				t.Error("the pair on the disk has changed")
			}
			forbid(false)
			r.madeNewPair()
			r.works()
			r.stop()
			if !r.saved() || r.asked() != 1 || r.refused() != 0 {
				t.Errorf("%d token requests, %d refused, want one and none; saved: %v", r.asked(), r.refused(), r.saved())
			}
		})
	}
}

// The same after Netatmo has received the refresh token: the agent works with
// the new pair, says that it is only in memory, and saves it as soon as it can.
func TestDiskThatBecomesReadOnlyDuringARefresh(t *testing.T) {
	t.Parallel()
	r, dir := mountedRig(t, simcloud.Options{})
	r.put(r.grant(-time.Hour))
	r.cloud.Auth().Inject(authtest.Fault{Kind: authtest.Slow, Delay: time.Second})
	r.start()
	r.madeNewPair()
	readOnly(t, dir, true)
	r.works()
	r.WaitLog("level=ERROR", "exists only in memory", "read-only file system")
	readOnly(t, dir, false)
	r.WaitLog("saving the login works again")
	if !r.saved() {
		t.Error("the new pair is not on the disk")
	}
	r.Kill()
	r.start()
	r.works()
	if r.asked() != 1 {
		t.Errorf("%d token requests, want one", r.asked())
	}
}

// readOnly makes a mounted disk read-only, or writable again.
func readOnly(t *testing.T, dir string, on bool) {
	t.Helper()
	flags := uintptr(syscall.MS_REMOUNT)
	if on {
		flags |= syscall.MS_RDONLY
	}
	must(t, syscall.Mount("none", dir, "", flags, ""))
}

// A token file of netatmo-exporter's image is found if no other token file is
// configured.
func TestTokenFileOfTheImageOfNetatmoExporter(t *testing.T) {
	t.Parallel()
	privateMounts(t)
	r := newRig(t, simcloud.Options{})
	mount(t, "none", "/var/lib", "tmpfs", 0, "size=1m")
	const path = "/var/lib/netatmo-exporter/netatmo-token.json"
	r.putAt(path, r.grant(-time.Hour), 0o600)
	r.start()
	r.works()
	r.WaitLog(path)
	r.stop()
	if !parse(read(t, path)).holds(r.cloud.Auth().Current()) {
		t.Error("the new pair is not on the disk")
	}
	r.unchanged(false, "")
}
