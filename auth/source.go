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

	"netatmo-agent/agent/outage"
	"netatmo-agent/store"
)

// Config configures a Source.
type Config struct {
	ClientID, ClientSecret string
	APIURL                 string   // base of /oauth2/authorize and /oauth2/token
	External               *url.URL // base of the login pages as the browser sees it, without a slash at its end
	Scopes                 []string
	TokenFile              string       // token.lock is created beside the file that its symbolic links lead to
	IgnoreExpired          bool         // at start, leave an expired token file alone and wait for a login
	HTTPClient             *http.Client // only its transport is used; nil: the default one
	Logger                 *slog.Logger // nil: none
	UserAgent              string

	// Explain says what is wrong between this machine and Netatmo, and what to do
	// about it, for a token request that failed with err or, if that is nil, got
	// the answer resp. It returns nothing if there is nothing to add. May be nil.
	Explain func(req *http.Request, resp *http.Response, err error) (what, remedy string)

	// OnDate is called with the header Date of every answer of the token endpoint
	// and the local time at that moment. It may be nil.
	OnDate func(server, local time.Time)
}

// CallbackPath is the path of the redirect URI below Config.External.
const CallbackPath = "/auth/callback"

// ExternalURL returns External as people write it: net/url would escape a host
// name with an umlaut.
func (c Config) ExternalURL() string {
	return c.External.Scheme + "://" + c.External.Host + c.External.EscapedPath()
}

// RedirectURL returns the redirect URI, to which Netatmo sends the browser back.
// The user registers it with the app.
func (c Config) RedirectURL() string { return c.ExternalURL() + CallbackPath }

// tokenFile is the part of *store.File that a Source uses.
type tokenFile interface {
	Probe() (store.Probe, error)
	Load() (document, error)
	Save(d document) error
	Overwrite(d document) error
	KeepBad(now time.Time) (string, error)
}

// Source owns the login of a process. It is safe for concurrent use. Processes
// that share the token file take turns with token.lock.
type Source struct {
	cfg      Config
	oauth    *oauth2.Config
	client   *http.Client
	log      *slog.Logger
	file     tokenFile
	lockPath string
	probe    store.Probe // what New found out about the file

	// turn is held while reading the file, asking Netatmo, or saving. It is a
	// channel so that waiting for it can be cancelled.
	turn chan struct{}
	poke chan struct{} // wakes Run

	mu        sync.Mutex // guards what follows; never held during I/O
	pair      pair       // in memory
	disk      document   // the content of the file when it was last read or written
	stored    stored     // whether the file holds the pair
	spent     []string   // refresh tokens that were used, newest last
	lost      *LoginError
	missing   []string // scopes that the login lacks
	ungranted string   // requested scopes that the last token answer lacks; not logged again
	schedule  schedule // of renewals
	saving    saving
	counts    map[Outcome]int64
	stopping  <-chan struct{} // closed once no renewal may begin
	told      view            // at the last change
	changed   chan struct{}
}

// stored says whether the token file holds the pair in memory.
type stored int

const (
	onDisk  stored = iota
	unsaved        // perhaps not; Run saves it again
	arrived        // the pair has just arrived; nobody gets it before the first attempt to save it
)

// view is what Changed reports changes of.
type view struct {
	authorized, waiting bool
	access              string
}

// New tests that the token file can be saved, and loads it. It makes no
// request. An error says what is wrong with the path and what to do. Missing,
// expired or damaged content is not an error: the Source then waits for a
// login. The error wraps a *[store.HeldError] if another process keeps the file
// locked. The end of ctx ends the wait for that lock and, until Run is called,
// prevents renewals.
func New(ctx context.Context, cfg Config) (*Source, error) {
	target, err := store.Target(cfg.TokenFile)
	if err != nil {
		return nil, fmt.Errorf("the token file cannot be used: %w", err)
	}
	log := cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))
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
		client:   newTokenClient(cfg),
		log:      log,
		file:     store.New[document](cfg.TokenFile),
		lockPath: filepath.Join(filepath.Dir(target), "token.lock"),
		turn:     make(chan struct{}, 1),
		poke:     make(chan struct{}, 1),
		schedule: schedule{log: outage.New(log, "renewing the access token")},
		saving:   saving{log: outage.New(log, "saving the login"), intruder: outage.New(log, "sharing the token file with another program")},
		counts:   make(map[Outcome]int64),
		changed:  make(chan struct{}),
		stopping: ctx.Done(),
	}
	return s, s.open(ctx)
}

// Token returns a valid access token, and renews it first if that is due. The
// end of ctx does not cancel a renewal that Token has begun: Token returns when
// the answer is saved, which may take minutes. The error is a *[LoginError] if
// a human is needed; all others are temporary.
func (s *Source) Token(ctx context.Context) (string, error) {
	if access, known, err := s.ready(); known {
		return access, err
	}
	if err := s.take(ctx); err != nil {
		return "", err
	}
	defer s.release()
	if access, known, err := s.ready(); known { // another caller has renewed it
		return access, err
	}
	err := s.refresh(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pair.alive(time.Now()) {
		return s.pair.Access, nil
	}
	return "", cmp.Or(err, errOutlived)
}

var (
	errOutlived = errors.New("the new access token expired before it could be used; check the clock")
	errStopping = errors.New("shutting down; the access token is not renewed")
)

// ready answers a call of Token from memory: with the access token, or with the
// reason why there is none. known is false if a renewal is due.
func (s *Source) ready() (access string, known bool, err error) {
	s.locked(func(now time.Time) {
		later := s.lost != nil || s.stopped() || now.Before(s.schedule.next)
		need := s.need(now)
		switch {
		case s.stored == arrived:
			return
		case s.pair.fresh(now), later && s.pair.alive(now):
			access = s.pair.Access
		case need != nil && (!need.doubt || later):
			err = need
		case s.stopped():
			err = errStopping
		case later:
			err = s.schedule.fault
		default:
			return
		}
		known = true
	})
	return access, known, err
}

// need returns why the login is open: only a human can help, or no access token
// works and its renewal has failed. It is nil otherwise. The caller holds mu.
func (s *Source) need(now time.Time) *LoginError {
	fault := s.schedule.fault
	switch {
	case s.pair.alive(now):
		return nil
	case s.lost != nil:
		return s.lost
	case s.pair.Refresh == "" && s.pair.rejected:
		return loginError(CauseRejected, nil)
	case s.pair.Refresh == "":
		return loginError(CauseExpired, nil)
	case s.schedule.refusals > 0:
		return doubtError(s.schedule.refusal, s.schedule.believed)
	case fault == nil || fault.Reason == "store":
		return nil
	case fault.refusal || !now.Before(s.opensAt(now)):
		return failingError(fault, s.opensAt(now).Add(-patience))
	}
	return nil
}

// patience is how long renewals may fail, while no access token works, before
// the login opens. An OAuth error opens it at once.
const patience = 15 * time.Minute

// opensAt returns when the login opens if renewals keep failing: patience after
// the access token ended and the first renewal failed. The caller holds mu.
func (s *Source) opensAt(now time.Time) time.Time {
	ended := now.Add(s.pair.left(now))
	if s.pair.rejected || ended.Before(s.schedule.since) {
		ended = s.schedule.since
	}
	return ended.Add(patience)
}

// authorized reports whether an access token works or, as far as is known, a
// renewal will get one. The caller holds mu.
func (s *Source) authorized(now time.Time) bool {
	return s.pair.alive(now) || s.need(now) == nil && s.schedule.fault == nil
}

// Reject reports that the API did not accept an access token (its codes 2 and
// 3). If that is the current one, the next call of Token renews it.
func (s *Source) Reject(accessToken string) {
	s.locked(func(now time.Time) {
		if accessToken == "" || s.pair.Access != accessToken || s.pair.rejected {
			return
		}
		s.pair.rejected = true
		young := now.Sub(s.pair.since) < min(time.Minute, s.pair.life/2)
		s.schedule.tokenRejected(now, young)
	})
}

// RefuseScope reports that Netatmo refused something because the login lacks a
// scope. The login opens again; the token stays in use.
func (s *Source) RefuseScope(scope string) {
	s.locked(func(time.Time) {
		if !slices.Contains(s.missing, scope) {
			s.missing = append(s.missing, scope)
		}
	})
}

// ScopeGranted undoes RefuseScope. A new login does so too.
func (s *Source) ScopeGranted(scope string) {
	s.locked(func(time.Time) {
		s.missing = slices.DeleteFunc(s.missing, func(m string) bool { return m == scope })
	})
}

// locked runs act under mu. If the state has changed, by act or over time, it
// informs those who wait for Changed.
func (s *Source) locked(act func(now time.Time)) {
	s.mu.Lock()
	now := time.Now()
	act(now)
	need := s.need(now)
	is := view{s.authorized(now), need != nil || len(s.missing) > 0, s.pair.Access}
	changed := s.stored != arrived && is != s.told
	if changed {
		s.told = is
		close(s.changed)
		s.changed = make(chan struct{})
	}
	s.mu.Unlock()
	if changed {
		s.wake()
	}
}

// wake makes Run check what is due.
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

// stopped reports whether Run was told to stop. The caller holds mu.
func (s *Source) stopped() bool {
	select {
	case <-s.stopping:
		return true
	default:
		return false
	}
}
