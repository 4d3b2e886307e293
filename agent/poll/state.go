package poll

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"sync"
	"time"

	"github.com/google/uuid"

	"netatmo-agent/store"
)

// StateFile is the name of the state file in the agent's directory.
const StateFile = "state.json"

// remembered is for how long the state file knows a module that is not in
// Netatmo's answers.
const remembered = 90 * 24 * time.Hour

// State is the agent's state file: who it is, and what the backend has
// acknowledged. It is safe for concurrent use. Changes are in memory until
// Save.
type State struct {
	file *store.File[document]
	turn chan struct{} // held while saving

	inTheWay bool // at path is what may have to be kept; guarded by turn

	mu      sync.Mutex
	doc     document
	changes int // since the start
	saved   int // of them
}

// document is what the file holds, as JSON. It can be lost at the price of a
// gap that is not filled.
type document struct {
	// Instance is the service.instance.id, a UUID.
	Instance string `json:"instance_id"`
	// Marks are the newest acknowledged timestamps by module id; those of
	// rooms by room id.
	Marks map[string]time.Time `json:"marks"`
	// Cadences are the distances of two uploads in seconds by station id. With
	// them a gap is seen, and the station followed, from the first poll on.
	Cadences map[string]float64 `json:"cadences,omitempty"`
}

// ReadState reads the state file at path and leaves it as it is. The error is
// an [fs.ErrNotExist] before the first start of an agent, a
// *[store.CorruptError], or says why it cannot be read.
func ReadState(path string) (*State, error) {
	s := newState(path)
	if err := s.load(); err != nil {
		return nil, err
	}
	return s, nil
}

// OpenState reads the state file at path. It writes only where it must: it
// begins a file where there is none, gives it an instance id where it has
// none, and keeps a damaged one aside and says so in the log. There is always a
// State; the error says why it is in memory alone, until a Save succeeds.
func OpenState(path string, log *slog.Logger) (*State, error) {
	s := newState(path)
	_, statErr := os.Stat(path)
	err := s.load()
	s.inTheWay = err != nil && !errors.Is(err, fs.ErrNotExist)
	kept, keepErr := s.makeWay()
	_, noID := uuid.Parse(s.doc.Instance)
	if kept != "" {
		log.Warn("the state file is damaged: starting a new one; the login is not affected, readings missed before this start are not filled in, and the agent's series in the backend begin anew", "error", err, "kept", kept)
	} else if noID != nil && statErr == nil {
		log.Warn("the state file has no usable instance id: the agent gets a new one, and its series in the backend begin anew", "file", path)
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

// makeWay keeps a damaged file aside, before it is replaced. A file that cannot
// be read is not replaced at all.
func (s *State) makeWay() (kept string, err error) {
	if !s.inTheWay {
		return "", nil
	}
	_, err = s.file.Load()
	if corrupt, ok := errors.AsType[*store.CorruptError](err); ok {
		if kept, err = s.file.KeepBad(time.Now()); err != nil {
			return "", fmt.Errorf("%w; and it cannot be kept aside: %w", corrupt, err)
		}
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%w; move it away, or let this user read it", err)
	}
	s.inTheWay = false
	return kept, nil
}

func newState(path string) *State {
	return &State{file: store.New[document](path), turn: make(chan struct{}, 1)}
}

func (s *State) load() (err error) {
	s.doc, err = s.file.Load()
	if s.doc.Marks == nil {
		s.doc.Marks = map[string]time.Time{}
	}
	maps.DeleteFunc(s.doc.Cadences, func(_ string, seconds float64) bool { // whoever wrote them
		return seconds < 1 || seconds > longest.Seconds()*3/2
	})
	if s.doc.Cadences == nil {
		s.doc.Cadences = map[string]float64{}
	}
	return err
}

// InstanceID returns the UUID of this installation.
func (s *State) InstanceID() string { return s.doc.Instance }

// Acknowledged returns of how many modules the backend has values, and when it
// acknowledged the newest, the zero time if it has none.
func (s *State) Acknowledged() (modules int, newest time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.doc.Marks {
		newest = later(newest, t)
	}
	return len(s.doc.Marks), newest
}

// Save writes what changed since the last Save, atomically and durably.
func (s *State) Save() error {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()

	s.mu.Lock()
	changes := s.changes
	now := document{s.doc.Instance, maps.Clone(s.doc.Marks), maps.Clone(s.doc.Cadences)}
	unchanged := changes == s.saved
	s.mu.Unlock()
	if unchanged {
		return nil
	}
	if _, err := s.makeWay(); err != nil {
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

func (s *State) mark(module string) (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.doc.Marks[module]
	return t, ok
}

func (s *State) setMark(module string, t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.doc.Marks[module] = t.UTC().Truncate(time.Millisecond)
	s.changes++
}

func (s *State) cadence(station string) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Duration(s.doc.Cadences[station] * float64(time.Second))
}

func (s *State) setCadence(station string, c time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := c.Seconds(); n > 0 && s.doc.Cadences[station] != n {
		s.doc.Cadences[station] = n
		s.changes++
	}
}

// forget drops the marks before the time of modules that are not there, and
// the cadences of stations that are not there and have no mark.
func (s *State) forget(before time.Time, there map[string]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := len(s.doc.Marks) + len(s.doc.Cadences)
	maps.DeleteFunc(s.doc.Marks, func(id string, t time.Time) bool { return !there[id] && t.Before(before) })
	maps.DeleteFunc(s.doc.Cadences, func(id string, _ float64) bool {
		_, marked := s.doc.Marks[id]
		return !there[id] && !marked
	})
	if len(s.doc.Marks)+len(s.doc.Cadences) < known {
		s.changes++
	}
}
