package poll_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/poll"
)

func TestOpenMarks(t *testing.T) {
	const id = "0f8fad5b-d9cb-469f-a165-70867728950e"
	tests := map[string]struct {
		content string // empty: no file
		id      string // empty: a new one
		said    string
	}{
		"none":               {},
		"blank":              {content: " \n"},
		"good":               {content: `{"instance_id":"` + id + `","marks":{"a":"2026-01-02T03:04:05Z"}}`, id: id},
		"of a later version": {content: `{"instance_id":"` + id + `","marks":{},"more":[1]}`, id: id},
		"without id":         {content: `{"marks":{"a":"2026-01-02T03:04:05Z"}}`},
		"with a bad id":      {content: `{"instance_id":"me","marks":{}}`},
		"not JSON":           {content: `{"instance_id":"` + id, said: "damaged"},
		"a bad time":         {content: `{"instance_id":"` + id + `","marks":{"a":"yesterday"}}`, said: "damaged"},
		"another document":   {content: `[1]`, said: "damaged"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state", "state.json")
			if test.content != "" {
				write(t, path, test.content)
			}
			var log bytes.Buffer
			m, err := poll.OpenMarks(path, slog.New(slog.NewTextHandler(&log, nil)))
			if err != nil {
				t.Fatal(err)
			}
			if test.id != "" && m.InstanceID() != test.id || !uuid.MatchString(m.InstanceID()) {
				t.Errorf("instance id %q, want %q", m.InstanceID(), test.id)
			}
			if test.said == "" && log.Len() > 0 || !strings.Contains(log.String(), test.said) {
				t.Errorf("log: %s", &log)
			}
			again, err := poll.OpenMarks(path, slog.New(slog.DiscardHandler))
			if err != nil || again.InstanceID() != m.InstanceID() {
				t.Errorf("instance id %q the next time, %v", again.InstanceID(), err)
			}
			bad, _ := filepath.Glob(path + ".bad-*")
			if (len(bad) == 1) != (test.said != "") {
				t.Errorf("kept aside: %v", bad)
			}
			for _, b := range bad {
				if got := read(t, b); got != test.content {
					t.Errorf("kept %q", got)
				}
			}
		})
	}
}

var uuid = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

func TestOpenMarksFails(t *testing.T) {
	dir := t.TempDir()
	if _, err := poll.OpenMarks(dir, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("a directory: %v", err)
	}
	file := filepath.Join(dir, "file")
	write(t, file, "")
	if _, err := poll.OpenMarks(filepath.Join(file, "state.json"), slog.New(slog.DiscardHandler)); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("under a file: %v", err)
	}
}

// The marks are written when something new was delivered, not at every push,
// and a disk that fails is said once and does not stop the agent.
func TestMarksAreSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		measured := time.Now()
		a := newAgent(t, &fake{weather: func() (netatmo.Answer, error) { return answer(outdoor("s", "m", measured, 20)), nil }}, netatmo.Weather)
		a.start()
		a.sleep(10*time.Minute - time.Second)
		first := a.savedMark("m")
		if first.Before(measured) || first.After(measured.Add(time.Minute)) {
			t.Errorf("mark %s after the first push at %s", first, measured)
		}
		a.sleep(8 * time.Minute)
		if got := a.savedMark("m"); !got.Equal(first) {
			t.Errorf("mark %s was written without news", got)
		}
		measured = time.Now()
		a.sleep(5 * time.Minute)
		if got := a.savedMark("m"); !got.After(first) {
			t.Errorf("mark %s after news", got)
		}

		dir := filepath.Dir(a.state)
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		write(t, dir, "in the way")
		for range 5 {
			measured = time.Now()
			a.sleep(10 * time.Minute)
		}
		if n := a.logged("saving the state file failed"); n != 1 {
			t.Errorf("said %d times\n%s", n, a.log)
		}
		if err := os.Remove(dir); err != nil {
			t.Fatal(err)
		}
		measured = time.Now()
		a.sleep(10 * time.Minute)
		if n := a.logged("saving the state file works again"); n != 1 {
			t.Errorf("recovery said %d times\n%s", n, a.log)
		}
		a.terminate()
		if got := a.savedMark("m"); time.Since(got) > time.Second {
			t.Errorf("mark %s at the end", got)
		}
	})
}

// savedMark is the mark of a module in the state file.
func (r *rig) savedMark(module string) time.Time {
	r.t.Helper()
	var doc struct {
		Marks map[string]time.Time `json:"marks"`
	}
	if err := json.Unmarshal([]byte(read(r.t, r.state)), &doc); err != nil {
		r.t.Fatal(err)
	}
	return doc.Marks[module]
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// FuzzOpenMarks opens any content without a panic, and what is opened can be
// saved and opened again.
func FuzzOpenMarks(f *testing.F) {
	f.Add(`{"instance_id":"0f8fad5b-d9cb-469f-a165-70867728950e","marks":{"a":"2026-01-02T03:04:05Z"},"cadences":{"s":605.5}}`)
	f.Add(`{"marks":null,"cadences":{"s":-1e300}}`)
	f.Add(`[]`)
	f.Fuzz(func(t *testing.T, content string) {
		path := filepath.Join(t.TempDir(), "state.json")
		write(t, path, content)
		m, err := poll.OpenMarks(path, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		again, err := poll.OpenMarks(path, slog.New(slog.DiscardHandler))
		if err != nil || again.InstanceID() != m.InstanceID() {
			t.Errorf("opened again: %v", err)
		}
	})
}
