package auth

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"syscall"
	"time"

	"netatmo-agent/store"
)

// open tests that the token file can be saved, and applies the rules for a
// token file at start.
func (s *Source) open(ctx context.Context) error {
	if err := store.CheckRegular(s.cfg.TokenFile); err != nil {
		return fmt.Errorf("the token file cannot be used: %w", err)
	}
	slow := time.AfterFunc(time.Second, func() {
		s.log.Warn("waiting for the token file, which another process has locked", "lock", s.lockPath)
	})
	lock, err := s.lock(ctx)
	slow.Stop()
	if held, ok := errors.AsType[*store.HeldError](err); ok {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("%s has locked the token file for more than %v; check whether it hangs: %w", held.Holder(), lockTimeout, err)
	}
	if err != nil {
		return fmt.Errorf("the token file's directory cannot be used: %w", err)
	}
	defer s.unlock(lock)
	if s.probe, err = s.file.Probe(); err != nil {
		return fmt.Errorf("the token file cannot be used: %w", err)
	}
	s.logProbe(s.probe)

	d, err := s.file.Load()
	damage, damaged := errors.AsType[*store.CorruptError](err)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		s.lost = loginError(CauseNone, nil)
		s.log.Debug("there is no login yet", "file", s.cfg.TokenFile)
	case damaged:
		s.lost = damagedError(damage)
		s.log.Warn("the token file is damaged and counts as no login; a copy is kept when the next login is saved", "file", s.cfg.TokenFile, "error", damage.Err)
	case err != nil:
		return fmt.Errorf("the token file cannot be used: %w", err)
	case s.cfg.IgnoreExpired && d.Access != "" && !d.Expiry.IsZero() && !time.Now().Before(d.Expiry):
		s.lost, s.disk = loginError(CauseIgnored, nil), d
		s.log.Warn("the access token in the token file has expired and is ignored, because NETATMO_EXPIRED_TOKEN is set to ignore", "file", s.cfg.TokenFile, "expiry", d.Expiry)
	default:
		s.adopt(d)
	}
	return nil
}

// adopt takes a pair from the file into memory. The caller holds the turn and
// the lock, or nobody knows the Source yet.
func (s *Source) adopt(d document) {
	s.schedule.log.OK()
	var p pair
	s.locked(func(now time.Time) {
		p = newPair(d, now)
		s.pair, s.disk, s.stored, s.lost, s.missing = p, d, onDisk, nil, nil
		s.schedule.succeeded()
		s.schedule.rejections = 0
		s.schedule.wanted = p.Refresh != "" && (p.unsure || !p.alive(now))
	})
	log := s.log.With("file", s.cfg.TokenFile)
	log.Info("loaded the login from the token file", "expiry", p.until)
	switch {
	case d.Refresh == "":
		log.Warn("the token file has no refresh_token; the login ends when its access token expires", "expiry", p.until)
	case d.Access == "":
		log.Info("the token file has only a refresh_token; using it now")
	case p.unsure:
		log.Warn("the token file has no valid expiry; renewing the access token now")
	case !p.alive(p.since):
		log.Warn("the access token in the token file has expired; renewing it now", "expiry", d.Expiry)
	}
}

// Reread loads what another process has saved to the token file. If that
// process is renewing the token, Reread waits for it. It makes no request, and
// changes nothing if the file cannot be read.
func (s *Source) Reread(ctx context.Context) {
	if s.take(ctx) != nil {
		return
	}
	defer s.release()
	lock, err := s.lock(ctx)
	if err != nil {
		return // whoever holds it may be saving a login
	}
	defer s.unlock(lock)
	s.reload()
}

// reload adopts what another process, or a human, has put into the file. A
// missing or damaged file changes nothing. A pair that this process has already
// used comes from a backup, or from a program that read it earlier, and is not
// adopted. The caller holds the turn and the lock.
func (s *Source) reload() {
	d, err := s.file.Load()
	if err != nil {
		return
	}
	foreign, dead := false, false
	s.locked(func(time.Time) {
		switch {
		case d.same(s.disk):
		case d.same(s.pair.document): // a save that seemed to have failed
			s.disk = d
		case s.stored != onDisk && (d.kin(s.pair.document) || d.kin(s.disk)): // what such a save left
		case s.lost == nil && slices.Contains(s.spent, d.Refresh):
			s.disk, s.stored, dead = d, unsaved, true
		default:
			foreign = true
			if d.Expiry.After(s.pair.Expiry) { // another command has renewed ours, or logged in
				s.spend(d.Refresh)
			}
		}
	})
	if dead {
		s.saving.intruder.Failed("spent", errors.New("it wrote an older login, which no longer works; the current login is written back. Stop that program or give it a token file of its own"),
			"file", s.cfg.TokenFile)
	}
	if foreign {
		s.adopt(d)
	}
}

func (s *Source) logProbe(p store.Probe) {
	log := s.log.With("file", s.cfg.TokenFile)
	if p.Created {
		log.Info("created the directory of the token file")
	}
	if p.Narrowed != 0 {
		log.Warn("token file was readable by others; changed its mode to 0600", "mode", fmt.Sprintf("%04o", p.Narrowed))
	}
	if p.OtherOwner {
		log.Warn("the token file belongs to a different user than this process; run the agent and its commands as the same user")
	}
	s.saving.inPlace = p.InPlaceOnly
	switch {
	case !p.InPlaceOnly:
	case errors.Is(p.Why, syscall.EBUSY):
		log.Warn("the token file is a mount of its own and can only be overwritten in place, which a power cut can damage; mount its directory instead")
	default:
		log.Warn("the token file can only be overwritten in place, which a power cut can damage; free some space", "error", p.Why)
	}
}
