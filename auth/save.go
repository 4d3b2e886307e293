package auth

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"syscall"
	"time"

	"netatmo-agent/store"
)

// saving is the schedule of saves that are tried again.
type saving struct {
	fails     int
	next      time.Time
	inPlace   bool // the file could only be written over the last time
	complaint complaint
}

// save brings the pair in memory to the disk. On failure it is tried again by
// Run. The caller holds the turn and the lock.
func (s *Source) save() error {
	d := s.current()
	err := s.write(d)
	s.saved(d, err)
	return err
}

// prove shows that a save works, by saving what is saved already. The caller
// holds the turn and the lock.
func (s *Source) prove() error {
	d := s.current()
	err := s.write(d)
	if err != nil {
		s.mu.Lock()
		safe := !s.unsaved
		s.mu.Unlock()
		if on, loadErr := s.file.Load(); safe && loadErr == nil && on.same(d) {
			return err // nothing is lost
		}
	}
	s.saved(d, err)
	return err
}

// write replaces the file, else writes over it: a full disk and a file that is a
// mount point allow only that, and the old pair in it is dead or the same.
func (s *Source) write(d document) error {
	s.keepDamaged()
	err := s.file.Save(d)
	if err == nil {
		s.mu.Lock()
		s.saving.inPlace = false
		s.mu.Unlock()
		return nil
	}
	if over := s.file.Overwrite(d); over != nil {
		if errors.Is(over, fs.ErrNotExist) || sameCause(over, err) { // there is nothing to write over, or to add
			return err
		}
		return fmt.Errorf("%w; and to write over it: %w", err, over)
	}
	s.mu.Lock()
	known := s.saving.inPlace
	s.saving.inPlace = true
	s.mu.Unlock()
	if !known {
		s.log.Warn("the token file could only be written over in place, where a power cut can damage it; see to the cause", "file", s.cfg.TokenFile, "error", err)
	}
	return nil
}

func sameCause(a, b error) bool {
	one, ofSystem := errors.AsType[syscall.Errno](a)
	other, _ := errors.AsType[syscall.Errno](b)
	return ofSystem && one == other
}

// saved notes and says what became of saving d, the pair in memory.
func (s *Source) saved(d document, err error) {
	var level slog.Level
	over := false
	s.locked(func(now time.Time) {
		s.settling, s.unsaved = false, err != nil
		if err == nil {
			s.disk = d
			s.saving.fails, over = 0, s.saving.complaint.over()
			return
		}
		s.saving.fails++
		s.saving.next = now.Add(backoff(s.saving.fails))
		level = s.saving.complaint.level(now, "save", slog.LevelError)
	})
	if err != nil {
		s.log.Log(context.Background(), level, "the login is in memory alone and is lost if this process ends now; saving is tried again", "file", s.cfg.TokenFile, "error", err)
	}
	if over {
		s.log.Info("the login is saved now", "file", s.cfg.TokenFile)
	}
}

// keepDamaged keeps a copy of a content that is about to be replaced and cannot
// be understood. Whoever wrote it may want it back.
func (s *Source) keepDamaged() {
	_, err := s.file.Load()
	damage, ok := errors.AsType[*store.CorruptError](err)
	if !ok {
		return
	}
	kept, err := s.file.KeepBad(time.Now())
	if err != nil {
		s.log.Warn("the damaged content of the token file could not be kept", "file", s.cfg.TokenFile, "error", err)
		return
	}
	s.log.Warn("the damaged content of the token file is kept beside it", "file", s.cfg.TokenFile, "kept", kept, "damage", damage)
}

// current returns the pair in memory.
func (s *Source) current() document {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held.document
}
