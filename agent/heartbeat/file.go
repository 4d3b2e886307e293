package heartbeat

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"netatmo-agent/store"
)

// paths returns the files that the agent with this token file may write its
// heartbeat to, the preferred one first: in $RUNTIME_DIRECTORY, which systemd
// sets, or in the temporary directory or, in a container without a writable one,
// in Linux's shared memory. Agents with different token files have different
// heartbeat files.
func paths(tokenFile string) (all []string) {
	sum := sha256.Sum256([]byte(tokenFile))
	name := fmt.Sprintf("netatmo-agent-%x.heartbeat", sum[:6])
	dirs := []string{os.TempDir(), "/dev/shm"}
	if dir, _, _ := strings.Cut(os.Getenv("RUNTIME_DIRECTORY"), ":"); dir != "" {
		dirs = []string{dir}
	}
	for _, dir := range dirs {
		all = append(all, filepath.Join(dir, name))
	}
	return all
}

// Write replaces the heartbeat of the agent with this token file.
func (h Heartbeat) Write(tokenFile string) error {
	content, err := json.Marshal(h)
	if err != nil {
		return err
	}
	var first error
	for _, path := range paths(tokenFile) {
		err := replace(path, content)
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	return first
}

// replace writes to a new file and renames it. Every user can create files in
// the temporary directory, so it opens no file that exists there.
func replace(path string, content []byte) error {
	tmp := path + ".tmp"
	_ = os.Remove(tmp)
	file, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Close()); err == nil {
		err = store.Rename(tmp, path)
	}
	if err != nil {
		_ = os.Remove(tmp)
	}
	return err
}

func remove(tokenFile string) {
	for _, path := range paths(tokenFile) {
		_ = os.Remove(path)
	}
}

// Read returns the newest heartbeat of the agent with this token file. The error
// says that there is none, that the agent has ended or, if Hanging is not empty,
// that it hangs.
func Read(tokenFile string) (newest Heartbeat, err error) {
	all, found := paths(tokenFile), false
	for _, path := range all {
		h, readErr := read(path)
		switch {
		case readErr != nil && !errors.Is(readErr, fs.ErrNotExist):
			err = readErr
		case readErr == nil && (!found || h.Written.After(newest.Written)):
			newest, found = h, true
		}
	}
	switch {
	case found:
		return newest, newest.check()
	case err != nil:
		return newest, err
	}
	return newest, fmt.Errorf("no agent has written a heartbeat to %s", strings.Join(all, " or "))
}

func read(path string) (h Heartbeat, err error) {
	content, err := store.ReadFile(path)
	if err != nil {
		return h, err
	}
	if err := json.Unmarshal(content, &h); err != nil {
		return h, fmt.Errorf("the heartbeat at %s is damaged: %w", path, err)
	}
	return h, nil
}
