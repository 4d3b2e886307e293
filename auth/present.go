package auth

import (
	"context"
	"time"
)

// Present returns the access token while it is valid, else nothing, and whether
// there is a refresh token. It asks nobody and changes nothing, for those who
// only want to look: what has to be renewed stays as it is.
func (s *Source) Present() (access string, renewable bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held.alive(time.Now()) {
		access = s.held.Access
	}
	return access, s.held.Refresh != ""
}

// Reread takes up what another process has put into the token file meanwhile,
// after waiting for a renewal that is under way there. It asks nobody. If the
// file cannot be read, all stays as it is.
func (s *Source) Reread(ctx context.Context) {
	if s.take(ctx) != nil {
		return
	}
	defer s.release()
	lock, err := s.lock(ctx)
	if err != nil {
		return
	}
	defer s.unlock(lock)
	s.reload()
}
