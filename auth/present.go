package auth

import "time"

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
