package auth

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"syscall"
	"time"

	"netatmo-agent/agent/outage"
	"netatmo-agent/store"
)

// saving is the schedule for retrying saves.
type saving struct {
	fails int
	next  time.Time

	// Guarded by Source.turn.
	inPlace  bool // the last save had to overwrite the file in place
	log      *outage.Log
	intruder *outage.Log // about programs that put old logins into the file
}

// save writes the pair in memory to the disk. If that fails, Run tries again.
// The caller holds the turn and the lock.
func (s *Source) save() error {
	d := s.current()
	err := s.write(d)
	s.saved(d, err)
	return err
}

// prove shows that a save works, by saving again what is saved already. The
// caller holds the turn and the lock.
func (s *Source) prove() error {
	d := s.current()
	err := s.write(d)
	if err != nil {
		on, loadErr := s.file.Load()
		if s.isOnDisk() && loadErr == nil && on.same(d) {
			return err // nothing is lost
		}
	}
	s.saved(d, err)
	return err
}

// write replaces the file, or else overwrites it in place, because a full disk
// and a file that is a mount point allow only that. The old pair in the file is
// either the same or no longer works.
func (s *Source) write(d document) error {
	s.keepDamaged()
	err := s.file.Save(d)
	if err == nil {
		s.saving.inPlace = false
		return nil
	}
	if over := s.file.Overwrite(d); over != nil {
		if errors.Is(over, fs.ErrNotExist) || sameCause(over, err) {
			return err // the second error adds nothing
		}
		return fmt.Errorf("%w; and to overwrite it: %w", err, over)
	}
	if !s.saving.inPlace {
		s.log.Warn("the token file can only be overwritten in place, which a power cut can damage; fix the cause", "file", s.cfg.TokenFile, "error", err)
	}
	s.saving.inPlace = true
	return nil
}

func sameCause(a, b error) bool {
	one, ofSystem := errors.AsType[syscall.Errno](a)
	other, _ := errors.AsType[syscall.Errno](b)
	return ofSystem && one == other
}

// saved notes and logs the result of saving d, the pair in memory.
func (s *Source) saved(d document, err error) {
	s.locked(func(now time.Time) {
		if err == nil {
			s.stored, s.disk = onDisk, d
			s.saving.fails = 0
			return
		}
		s.stored = unsaved
		s.saving.fails++
		s.saving.next = now.Add(outage.Backoff(s.saving.fails, minRetry, maxRetry))
	})
	if err == nil {
		s.saving.log.OK()
		return
	}
	s.saving.log.FailedAt(slog.LevelError, "save", err, "file", s.cfg.TokenFile, "effect", "the login exists only in memory and is lost if this process ends before a save succeeds")
}

// keepDamaged copies content that cannot be understood before a save replaces
// it, because its author may want it back.
func (s *Source) keepDamaged() {
	_, err := s.file.Load()
	damage, ok := errors.AsType[*store.CorruptError](err)
	if !ok {
		return
	}
	kept, err := s.file.KeepBad(time.Now())
	if err != nil {
		s.log.Warn("could not keep a copy of the damaged token file", "file", s.cfg.TokenFile, "error", err)
		return
	}
	s.log.Warn("kept a copy of the damaged token file", "file", s.cfg.TokenFile, "copy", kept, "damage", damage)
}

// current returns the pair in memory.
func (s *Source) current() document {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pair.document
}

func (s *Source) isOnDisk() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stored == onDisk
}
