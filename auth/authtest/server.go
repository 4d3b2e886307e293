package authtest

import (
	"crypto/rand"
	"encoding/hex"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	defaultUser  = "5a1b2c3d4e5f60718293a4b5"
	defaultLife  = 3 * time.Hour
	defaultScope = "read_station" // what Netatmo grants if no scope is requested
	codeLife     = 10 * time.Minute
)

// Options describe the app and the account that the server knows.
type Options struct {
	ClientID, ClientSecret string
	RedirectURIs           []string         // as registered with the app; empty: any works
	TokenLife              time.Duration    // of an access token; 0: 3 h
	UserID                 string           // 24 hex digits, the first half of every token; empty: a made-up one
	AutoConsent            bool             // /oauth2/authorize redirects at once, without a consent page
	NoRotation             bool             // as before June 2024: a refresh keeps the refresh token, and the access token while it is valid
	GrantScopes            []string         // always granted; nil: those requested
	Now                    func() time.Time // nil: time.Now
}

// Server is an OAuth 2 server for one app and one account: a handler for
// /oauth2/authorize and /oauth2/token. It is safe for concurrent use.
type Server struct {
	opts Options

	mu         sync.Mutex // never held while waiting
	current    grant      // zero if nothing was granted or everything was revoked
	codes      map[string]code
	faults     []Fault
	requests   map[Request]int
	issued     []Issued
	refreshing int
	maxAtOnce  int
}

// Pair is an access token and the refresh token issued with it.
type Pair struct {
	Access, Refresh string
	Expiry          time.Time // of the access token
}

type grant struct {
	Pair
	scopes []string
}

type code struct {
	redirectURI string
	scopes      []string
	expiry      time.Time
}

// Verdict is what the API needs to know about an access token. To a token that is
// neither valid nor expired the API answers with code 2, to an expired one with
// code 3.
type Verdict struct {
	Valid, Expired bool
	Scopes         []string
	User           string
}

// Request is a kind of request to /oauth2/token and its outcome.
type Request struct {
	Grant   string // "authorization_code", "refresh_token", … as sent
	Outcome string // "ok", "lost" (took effect, answer not sent), "hung up", an error string such as "invalid_grant", or an HTTP status such as "503"
}

// Issued is a pair that the server made.
type Issued struct {
	Pair
	Grant    string // as in Request, or "generator"
	Answered bool   // the answer that carries it was sent
}

// Stats counts what has happened so far.
type Stats struct {
	Requests      map[Request]int
	MaxConcurrent int      // highest number of refreshes at the same time
	Issued        []Issued // every pair ever made, oldest first
}

// Refreshes counts the refreshes that took effect, answered or not.
func (s Stats) Refreshes() int {
	return s.Requests[Request{refreshGrant, "ok"}] + s.Requests[Request{refreshGrant, "lost"}]
}

// New returns a server for the app of opts. Nothing is granted yet.
func New(opts Options) *Server {
	if opts.TokenLife == 0 {
		opts.TokenLife = defaultLife
	}
	if opts.UserID == "" {
		opts.UserID = defaultUser
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Server{opts: opts, codes: make(map[string]code), requests: make(map[Request]int)}
}

// ServeHTTP serves /oauth2/authorize and /oauth2/token.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/oauth2/authorize":
		s.serveAuthorize(w, r)
	case "/oauth2/token":
		s.serveToken(w, r)
	default:
		http.NotFound(w, r)
	}
}

// Check judges an access token, for the API that it is presented to.
func (s *Server) Check(accessToken string) Verdict {
	s.mu.Lock()
	defer s.mu.Unlock()
	if accessToken == "" || accessToken != s.current.Access {
		return Verdict{}
	}
	valid := s.opts.Now().Before(s.current.Expiry)
	return Verdict{Valid: valid, Expired: !valid, Scopes: slices.Clone(s.current.scopes), User: s.opts.UserID}
}

// Grant makes a pair as the token generator of the developer portal does, and
// invalidates the previous one. Without scopes it grants read_station.
func (s *Server) Grant(scopes ...string) Pair {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.issue("generator", scopes)
	s.issued[len(s.issued)-1].Answered = true
	return s.current.Pair
}

// Current returns the current pair, zero if there is none.
func (s *Server) Current() Pair {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current.Pair
}

// Revoke invalidates the current pair, as when the user withdraws the app's
// permission.
func (s *Server) Revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = grant{}
}

// Stats returns a copy of the counts.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{Requests: maps.Clone(s.requests), MaxConcurrent: s.maxAtOnce, Issued: slices.Clone(s.issued)}
}

// issue replaces the current pair. The caller holds mu.
func (s *Server) issue(grantType string, scopes []string) {
	if s.opts.GrantScopes != nil {
		scopes = s.opts.GrantScopes
	}
	if len(scopes) == 0 {
		scopes = []string{defaultScope}
	}
	s.current = grant{
		Pair:   Pair{Access: s.newToken(), Refresh: s.newToken(), Expiry: s.opts.Now().Add(s.opts.TokenLife)},
		scopes: slices.Clone(scopes),
	}
	s.issued = append(s.issued, Issued{Pair: s.current.Pair, Grant: grantType})
}

// renew does what a refresh does to the current pair. The caller holds mu.
func (s *Server) renew() {
	old := s.current
	s.issue(refreshGrant, old.scopes)
	if !s.opts.NoRotation {
		return
	}
	s.current.Refresh = old.Refresh
	if s.opts.Now().Before(old.Expiry) {
		s.current.Access = old.Access
	}
	s.issued[len(s.issued)-1].Pair = s.current.Pair
}

func (s *Server) newToken() string { return s.opts.UserID + "|" + newHex() }

func newHex() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
