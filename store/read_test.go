package store_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"netatmo-agent/store"
)

func TestReadFileFollowsLinks(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "real"), filepath.Join(dir, "link")
	content := strings.Repeat("x", 1<<20) // the limit
	if err := errors.Join(os.WriteFile(path, []byte(content), 0o600), os.Symlink("real", link)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{path, link} {
		if got, err := store.ReadFile(path); err != nil || string(got) != content {
			t.Errorf("%s: %d bytes, %v", path, len(got), err)
		}
	}
	if _, err := store.ReadFile(path + ".missing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

func TestLargeFilesAreRefusedWithoutReadingThem(t *testing.T) {
	path := filepath.Join(t.TempDir(), "large")
	if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, 400<<20)); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := store.ReadFile(path); err == nil || !strings.Contains(err.Error(), "larger than 1 MiB") {
		t.Errorf("a settings file: %v", err)
	}
	if _, err := store.New[doc](path).Load(); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("a document: %v", err)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
		t.Errorf("refusing them took %d bytes of memory", used)
	}
}
