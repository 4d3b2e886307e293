package auth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/oauth2"

	"netatmo-agent/store"
)

// Config is what a Source needs to know.
type Config struct {
	ClientID, ClientSecret string
	APIURL                 string   // base of /oauth2/authorize and /oauth2/token
	External               *url.URL // base of the login pages as the browser sees it, no slash at its end
	Scopes                 []string
	TokenFile              string       // token.lock stands beside it, at the end of its symbolic links
	IgnoreExpired          bool         // leave an expired token file alone at start, and wait for a login
	HTTPClient             *http.Client // its transport is used if there is one
	Logger                 *slog.Logger // nil: none
	UserAgent              string
}

// RedirectURL returns where Netatmo sends the browser back to. It is to be
// registered at the app.
func (c Config) RedirectURL() string { return c.External.JoinPath(callbackPath).String() }

// tokenFile is the part of *store.File that a Source uses.
type tokenFile interface {
	Probe() (store.Probe, error)
	Load() (document, error)
	Save(d document) error
	Overwrite(d document) error
	KeepBad(now time.Time) (string, error)
}

// Source is the only owner of the login in a process. It is safe for concurrent
// use. All processes that use the token file take turns by token.lock.
type Source struct {
	cfg      Config
	oauth    *oauth2.Config
	client   *http.Client
	file     tokenFile
	lockPath string
	log      *slog.Logger
	probe    store.Probe // as open found it

	// turn is held by whoever reads the file, asks Netatmo, or saves. It is a
	// channel and not a mutex, so that waiting for it can be cancelled.
	turn chan struct{}
	poke chan struct{} // wakes Run

	mu       sync.Mutex // guards what follows, never held across I/O
	held     held       // the pair in memory
	disk     document   // what the file held when it was last read or written
	spent    []string   // refresh tokens that are known to be used up, newest last
	intruder complaint  // about who puts them into the file
	settling bool       // held came from Netatmo just now, and saving it was not tried yet
	lost     *LoginError
	missing  []string
	renewal  renewal
	saving   saving
	unsaved  bool // held is not on the disk for certain

	refreshes map[Outcome]int64
	stopping  <-chan struct{} // closed when no refresh may begin any more: New's or Run's ctx has ended
	seen      view            // as last told
	changed   chan struct{}

	watch watch // of Run alone
}

// view is what Changed tells about.
type view struct {
	authorized, waiting bool
	access              string
}

// New proves that the token file can be saved and loads it. It makes no
// request. An error says what is wrong with the path and what to do; a content
// that is missing, expired or damaged is no error but a login to wait for. It
// wraps a *[store.HeldError] if another process does not let go of the file;
// the end of ctx ends the wait for that sooner, as the end of Run's does later.
func New(ctx context.Context, cfg Config) (*Source, error) {
	target, err := store.Target(cfg.TokenFile)
	if err != nil {
		return nil, fmt.Errorf("the token file cannot be used: %w", err)
	}
	s := &Source{
		cfg: cfg,
		oauth: &oauth2.Config{
			ClientID:     cfg.ClientID,
			ClientSecret: cfg.ClientSecret,
			RedirectURL:  cfg.RedirectURL(),
			Scopes:       cfg.Scopes,
			Endpoint: oauth2.Endpoint{
				AuthURL:  cfg.APIURL + "/oauth2/authorize",
				TokenURL: cfg.APIURL + "/oauth2/token",
				// Otherwise x/oauth2 tries the header first, and sends everything
				// again in the body after any error.
				AuthStyle: oauth2.AuthStyleInParams,
			},
		},
		client:    newTokenClient(cfg.HTTPClient, cfg.UserAgent),
		file:      store.New[document](cfg.TokenFile),
		lockPath:  filepath.Join(filepath.Dir(target), "token.lock"),
		log:       cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler)),
		turn:      make(chan struct{}, 1),
		poke:      make(chan struct{}, 1),
		refreshes: make(map[Outcome]int64),
		changed:   make(chan struct{}),
		stopping:  ctx.Done(),
	}
	return s, s.open(ctx)
}

// Probe returns what New found out about the token file.
func (s *Source) Probe() store.Probe { return s.probe }

// Token returns a valid access token, after renewing it where that is due. A
// refresh that it begins is not cancelled with ctx: Token returns when the
// answer is in and saved, which may take minutes. The error is a
// *[LoginError] when a human is needed; all others pass.
func (s *Source) Token(ctx context.Context) (string, error) {
	if access, known, err := s.ready(); known {
		return access, err
	}
	if err := s.take(ctx); err != nil {
		return "", err
	}
	defer s.release()
	if access, known, err := s.ready(); known { // somebody else has renewed it
		return access, err
	}
	err := s.refresh(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held.alive(time.Now()) {
		return s.held.Access, nil
	}
	return "", cmp.Or(err, errOutlived)
}

var errOutlived = errors.New("the new access token expired before it could be used; is its life some seconds, or the clock wrong?")

var errStopping = errors.New("shutting down, so no new access token is asked for")

// ready answers a call of Token from memory: by the access token or by why there
// is none. It knows no answer when the token has to be renewed first.
func (s *Source) ready() (access string, known bool, err error) {
	s.locked(func(now time.Time) {
		later := s.lost != nil || s.stopped() || now.Before(s.renewal.next)
		need := s.need(now)
		switch {
		case s.settling: // not before it is saved
			return
		case s.held.fresh(now), later && s.held.alive(now):
			access = s.held.Access
		case need != nil:
			err = need
		case s.stopped():
			err = errStopping
		case later:
			err = s.renewal.err
		default:
			return
		}
		known = true
	})
	return access, known, err
}

// need returns why a login is needed, nil while there is one that works. The
// caller holds mu.
func (s *Source) need(now time.Time) *LoginError {
	switch {
	case s.held.alive(now):
		return nil
	case s.lost != nil:
		return s.lost
	case s.held.Refresh == "" && s.held.rejected:
		return loginError(CauseRejected, nil)
	case s.held.Refresh == "":
		return loginError(CauseExpired, nil)
	case s.renewal.refusals > 0:
		return doubtError(s.renewal.believed, s.renewal.err)
	}
	return nil
}

// stopped reports whether Run was told to end. The caller holds mu.
func (s *Source) stopped() bool {
	select {
	case <-s.stopping:
		return true
	default:
		return false
	}
}

// Reject tells that the API did not accept an access token (its codes 2 and 3).
// If it is still the one in use, the next call of Token renews it.
func (s *Source) Reject(accessToken string) {
	s.locked(func(now time.Time) {
		if accessToken == "" || s.held.Access != accessToken || s.held.rejected {
			return
		}
		s.held.rejected = true
		young := now.Sub(s.held.since) < min(time.Minute, s.held.life/2)
		s.renewal.tokenRejected(now, young)
	})
}

// RefuseScope tells that Netatmo refused something for want of a scope. The
// login opens again, and the token goes on being used.
func (s *Source) RefuseScope(scope string) {
	known := false
	s.locked(func(time.Time) {
		if known = slices.Contains(s.missing, scope); !known {
			s.missing = append(s.missing, scope)
		}
	})
	if !known {
		s.log.Warn("the login lacks a scope; log in again to grant it, the rest goes on meanwhile", "scope", scope)
	}
}

// ScopeGranted takes back RefuseScope, as a new login does by itself.
func (s *Source) ScopeGranted(scope string) {
	s.locked(func(time.Time) {
		s.missing = slices.DeleteFunc(s.missing, func(m string) bool { return m == scope })
	})
}

// Changed returns a channel that is closed at the next change of the token, of
// Authorized or of Waiting. Fetch it before looking at Status.
func (s *Source) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// locked acts on the state, and tells about what has changed, by the act or by
// the passing of time.
func (s *Source) locked(act func(now time.Time)) {
	s.mu.Lock()
	now := time.Now()
	act(now)
	need := s.need(now)
	is, was := view{need == nil, need != nil || len(s.missing) > 0, s.held.Access}, s.seen
	if s.settling || is == was {
		s.mu.Unlock()
		return
	}
	s.seen = is
	close(s.changed)
	s.changed = make(chan struct{})
	log := s.log
	if s.held.until.After(now) {
		log = log.With("expiry", s.held.until)
	}
	s.mu.Unlock()

	s.wake()
	if is.authorized && !was.authorized {
		log.Info("logged in to Netatmo")
	}
	if !is.authorized && was.authorized {
		s.log.Error("the login is lost", "cause", need.Cause)
	}
}

// wake lets Run look at its schedule.
func (s *Source) wake() {
	select {
	case s.poke <- struct{}{}:
	default:
	}
}

// take waits for the turn.
func (s *Source) take(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case s.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Source) release() { <-s.turn }
