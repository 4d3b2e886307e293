package store_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
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

// only fails unless dir contains exactly these names.
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

// mode returns the mode bits of a file. On Windows it returns want, since access
// control lists decide there who may read a file.
func mode(t *testing.T, path string, want fs.FileMode) fs.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS == "windows" {
		return want
	}
	return info.Mode().Perm()
}

func TestLoadTellsMissingFromDamaged(t *testing.T) {
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
	if m := mode(t, path, 0o600); m != 0o600 {
		t.Errorf("file mode %o", m)
	}
	for dir := filepath.Dir(path); filepath.Base(dir) != "001"; dir = filepath.Dir(dir) {
		if m := mode(t, dir, 0o700); m != 0o700 {
			t.Errorf("mode of %s: %o", dir, m)
		}
	}
	only(t, filepath.Dir(path), "doc.json")
}

func TestSaveReplacesLeftoversOfACrash(t *testing.T) {
	f, path := saved(t)
	if err := os.WriteFile(path+".tmp", []byte("half a docu"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := f.Save(doc{newText}); err != nil {
		t.Fatal(err)
	}
	if load(t, path) != newText || mode(t, path, 0o600) != 0o600 {
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
	// The first save follows a link whose target does not exist yet.
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
			t.Errorf("%s is no longer a link", link)
		}
	}
	// In a directory that is a link itself, ".." means its real parent.
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
		t.Error("the file was replaced")
	}
	if err := store.New[doc](path + ".missing").Overwrite(doc{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("overwriting a missing file: %v", err)
	}
}

// Whichever step fails, before or after its effect, the file holds the whole old
// document or the whole new one, and no temporary file remains.
func TestAfterAFailedStepTheDocumentIsWhole(t *testing.T) {
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

func TestErrorsOfWritesSayWhatToDo(t *testing.T) {
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
	if m := mode(t, bad, 0o600); m != 0o600 {
		t.Errorf("mode %o", m)
	}
}

// A file that is damaged again and again must not fill the disk.
func TestKeepBadKeepsTheNewestFive(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "doc.json")
	others := []string{"doc.json.bad-mine", "doc.json.bad-20200101T000000Z.old", "other.json.bad-20200101T000000Z"}
	for _, name := range append(others, "doc.json") {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("{half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var want []string
	for day := 1; day <= 8; day++ {
		bad, err := store.New[doc](path).KeepBad(time.Date(2026, 3, day, 0, 0, 0, 0, time.UTC))
		if err != nil {
			t.Fatal(err)
		}
		if day > 3 {
			want = append(want, filepath.Base(bad))
		}
	}
	want = append(want, append(others, "doc.json")...)
	slices.Sort(want)
	only(t, dir, want...)
}
