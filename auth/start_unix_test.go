//go:build unix

package auth

import (
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"netatmo-agent/store"
)

func TestPathsThatCannotWorkAreAnErrorWithARemedy(t *testing.T) {
	dir := t.TempDir()
	pipe, blocker := filepath.Join(dir, "pipe"), filepath.Join(dir, "file")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(blocker, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{
		pipe:                                 store.ErrNotRegular,
		dir:                                  store.ErrNotRegular,
		"/dev/null":                          store.ErrNotRegular,
		filepath.Join(blocker, "token.json"): nil,
		"/proc/self/netatmo/token.json":      nil, // nobody can create such a directory
	} {
		_, err := New(t.Context(), Config{External: new(url.URL), TokenFile: path})
		if err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("%s: %v", path, err)
		} else if !strings.Contains(err.Error(), path) && !strings.Contains(err.Error(), filepath.Dir(path)) && !strings.Contains(err.Error(), blocker) {
			t.Errorf("the error does not name the path: %v", err)
		}
	}
	for _, beside := range []string{pipe, dir} {
		if _, err := os.Stat(filepath.Join(filepath.Dir(beside), "token.lock")); err == nil {
			t.Errorf("a lock was left beside %s", beside)
		}
	}
}
