package auth

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"syscall"
	"time"

	"netatmo-agent/store"
)

// open proves that the path can be saved to, and applies the rules for a token
// file at start.
func (s *Source) open(ctx context.Context) error {
	if err := store.CheckRegular(s.cfg.TokenFile); err != nil {
		return fmt.Errorf("the token file cannot be used: %w", err)
	}
	slow := time.AfterFunc(time.Second, func() {
		s.log.Warn("waiting for the token file, whose lock another process holds", "lock", s.lockPath)
	})
	lock, err := s.lock(ctx)
	slow.Stop()
	if held, ok := errors.AsType[*store.HeldError](err); ok {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("%s has been holding the token file for more than %v; see what that process does, it may hang: %w", held.Holder(), lockTimeout, err)
	}
	if err != nil {
		return fmt.Errorf("the directory of the token file cannot be used: %w", err)
	}
	defer s.unlock(lock)
	if s.probe, err = s.file.Probe(); err != nil {
		return fmt.Errorf("the token file cannot be used: %w", err)
	}
	s.tellProbe(s.probe)

	d, err := s.file.Load()
	damage, damaged := errors.AsType[*store.CorruptError](err)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		s.lost = loginError(CauseNone, nil)
		s.log.Debug("there is no login yet", "file", s.cfg.TokenFile)
	case damaged:
		s.lost = damagedError(damage)
		s.watch.damage = damage.Error()
		s.log.Warn("the token file cannot be understood and counts as no login; its content is kept when the next one is saved", "file", s.cfg.TokenFile, "error", damage.Err)
	case err != nil:
		return fmt.Errorf("the token file cannot be used: %w", err)
	case s.cfg.IgnoreExpired && d.Access != "" && !d.Expiry.IsZero() && !time.Now().Before(d.Expiry):
		s.lost, s.disk = loginError(CauseIgnored, nil), d
		s.log.Warn("the access token in the token file has expired and is left alone, as NETATMO_EXPIRED_TOKEN=ignore says", "file", s.cfg.TokenFile, "expiry", d.Expiry)
	default:
		s.adopt(d)
	}
	return nil
}

// adopt takes a pair from the file into memory. The caller holds the turn and
// the lock, or nobody knows the Source yet.
func (s *Source) adopt(d document) {
	var h held
	s.locked(func(now time.Time) {
		h = hold(d, now)
		s.held, s.disk, s.unsaved, s.lost, s.missing = h, d, false, nil, nil
		s.renewal.succeeded()
		s.renewal.complaint, s.renewal.rejections = complaint{}, 0
		s.renewal.wanted = h.Refresh != "" && (h.unsure || !h.alive(now))
	})
	log := s.log.With("file", s.cfg.TokenFile)
	switch {
	case d.Refresh == "":
		log.Warn("the token file has no refresh_token, so the login cannot be renewed and ends with its access token", "expiry", h.until)
	case d.Access == "":
		log.Info("the token file has only a refresh_token; it is used at once")
	case h.unsure:
		log.Warn("the token file has no usable expiry, so the access token is renewed at once")
	case !h.alive(h.since):
		log.Warn("the access token in the token file has expired; it is renewed at once", "expiry", d.Expiry)
	}
}

// reload takes up what another process, or a human, has put into the file. What
// is missing or damaged there changes nothing, and a pair that was used up here
// is what another program had read before, or a backup: memory is right. The
// caller holds the turn and the lock.
func (s *Source) reload() {
	d, err := s.file.Load()
	if err != nil {
		return
	}
	foreign := false
	spent := slog.Level(0)
	s.locked(func(now time.Time) {
		switch {
		case d.same(s.disk):
		case d.same(s.held.document): // a save that was thought to have failed
			s.disk = d
		case s.unsaved && (d.kin(s.held.document) || d.kin(s.disk)): // the remains of such a save
		case s.lost == nil && slices.Contains(s.spent, d.Refresh):
			s.disk, s.unsaved = d, true
			spent = s.intruder.level(now, "spent", slog.LevelWarn)
		default:
			foreign = true
			if d.Expiry.After(s.held.Expiry) { // another command has renewed ours, or logged in
				s.spend(d.Refresh)
			}
		}
	})
	if spent != 0 {
		s.log.Log(context.Background(), spent, "another program has put a login into the token file that this one has renewed since and that is dead; it is replaced by the living one. Let that program stop, or give it a file of its own", "file", s.cfg.TokenFile)
	}
	if foreign {
		s.log.Info("another process has changed the token file", "file", s.cfg.TokenFile)
		s.adopt(d)
	}
}

func (s *Source) tellProbe(p store.Probe) {
	log := s.log.With("file", s.cfg.TokenFile)
	if p.Created {
		log.Info("created the directory of the token file")
	}
	if p.Narrowed != 0 {
		log.Warn("others could read the token file; its mode is 0600 now", "mode", fmt.Sprintf("%04o", p.Narrowed))
	}
	if p.OtherOwner {
		log.Warn("the token file belongs to another user than this process runs as; start the agent and its commands as the same user")
	}
	if !p.InPlaceOnly {
		return
	}
	s.saving.inPlace = true
	if errors.Is(p.Why, syscall.EBUSY) {
		log.Warn("the token file is a mount of its own and can only be written over in place, where a power cut can damage it; mount its directory instead")
		return
	}
	log.Warn("the token file can only be written over in place, where a power cut can damage it; free some space", "error", p.Why)
}
