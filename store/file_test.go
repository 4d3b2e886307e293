package store_test

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"netatmo-agent/store"
)

type doc struct {
	Text string `json:"text"`
}

const oldText, newText = "old", "new"

// saved returns a File that holds oldText, and its path.
func saved(t *testing.T) (*store.File[doc], string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "doc.json")
	f := store.New[doc](path)
	if err := f.Save(doc{oldText}); err != nil {
		t.Fatal(err)
	}
	return f, path
}

func load(t *testing.T, path string) string {
	t.Helper()
	d, err := store.New[doc](path).Load()
	if err != nil {
		t.Fatal(err)
	}
	return d.Text
}

// only fails unless dir holds exactly these names: nothing is left lying about.
func only(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, e := range entries {
		found = append(found, e.Name())
	}
	if strings.Join(found, " ") != strings.Join(names, " ") {
		t.Errorf("%s holds %q, want %q", dir, found, names)
	}
}

func mode(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

func TestLoadJudgesContent(t *testing.T) {
	for _, row := range []struct {
		name, content, want string
		missing, corrupt    bool
	}{
		{name: "a document", content: `{"text":"x"}`, want: "x"},
		{name: "blanks around it", content: "\n {\"text\":\"x\"} \n  ", want: "x"},
		{name: "a byte order mark", content: "\ufeff{\"text\":\"x\"}", want: "x"},
		{name: "empty", content: "", missing: true},
		{name: "blanks alone", content: " \n\t", missing: true},
		{name: "cut off", content: `{"text":"x`, corrupt: true},
		{name: "two documents", content: `{"text":"x"}{"text":"y"}`, corrupt: true},
		{name: "zeros, as after a power cut", content: "\x00\x00\x00\x00", corrupt: true},
		{name: "another type", content: `{"text":7}`, corrupt: true},
		{name: "endless", content: strings.Repeat("[", 17<<20), corrupt: true},
	} {
		t.Run(row.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "doc.json")
			if err := os.WriteFile(path, []byte(row.content), 0o600); err != nil {
				t.Fatal(err)
			}
			d, err := store.New[doc](path).Load()
			if d.Text != row.want {
				t.Errorf("text %q, want %q", d.Text, row.want)
			}
			if errors.Is(err, fs.ErrNotExist) != row.missing {
				t.Errorf("error %v, want missing %v", err, row.missing)
			}
			var corrupt *store.CorruptError
			if errors.As(err, &corrupt) != row.corrupt {
				t.Errorf("error %v, want corrupt %v", err, row.corrupt)
			} else if row.corrupt && corrupt.Path != path {
				t.Errorf("the error names %q", corrupt.Path)
			}
		})
	}
}

func TestSaveCreatesPrivateDirectoriesAndFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b", "doc.json")
	if err := store.New[doc](path).Save(doc{newText}); err != nil {
		t.Fatal(err)
	}
	if got := load(t, path); got != newText {
		t.Errorf("holds %q", got)
	}
	if m := mode(t, path); m != 0o600 {
		t.Errorf("file mode %o", m)
	}
	for dir := filepath.Dir(path); filepath.Base(dir) != "001"; dir = filepath.Dir(dir) {
		if m := mode(t, dir); m != 0o700 {
			t.Errorf("mode of %s: %o", dir, m)
		}
	}
	only(t, filepath.Dir(path), "doc.json")
}

func TestSaveReplacesWhatACrashLeftBehind(t *testing.T) {
	f, path := saved(t)
	if err := os.WriteFile(path+".tmp", []byte("half a docu"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := f.Save(doc{newText}); err != nil {
		t.Fatal(err)
	}
	if load(t, path) != newText || mode(t, path) != 0o600 {
		t.Error("the new document is not there with mode 0600")
	}
	only(t, filepath.Dir(path), "doc.json")
}

func TestSymbolicLinksAreFollowed(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "elsewhere", "real.json")
	for link, to := range map[string]string{
		"absolute.json": target,
		"relative.json": "elsewhere/real.json",
		"chain.json":    "relative.json",
	} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	// The first save goes through a link whose target does not exist yet.
	for _, link := range []string{"relative.json", "absolute.json", "chain.json"} {
		f := store.New[doc](filepath.Join(dir, link))
		if err := f.Save(doc{link}); err != nil {
			t.Fatal(err)
		}
		if got := load(t, target); got != link {
			t.Errorf("after a save through %s the target holds %q", link, got)
		}
		if err := f.Overwrite(doc{"in place"}); err != nil {
			t.Fatal(err)
		}
		if got := load(t, target); got != "in place" {
			t.Errorf("after an overwrite through %s the target holds %q", link, got)
		}
		if _, err := f.Probe(); err != nil {
			t.Error(err)
		}
		if info, err := os.Lstat(filepath.Join(dir, link)); err != nil || info.Mode()&fs.ModeSymlink == 0 {
			t.Errorf("%s is no link any more", link)
		}
	}
	// From a directory that is a link itself, ".." leads to its real parent.
	for link, to := range map[string]string{"linked": "elsewhere/deep", "elsewhere/deep/up.json": "../missing/real.json"} {
		if err := errors.Join(os.MkdirAll(filepath.Join(dir, "elsewhere", "deep"), 0o700), os.Symlink(to, filepath.Join(dir, link))); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.New[doc](filepath.Join(dir, "linked", "up.json")).Save(doc{"up"}); err != nil {
		t.Error(err)
	} else if got := load(t, filepath.Join(dir, "elsewhere", "missing", "real.json")); got != "up" {
		t.Errorf("the target of a link in a linked directory holds %q", got)
	}
	if err := os.Symlink("loop.json", filepath.Join(dir, "loop.json")); err != nil {
		t.Fatal(err)
	}
	if err := store.New[doc](filepath.Join(dir, "loop.json")).Save(doc{}); err == nil {
		t.Error("a link to itself can be saved to")
	}
}

func TestWhatIsNotARegularFileIsRefused(t *testing.T) {
	dir := t.TempDir()
	pipe, socket := filepath.Join(dir, "pipe"), filepath.Join(dir, "socket")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for _, path := range []string{dir, pipe, socket, "/dev/null"} {
		f := store.New[doc](path)
		_, loadErr := f.Load()
		_, probeErr := f.Probe()
		for what, err := range map[string]error{
			"load": loadErr, "probe": probeErr, "save": f.Save(doc{}), "overwrite": f.Overwrite(doc{}),
			"check": store.CheckRegular(path),
		} {
			if !errors.Is(err, store.ErrNotRegular) || !strings.Contains(err.Error(), path) {
				t.Errorf("%s %s: %v", what, path, err)
			}
		}
	}
	_, path := saved(t)
	for _, path := range []string{path, path + ".missing"} {
		if err := store.CheckRegular(path); err != nil {
			t.Error(err)
		}
	}
}

func TestOverwriteKeepsTheFileItself(t *testing.T) {
	f, path := saved(t)
	before, _ := os.Stat(path)
	for _, text := range []string{strings.Repeat("long", 100), "short", ""} {
		if err := f.Overwrite(doc{text}); err != nil {
			t.Fatal(err)
		}
		if got := load(t, path); got != text {
			t.Errorf("holds %q, want %q", got, text)
		}
		if content, _ := os.ReadFile(path); strings.HasSuffix(string(content), " ") {
			t.Error("blanks are left at the end")
		}
	}
	if after, _ := os.Stat(path); !os.SameFile(before, after) {
		t.Error("it is another file now")
	}
	if err := store.New[doc](path + ".missing").Overwrite(doc{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("overwriting a missing file: %v", err)
	}
}

// Whatever step fails, before or after its effect, the file holds the old
// document or the new one, never anything else, and nothing lies about.
func TestFailedStepsLeaveAWholeDocument(t *testing.T) {
	for _, step := range []string{"write", "rename", "fsync directory"} {
		for _, effect := range []bool{false, true} {
			f, path := saved(t)
			f.SetFault(func(at string, act func() error) error {
				switch {
				case at != step:
					return act()
				case effect:
					return errors.Join(act(), syscall.EIO)
				}
				return syscall.EIO
			})
			if err := f.Save(doc{newText}); !errors.Is(err, syscall.EIO) {
				t.Errorf("%s: error %v", step, err)
			}
			want := oldText
			if step == "fsync directory" || step == "rename" && effect {
				want = newText
			}
			if got := load(t, path); got != want {
				t.Errorf("%s (took effect: %v): holds %q", step, effect, got)
			}
			only(t, filepath.Dir(path), "doc.json")
		}
	}
}

func TestAFailedWriteSaysWhatToDo(t *testing.T) {
	for errno, advice := range map[syscall.Errno]string{
		syscall.ENOSPC: "free some space", syscall.EROFS: "mount it writable", syscall.EACCES: "chown",
	} {
		f, _ := saved(t)
		f.SetFault(func(string, func() error) error { return errno })
		_, keepErr := f.KeepBad(time.Now())
		for what, err := range map[string]error{"save": f.Save(doc{newText}), "overwrite": f.Overwrite(doc{newText}), "keep": keepErr} {
			if !errors.Is(err, errno) || strings.Count(err.Error(), advice) != 1 {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
}

func TestKeepBadKeepsEveryByte(t *testing.T) {
	path := filepath.Join(t.TempDir(), "doc.json")
	if err := os.WriteFile(path, []byte("{half"), 0o644); err != nil {
		t.Fatal(err)
	}
	bad, err := store.New[doc](path).KeepBad(time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	if bad != path+".bad-20260304T050607Z" {
		t.Errorf("kept as %s", bad)
	}
	if content, _ := os.ReadFile(bad); string(content) != "{half" {
		t.Errorf("kept %q", content)
	}
	if m := mode(t, bad); m != 0o600 {
		t.Errorf("mode %o", m)
	}
}
