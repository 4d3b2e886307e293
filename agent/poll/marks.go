package poll

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/google/uuid"

	"netatmo-agent/store"
)

// Marks is the agent's state file: who it is, and what the backend has
// acknowledged. It is safe for concurrent use. Changes are in memory until
// Save.
type Marks struct {
	file *store.File[state]
	turn chan struct{} // held while saving

	mu      sync.Mutex
	state   state
	changes int // since the start
	saved   int // of them
}

// state is the JSON document. What it holds can be lost at the price of a gap
// that is not filled.
type state struct {
	// Instance is the service.instance.id, a UUID.
	Instance string `json:"instance_id"`
	// Marks are the newest acknowledged timestamps by module id; those of
	// rooms by room id.
	Marks map[string]time.Time `json:"marks"`
	// Cadences are the distances of two uploads in seconds by station id. With
	// them a gap is seen, and the station followed, from the first poll on.
	Cadences map[string]float64 `json:"cadences,omitempty"`
}

// OpenMarks reads the state file at path, or begins a new one with a new
// instance id. A damaged file is kept aside and said in the log. If all that is
// wrong is that the file cannot be written, there are Marks beside the error.
func OpenMarks(path string, log *slog.Logger) (*Marks, error) {
	m := &Marks{file: store.New[state](path), turn: make(chan struct{}, 1)}
	var err error
	m.state, err = m.file.Load()
	var corrupt *store.CorruptError
	switch {
	case err == nil, errors.Is(err, fs.ErrNotExist):
	case errors.As(err, &corrupt):
		kept, keepErr := m.file.KeepBad(time.Now())
		if keepErr != nil {
			return nil, fmt.Errorf("%w; and it cannot be kept aside: %w", err, keepErr)
		}
		log.Warn("the state file is damaged: starting a new one; the login is not affected, readings missed before this start are not filled in", "error", err, "kept", kept)
		m.state = state{}
	default:
		return nil, fmt.Errorf("read the state file: %w", err)
	}
	if m.state.Marks == nil {
		m.state.Marks = map[string]time.Time{}
	}
	if m.state.Cadences == nil {
		m.state.Cadences = map[string]float64{}
	}
	if _, err := uuid.Parse(m.state.Instance); err != nil {
		m.state.Instance = uuid.NewString()
		m.changes++
	}
	return m, m.Save()
}

// InstanceID returns the UUID of this installation.
func (m *Marks) InstanceID() string { return m.state.Instance }

// Save writes what changed since the last Save, atomically and durably.
func (m *Marks) Save() error {
	m.turn <- struct{}{}
	defer func() { <-m.turn }()

	m.mu.Lock()
	changes := m.changes
	now := state{m.state.Instance, maps.Clone(m.state.Marks), maps.Clone(m.state.Cadences)}
	unchanged := changes == m.saved
	m.mu.Unlock()
	if unchanged {
		return nil
	}
	if err := m.file.Save(now); err != nil {
		return fmt.Errorf("save the state file: %w", err)
	}
	m.mu.Lock()
	m.saved = changes
	m.mu.Unlock()
	return nil
}

func (m *Marks) mark(module string) (time.Time, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t, ok := m.state.Marks[module]
	return t, ok
}

func (m *Marks) setMark(module string, t time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state.Marks[module] = t.UTC().Truncate(time.Millisecond)
	m.changes++
}

func (m *Marks) cadence(station string) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Duration(m.state.Cadences[station] * float64(time.Second))
}

func (m *Marks) setCadence(station string, c time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := c.Seconds(); s > 0 && m.state.Cadences[station] != s {
		m.state.Cadences[station] = s
		m.changes++
	}
}
