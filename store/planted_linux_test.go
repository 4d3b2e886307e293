package store_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"netatmo-agent/store"
)

const nobody = 65534

// victim creates a file in a new directory. unchanged fails the test if anything
// there has changed.
func victim(t *testing.T, content string) (path string, unchanged func(what string)) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	before := stat(t, path)
	return path, func(what string) {
		t.Helper()
		if now, _ := os.ReadFile(path); string(now) != content {
			t.Errorf("%s: the victim holds %q", what, now)
		}
		if after := stat(t, path); after.Uid != before.Uid || after.Mode != before.Mode || after.Ino != before.Ino {
			t.Errorf("%s: the victim's owner, mode or inode changed from %d, %o, %d to %d, %o, %d",
				what, before.Uid, before.Mode, before.Ino, after.Uid, after.Mode, after.Ino)
		}
		only(t, filepath.Dir(path), "victim")
	}
}

func stat(t *testing.T, path string) *syscall.Stat_t {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		t.Fatal("no owner is known")
	}
	return s
}

// theirs returns a directory that belongs to another user, if root runs the test.
func theirs(t *testing.T) string {
	t.Helper()
	dir := open(t)
	give(t, dir)
	return dir
}

func give(t *testing.T, path string) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	if err := os.Lchown(path, nobody, nobody); err != nil {
		t.Fatal(err)
	}
}

func TestALockFollowsNoLink(t *testing.T) {
	target, unchanged := victim(t, "root:x:0:0")
	lock := filepath.Join(theirs(t), "token.lock")
	for _, to := range []string{target, target + ".missing", "token.lock", filepath.Dir(target)} {
		if err := os.Symlink(to, lock); err != nil {
			t.Fatal(err)
		}
		give(t, lock)
		if _, err := store.TryLock(lock); err == nil || !strings.Contains(err.Error(), lock+": it is a symbolic link") {
			t.Errorf("a link to %s: %v", to, err)
		}
		unchanged("a link to " + to)
		if err := os.Remove(lock); err != nil {
			t.Fatal(err)
		}
	}
}

func TestALockWritesIntoNoForeignFile(t *testing.T) {
	t.Run("another name of a file", func(t *testing.T) {
		target, unchanged := victim(t, "")
		lock := filepath.Join(theirs(t), "token.lock")
		if err := os.Link(target, lock); err != nil {
			t.Fatal(err)
		}
		if held, err := store.TryLock(lock); err == nil {
			_ = held.Unlock()
		}
		unchanged("a hard link")
	})
	t.Run("a file with other content", func(t *testing.T) {
		target, unchanged := victim(t, "root:x:0:0")
		if held, err := store.TryLock(target); err == nil {
			_ = held.Unlock()
		}
		unchanged("a file with other content")
	})
}

// An existing lock keeps its owner; a new one gets the directory's.
func TestALockIsGivenAwayOnlyWhenItIsNew(t *testing.T) {
	if os.Geteuid() != 0 {
		return // nobody else can give files away
	}
	dir := theirs(t)
	for name, want := range map[string]uint32{"old.lock": 0, "new.lock": nobody} {
		path := filepath.Join(dir, name)
		if want == 0 {
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		lock, err := store.TryLock(path)
		if err != nil {
			t.Fatal(err)
		}
		_ = lock.Unlock()
		if owner := stat(t, path).Uid; owner != want {
			t.Errorf("%s belongs to user %d, want %d", name, owner, want)
		}
	}
}

func TestALockThatIsNotAFileIsRefusedAtOnce(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, pipe, "/dev/null"} {
		if _, err := store.TryLock(path); err == nil || !strings.Contains(err.Error(), path+": it is a ") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// everything calls all methods that access the disk.
func everything(f *store.File[doc]) map[string]error {
	_, loadErr := f.Load()
	_, probeErr := f.Probe()
	_, keepErr := f.KeepBad(time.Now())
	return map[string]error{
		"load": loadErr, "probe": probeErr, "keep": keepErr,
		"save": f.Save(doc{newText}), "overwrite": f.Overwrite(doc{newText}),
	}
}

// A user plants a link in a directory where root runs the agent.
func TestRootFollowsNoLinkOfAUserToAnotherUsersFile(t *testing.T) {
	if os.Geteuid() != 0 {
		return // nobody else has more power than the user who made the link
	}
	dir := theirs(t)
	for _, content := range []string{`{"text":"old"}`, "{damaged"} {
		target, unchanged := victim(t, content)
		direct, indirect := filepath.Join(dir, "token.json"), filepath.Join(dir, "chain.json")
		for link, to := range map[string]string{direct: target, indirect: "token.json", filepath.Join(dir, "new.json"): target + ".missing"} {
			if err := os.Symlink(to, link); err != nil {
				t.Fatal(err)
			}
			give(t, link)
			defer func() { _ = os.Remove(link) }()
		}
		for _, path := range []string{direct, indirect, filepath.Join(dir, "new.json")} {
			for what, err := range everything(store.New[doc](path)) {
				if err == nil || !strings.Contains(err.Error(), "symbolic link of user id 65534") {
					t.Errorf("%s through %s: %v", what, path, err)
				}
			}
			if _, err := store.Target(path); err == nil {
				t.Errorf("%s has a target", path)
			}
			unchanged(path)
		}
		for _, path := range []string{direct, indirect, filepath.Join(dir, "new.json")} {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A user's link to a file of that user harms nobody.
func TestRootFollowsALinkOfAUserToTheUsersOwnFile(t *testing.T) {
	dir := theirs(t)
	f := store.New[doc](filepath.Join(dir, "link.json"))
	for link, to := range map[string]string{"link.json": "second.json", "second.json": "real.json"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
		give(t, filepath.Join(dir, link))
	}
	for _, text := range []string{"first", "second"} { // the first one creates the file
		if err := f.Save(doc{text}); err != nil {
			t.Fatal(err)
		}
		if got := load(t, filepath.Join(dir, "real.json")); got != text {
			t.Errorf("the file holds %q", got)
		}
	}
}

// A user plants a hard link to root's file: nothing changes that file in place,
// and a copy belongs to root.
func TestRootChangesNoFileThroughAHardLinkOfAUser(t *testing.T) {
	if os.Geteuid() != 0 {
		return // nobody else has more power than the user who made the link
	}
	for _, content := range []string{`{"text":"old"}`, "{secret"} {
		target, unchanged := victim(t, content)
		path := filepath.Join(theirs(t), "token.json")
		if err := os.Link(target, path); err != nil {
			t.Fatal(err)
		}
		f := store.New[doc](path)
		if err := f.Overwrite(doc{newText}); err == nil || !strings.Contains(err.Error(), "more than one name") {
			t.Errorf("overwrite: %v", err)
		}
		unchanged("overwrite")
		kept, err := f.KeepBad(time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if owner := stat(t, kept).Uid; owner != 0 {
			t.Errorf("the copy of root's file belongs to user %d", owner)
		}
		f.SetFault(func(at string, act func() error) error {
			if at == "rename" {
				return syscall.EBUSY // so that only overwriting is left
			}
			return act()
		})
		if _, err := f.Probe(); err == nil && content[1] == '"' {
			t.Error("the probe overwrote root's file")
		}
		unchanged("probe")
	}
}

func TestLinksPlantedAtNamesOfNewFilesAreNotFollowed(t *testing.T) {
	dir := theirs(t)
	path := filepath.Join(dir, "token.json")
	if err := os.WriteFile(path, []byte("{damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	target, unchanged := victim(t, "untouched")
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for _, name := range []string{".bad-20260304T050607Z", ".bad-20260304T050607Z.tmp", ".tmp", ".probe", ".probe.tmp"} {
		if err := os.Symlink(target, path+name); err != nil {
			t.Fatal(err)
		}
		give(t, path+name)
	}
	f := store.New[doc](path)
	if _, err := f.Probe(); err != nil && !errors.Is(err, store.ErrNotRegular) {
		t.Error(err)
	}
	if kept, err := f.KeepBad(now); err == nil {
		if info, err := os.Lstat(kept); err != nil || info.Mode()&fs.ModeSymlink != 0 {
			t.Errorf("%s is still a link", kept)
		}
	}
	if err := f.Save(doc{newText}); err != nil {
		t.Error(err)
	}
	unchanged("links at names of new files")
}
