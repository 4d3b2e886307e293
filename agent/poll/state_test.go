package poll_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/record"
)

func TestOpenState(t *testing.T) {
	const id, anew = "0f8fad5b-d9cb-469f-a165-70867728950e", "series in the backend start anew"
	tests := map[string]struct {
		content string // empty: no file
		id      string // empty: a new one
		said    string
		kept    bool // the content is kept in a copy
	}{
		"none":               {},
		"blank":              {content: " \n", said: anew},
		"good":               {content: `{"instance_id":"` + id + `","marks":{"a":"2026-01-02T03:04:05Z"}}`, id: id},
		"of a later version": {content: `{"instance_id":"` + id + `","marks":{},"more":[1]}`, id: id},
		"without id":         {content: `{"marks":{"a":"2026-01-02T03:04:05Z"}}`, said: anew},
		"with a bad id":      {content: `{"instance_id":"me","marks":{}}`, said: anew},
		"not JSON":           {content: `{"instance_id":"` + id, said: "damaged", kept: true},
		"a bad time":         {content: `{"instance_id":"` + id + `","marks":{"a":"yesterday"}}`, said: "damaged", kept: true},
		"another document":   {content: `[1]`, said: "damaged", kept: true},
		"endless":            {content: strings.Repeat(" ", 17<<20), said: "damaged", kept: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state", "state.json")
			if test.content != "" {
				write(t, path, test.content)
			}
			var log bytes.Buffer
			m, err := record.OpenState(path, slog.New(slog.NewTextHandler(&log, nil)))
			if err != nil {
				t.Fatal(err)
			}
			if test.id != "" && m.InstanceID() != test.id || !uuid.MatchString(m.InstanceID()) {
				t.Errorf("instance id %q, want %q", m.InstanceID(), test.id)
			}
			if test.said == "" && log.Len() > 0 || !strings.Contains(log.String(), test.said) || test.kept && !strings.Contains(log.String(), anew) {
				t.Errorf("log: %s", &log)
			}
			if n := strings.Count(log.String(), "\n"); n > 1 {
				t.Errorf("one loss is logged %d times: %s", n, &log)
			}
			again, err := record.OpenState(path, slog.New(slog.DiscardHandler))
			if err != nil || again.InstanceID() != m.InstanceID() {
				t.Errorf("instance id %q the next time, %v", again.InstanceID(), err)
			}
			bad, _ := filepath.Glob(path + ".bad-*")
			if (len(bad) == 1) != test.kept {
				t.Errorf("kept aside: %v", bad)
			}
			for _, b := range bad {
				if got := read(t, b); got != test.content {
					t.Errorf("kept %d bytes, not the content", len(got))
				}
			}
		})
	}
}

var uuid = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// An unreadable state file does not prevent the start, and is not replaced: the
// state stays in memory until it can be saved.
func TestOpenStateFails(t *testing.T) {
	dir := t.TempDir()
	state, err := record.OpenState(dir, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), dir) || state.InstanceID() == "" {
		t.Errorf("a directory: %v", err)
	}
	if err := state.Save(); err == nil {
		t.Error("a directory: saved")
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if err := state.Save(); err != nil || !strings.Contains(read(t, dir), state.InstanceID()) {
		t.Errorf("after the directory is gone: %v", err)
	}
	if state, err := record.OpenState(filepath.Join(dir, "state.json"), slog.New(slog.DiscardHandler)); err == nil || errors.Is(err, fs.ErrNotExist) || state == nil {
		t.Errorf("under a file: %v", err)
	}
}

// A damaged file that cannot be copied, as on a full disk, does not prevent the
// start and is not replaced.
func TestDamagedStateThatCannotBeKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), strings.Repeat("s", 240)) // with .bad-<time> too long for a name
	const damaged = `{"instance_id":`
	write(t, path, damaged)
	state, err := record.OpenState(path, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "a copy of it cannot be kept") || state.InstanceID() == "" {
		t.Errorf("%v", err)
	}
	if err := state.Save(); err == nil || read(t, path) != damaged {
		t.Errorf("saved over it: %v", err)
	}
}

// Reading the state, or an existing instance id, does not write the file: only
// the running agent does.
func TestStateIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	if _, err := record.ReadState(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("afterwards: %v", err)
	}

	const damaged = `{"instance_id":`
	write(t, path, damaged)
	if _, err := record.ReadState(path); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a damaged file: %v", err)
	}
	if got := read(t, path); got != damaged {
		t.Errorf("afterwards it holds %s", got)
	}

	const whole = ` {"more":1,"instance_id":"0f8fad5b-d9cb-469f-a165-70867728950e","marks":{"a":"2020-01-02T03:04:05Z","b":"2026-01-02T03:04:05Z"}}`
	write(t, path, whole)
	state, err := record.ReadState(path)
	if err != nil {
		t.Fatal(err)
	}
	if modules, newest := state.Acknowledged(); modules != 2 || newest.Format(time.RFC3339) != "2026-01-02T03:04:05Z" {
		t.Errorf("values of %d modules, the newest %s", modules, newest)
	}
	if opened, err := record.OpenState(path, slog.New(slog.DiscardHandler)); err != nil || opened.InstanceID() != state.InstanceID() {
		t.Errorf("opened: %v", err)
	}
	if got := read(t, path); got != whole {
		t.Errorf("afterwards it holds %s", got)
	}
}

// Modules and stations that Netatmo no longer lists are forgotten after 90
// days, whether or not the agent ran all the time. Others are not.
func TestModulesThatAreGoneAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const day = 24 * time.Hour
		names := func(modules ...string) func() (netatmo.Answer, error) {
			return func() (netatmo.Answer, error) {
				var all []netatmo.Reading
				for _, m := range modules {
					all = append(all, outdoor("station", m, time.Now(), 20))
				}
				return answer(all...), nil
			}
		}
		a := newAgent(t, &fake{weather: names("here", "back", "leaving")}, netatmo.Weather)
		a.cfg.Interval, a.backend.interval = 6*time.Hour, 6*time.Hour
		ago := func(d time.Duration) string { return time.Now().Add(-d).Format(time.RFC3339) }
		write(t, a.state, `{"instance_id":"0f8fad5b-d9cb-469f-a165-70867728950e",`+
			`"cadences":{"station":600,"bare":600,"lately":600,"long ago":600},`+
			`"marks":{"back":"`+ago(100*day)+`","lately":"`+ago(80*day)+`","long ago":"`+ago(91*day)+`"}}`)
		a.start()
		a.sleep(day)
		if got := a.remembered(); got != "marks back here lately leaving, cadences lately station" {
			t.Errorf("after a restart: %s", got)
		}
		a.fake.weather = names("here", "back")
		a.sleep(80 * day)
		if got := a.remembered(); got != "marks back here leaving, cadences station" {
			t.Errorf("80 days later: %s", got)
		}
		a.sleep(11 * day)
		if got := a.remembered(); got != "marks back here, cadences station" {
			t.Errorf("91 days later: %s", got)
		}
		a.kill()
	})
}

// remembered lists the content of the state file.
func (r *rig) remembered() string {
	r.t.Helper()
	var doc struct {
		Marks    map[string]time.Time `json:"marks"`
		Cadences map[string]float64   `json:"cadences"`
	}
	if err := json.Unmarshal([]byte(read(r.t, r.state)), &doc); err != nil {
		r.t.Fatal(err)
	}
	list := func(ids []string) string { return strings.Join(ids, " ") }
	return "marks " + list(slices.Sorted(maps.Keys(doc.Marks))) + ", cadences " + list(slices.Sorted(maps.Keys(doc.Cadences)))
}

// The marks are written when something new was delivered, not at every push. A
// failing disk is logged once and does not stop the agent.
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
			t.Errorf("logged %d times\n%s", n, a.log)
		}
		if err := os.Remove(dir); err != nil {
			t.Fatal(err)
		}
		measured = time.Now()
		a.sleep(10 * time.Minute)
		if n := a.logged("saving the state file works again"); n != 1 {
			t.Errorf("recovery logged %d times\n%s", n, a.log)
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

// FuzzOpenState opens any content without a panic, and a state that was opened
// can be saved and opened again.
func FuzzOpenState(f *testing.F) {
	f.Add(`{"instance_id":"0f8fad5b-d9cb-469f-a165-70867728950e","marks":{"a":"2026-01-02T03:04:05Z"},"cadences":{"s":605.5}}`)
	f.Add(`{"marks":null,"cadences":{"s":-1e300}}`)
	f.Add(`[]`)
	f.Fuzz(func(t *testing.T, content string) {
		path := filepath.Join(t.TempDir(), "state.json")
		write(t, path, content)
		m, err := record.OpenState(path, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		again, err := record.OpenState(path, slog.New(slog.DiscardHandler))
		if err != nil || again.InstanceID() != m.InstanceID() {
			t.Errorf("opened again: %v", err)
		}
	})
}
