package record

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"netatmo-agent/agent/netatmo"
	"netatmo-agent/store"
)

// StateName is the name of the state file in the agent's directory.
const StateName = "state.json"

// remembered is how long the state file keeps a module that is no longer in
// Netatmo's answers.
const remembered = 90 * 24 * time.Hour

// mostMarks is how many modules the state file keeps, in case the answers have
// other ids each time.
const mostMarks = 2 * netatmo.MostDevices

// mostCadence is the longest plausible time between two uploads.
const mostCadence = 15 * time.Minute

// StateFile is the agent's state file: who it is, and what the backend has
// acknowledged. It is safe for concurrent use. Changes are in memory until
// Save.
type StateFile struct {
	file *store.File[document]
	turn chan struct{} // held while saving

	unread bool // the file could not be read and must not be lost; guarded by turn

	mu      sync.Mutex
	doc     document
	changes int // since the start
	saved   int // of them
}

// document is the file's JSON. Losing it costs no more than a gap that is not
// filled.
type document struct {
	// Instance is the service.instance.id, a UUID.
	Instance string `json:"instance_id"`
	// Marks are the newest acknowledged timestamps by module id; those of
	// rooms by room id.
	Marks map[string]time.Time `json:"marks"`
	// Meters are the ends of the last acknowledged buckets of meters, by module id.
	Meters map[string]time.Time `json:"meters,omitempty"`
	// Cadences are the times between two uploads, in seconds, by station id. They
	// let the agent detect gaps and follow the station from the first poll on.
	Cadences map[string]float64 `json:"cadences,omitempty"`
}

// ReadState reads the state file at path and leaves it as it is. The error is
// an [fs.ErrNotExist] before the first start of an agent, a
// *[store.CorruptError], or says why it cannot be read.
func ReadState(path string) (*StateFile, error) {
	s := newState(path)
	if err := s.load(); err != nil {
		return nil, err
	}
	return s, nil
}

// OpenState reads the state file at path. It writes only if it must: it creates a
// missing file, adds a missing instance id, and moves a damaged file aside, with a
// log line. It always returns a StateFile; the error says why that is only in memory
// until a Save succeeds.
func OpenState(path string, log *slog.Logger) (*StateFile, error) {
	s := newState(path)
	_, statErr := os.Stat(path)
	err := s.load()
	s.unread = err != nil && !errors.Is(err, fs.ErrNotExist)
	kept, keepErr := s.keepUnread()
	_, noID := uuid.Parse(s.doc.Instance)
	if kept != "" {
		log.Warn("the state file is damaged: starting a new one; the login is not affected, readings missed before this start are not filled in, and the agent's series in the backend start anew", "error", err, "kept", kept)
	} else if noID != nil && statErr == nil {
		log.Warn("the state file has no usable instance id: the agent gets a new one, and its series in the backend start anew", "file", path)
	}
	if noID != nil {
		s.doc.Instance = uuid.NewString()
		s.changes++
	}
	if keepErr != nil {
		return s, keepErr
	}
	return s, s.Save()
}

// keepUnread moves a damaged file aside before it is replaced. It does not allow a
// file that cannot be read to be replaced.
func (s *StateFile) keepUnread() (kept string, err error) {
	if !s.unread {
		return "", nil
	}
	_, err = s.file.Load()
	if corrupt, ok := errors.AsType[*store.CorruptError](err); ok {
		if kept, err = s.file.KeepBad(time.Now()); err != nil {
			return "", fmt.Errorf("%w; and a copy of it cannot be kept: %w", corrupt, err)
		}
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%w; move it away, or let this user read it", err)
	}
	s.unread = false
	return kept, nil
}

func newState(path string) *StateFile {
	return &StateFile{file: store.New[document](path), turn: make(chan struct{}, 1)}
}

func (s *StateFile) load() (err error) {
	s.doc, err = s.file.Load()
	if s.doc.Marks == nil {
		s.doc.Marks = map[string]time.Time{}
	}
	if s.doc.Meters == nil {
		s.doc.Meters = map[string]time.Time{}
	}
	maps.DeleteFunc(s.doc.Cadences, func(_ string, seconds float64) bool { // whoever wrote them
		return seconds < 1 || seconds > mostCadence.Seconds()
	})
	if s.doc.Cadences == nil {
		s.doc.Cadences = map[string]float64{}
	}
	return err
}

// InstanceID returns the UUID of this installation.
func (s *StateFile) InstanceID() string { return s.doc.Instance }

// Acknowledged returns how many modules the backend has values of, and the time of
// the newest, zero if there are none.
func (s *StateFile) Acknowledged() (modules int, newest time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.doc.Marks {
		newest = later(newest, t)
	}
	return len(s.doc.Marks), newest
}

// Save writes what changed since the last Save, atomically and durably.
func (s *StateFile) Save() error {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()

	s.mu.Lock()
	changes := s.changes
	now := document{s.doc.Instance, maps.Clone(s.doc.Marks), maps.Clone(s.doc.Meters), maps.Clone(s.doc.Cadences)}
	unchanged := changes == s.saved
	s.mu.Unlock()
	if unchanged {
		return nil
	}
	if _, err := s.keepUnread(); err != nil {
		return err
	}
	if err := s.file.Save(now); err != nil {
		return err
	}
	s.mu.Lock()
	s.saved = changes
	s.mu.Unlock()
	return nil
}

// Delivered returns the time of the newest value of a module that the backend
// acknowledged, and whether there is one.
func (s *StateFile) Delivered(module string) (time.Time, bool) { return s.mark(module) }

func (s *StateFile) mark(module string) (time.Time, bool) { return s.markIn(s.doc.Marks, module) }

func (s *StateFile) setMark(module string, t time.Time) {
	s.setMarkIn(s.doc.Marks, module, t.Truncate(time.Millisecond))
}

// meter returns the mark of a meter, and whether there is one.
func (s *StateFile) meter(module string) (time.Time, bool) { return s.markIn(s.doc.Meters, module) }

func (s *StateFile) setMeter(module string, t time.Time) {
	s.setMarkIn(s.doc.Meters, module, t.Truncate(time.Second))
}

func (s *StateFile) markIn(marks map[string]time.Time, module string) (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := marks[module]
	return t, ok
}

func (s *StateFile) setMarkIn(marks map[string]time.Time, module string, t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	marks[module] = t.UTC()
	s.changes++
}

func (s *StateFile) cadence(station string) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Duration(s.doc.Cadences[station] * float64(time.Second))
}

func (s *StateFile) setCadence(station string, c time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := c.Seconds(); n > 0 && s.doc.Cadences[station] != n {
		s.doc.Cadences[station] = n
		s.changes++
	}
}

// forget drops marks before the given time of modules that are not present, the
// oldest of those if there are too many, and the cadences of stations that are not
// present and have no mark.
func (s *StateFile) forget(before time.Time, there map[string]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := len(s.doc.Marks) + len(s.doc.Meters) + len(s.doc.Cadences)
	dropMarks(s.doc.Marks, before, there)
	dropMarks(s.doc.Meters, before, there)
	maps.DeleteFunc(s.doc.Cadences, func(id string, _ float64) bool {
		_, marked := s.doc.Marks[id]
		return !there[id] && !marked
	})
	if len(s.doc.Marks)+len(s.doc.Meters)+len(s.doc.Cadences) < known {
		s.changes++
	}
}

func dropMarks(marks map[string]time.Time, before time.Time, there map[string]bool) {
	maps.DeleteFunc(marks, func(id string, t time.Time) bool { return !there[id] && t.Before(before) })
	if more := len(marks) - mostMarks; more > 0 {
		gone := slices.DeleteFunc(slices.Collect(maps.Keys(marks)), func(id string) bool { return there[id] })
		slices.SortFunc(gone, func(a, b string) int { return marks[a].Compare(marks[b]) })
		for _, id := range gone[:min(more, len(gone))] {
			delete(marks, id)
		}
	}
}
