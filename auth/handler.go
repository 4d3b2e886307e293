package auth

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
)

const maxForm = 16 << 10

const (
	startPath     = "/"
	authorizePath = "/auth/authorize"
	callbackPath  = "/auth/callback"
	tokenPath     = "/auth/token"
)

// Handler serves the pages that connect the agent to a Netatmo account, and
// nothing else. Who may use them is decided by a key in the link that the
// agent logs: the pages are open to the network, and whoever logs in decides
// whose readings are recorded. The key comes to be when a login is needed and
// dies when one has been saved.
//
// A request may take LoginTimeout; the server's write timeout must allow it.
// Handler is safe for concurrent use.
type Handler struct {
	source   *Source
	external *url.URL
	csp      string
	logger   *slog.Logger
	protect  *http.CrossOriginProtection
	turn     chan struct{} // held while a login is finished: the second finds it done

	mu       sync.Mutex // never held while waiting
	key      string     // empty while no login is needed
	attempts attempts
}

// NewHandler returns the pages for the login of s.
func NewHandler(s *Source) *Handler {
	h := &Handler{
		source:   s,
		external: s.cfg.External,
		csp:      policy(s.cfg),
		logger:   s.log,
		protect:  http.NewCrossOriginProtection(),
		turn:     make(chan struct{}, 1),
	}
	// Over plain http browsers say where a form comes from only by its
	// origin, and a proxy may have changed the host that it is compared with.
	if err := h.protect.AddTrustedOrigin(origin(h.external)); err != nil {
		h.logger.Warn("the external URL is not an origin that browsers name; forms may be refused behind a proxy", "external_url", h.external.String(), "error", err)
	}
	return h
}

// LoginURL returns the link to open, with the key in it, and an empty string
// while no login is needed. Calling it at each change of the login lets a key
// die as soon as a login was saved by another process.
func (h *Handler) LoginURL() string {
	key := h.currentKey()
	if key == "" {
		return ""
	}
	return h.external.String() + "/?key=" + key
}

// currentKey returns the key, which is empty while no login is needed. A login
// that is not on disk does not end the need for one.
func (h *Handler) currentKey() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	status := h.source.Status()
	needed := status.Waiting || h.key != "" && status.Unsaved
	switch {
	case !needed:
		h.key, h.attempts = "", nil
	case h.key == "":
		h.key = rand.Text()
	}
	return h.key
}

// saved lets the key die, even if the login is needed again at once.
func (h *Handler) saved() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.key, h.attempts = "", nil
}

// ServeHTTP serves the pages at / and under the path of the external URL, since
// a proxy may strip that path or keep it.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.setHeaders(w)
	switch prefix, page := splitPath(r.URL.Path); {
	case page != "" && page == h.external.Path:
		addSlash(w, r)
	case prefix != "" && prefix != h.external.Path:
		h.renderLost(w, r, http.StatusNotFound)
	case page == startPath:
		h.serve(w, r, h.start, http.MethodGet, http.MethodHead)
	case page == authorizePath:
		h.serve(w, r, h.authorize, http.MethodPost)
	case page == callbackPath:
		h.serve(w, r, h.callback, http.MethodGet)
	case page == tokenPath:
		h.serve(w, r, h.token, http.MethodPost)
	default:
		h.renderLost(w, r, http.StatusNotFound)
	}
}

// serve serves a page that exists for some methods alone.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, page http.HandlerFunc, methods ...string) {
	if !slices.Contains(methods, r.Method) {
		w.Header().Set("Allow", strings.Join(methods, ", "))
		h.renderLost(w, r, http.StatusMethodNotAllowed)
		return
	}
	page(w, r)
}

// addSlash sends the browser on to where relative links work. The way there is
// relative as well: a proxy may have taken off more of the path.
func addSlash(w http.ResponseWriter, r *http.Request) {
	to := url.URL{Path: path.Base(r.URL.Path) + "/", RawQuery: r.URL.RawQuery}
	w.Header().Set("Location", to.String())
	w.WriteHeader(http.StatusPermanentRedirect)
}

func (h *Handler) start(w http.ResponseWriter, r *http.Request) {
	given, key := r.URL.Query().Get("key"), h.currentKey()
	switch {
	case given != "" && key != "" && !same(given, key):
		h.render(w, r, http.StatusOK, "", noticeWrongKey)
	case given == "":
		h.render(w, r, http.StatusOK, "", nil)
	default:
		h.render(w, r, http.StatusOK, key, nil)
	}
}

// admit answers a form that may not be acted upon, and returns the key of one
// that may.
func (h *Handler) admit(w http.ResponseWriter, r *http.Request) (key string, ok bool) {
	key = h.currentKey()
	if err := h.protect.Check(r); err != nil {
		h.logger.Debug("refused a form that another site sent", "origin", r.Header.Get("Origin"))
		h.render(w, r, http.StatusForbidden, "", noticeOtherSite)
		return "", false
	}
	if key == "" {
		h.renderDone(w, r)
		return "", false
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	err := r.ParseForm()
	if _, tooLong := errors.AsType[*http.MaxBytesError](err); tooLong {
		h.render(w, r, http.StatusRequestEntityTooLarge, "", noticeTooLong)
		return "", false
	}
	if err != nil {
		h.render(w, r, http.StatusBadRequest, "", noticeBadForm)
		return "", false
	}
	if !same(r.PostForm.Get("key"), key) {
		h.render(w, r, http.StatusForbidden, "", noticeWrongKey)
		return "", false
	}
	return key, true
}

func (h *Handler) authorize(w http.ResponseWriter, r *http.Request) {
	if _, ok := h.admit(w, r); !ok {
		return
	}
	h.mu.Lock()
	a := h.attempts.begin()
	h.mu.Unlock()
	h.setCookie(w, a.state, a.secret, int(attemptLife.Seconds()))
	http.Redirect(w, r, h.source.AuthCodeURL(a.state), http.StatusSeeOther)
}

func (h *Handler) setCookie(w http.ResponseWriter, state, secret string, maxAge int) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure where there is TLS
		Name:     cookieName(state),
		Value:    secret,
		Path:     h.external.Path + "/auth",
		MaxAge:   maxAge,
		HttpOnly: true,
		Secure:   h.external.Scheme == "https",
		SameSite: http.SameSiteLaxMode, // Strict would keep it from the way back
	})
}

func (h *Handler) callback(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	key := h.currentKey()
	if key == "" {
		h.renderDone(w, r)
		return
	}
	h.mu.Lock()
	begunHere := h.attempts.take(r, query.Get("state"))
	knownBrowser := begunHere || h.attempts.knows(r)
	h.mu.Unlock()
	if begunHere {
		h.setCookie(w, query.Get("state"), "", -1)
	}
	if !knownBrowser {
		key = ""
	}
	switch {
	case query.Get("error") != "":
		refused := refusedBy(query.Get("error"))
		if knownBrowser {
			h.logger.Warn("Netatmo ended a login with an error", "error", refused)
		}
		h.render(w, r, http.StatusForbidden, key, refused.notice())
	case !begunHere:
		// It may be a reload of one that is being finished, so it is said how
		// that ended.
		h.inTurn(w, r, func() { h.render(w, r, http.StatusBadRequest, key, noticeStale) })
	case query.Get("code") == "":
		h.render(w, r, http.StatusBadRequest, key, noticeNoCode)
	default:
		h.finish(w, r, func(ctx context.Context) error { return h.source.Exchange(ctx, query.Get("code")) })
	}
}

func (h *Handler) token(w http.ResponseWriter, r *http.Request) {
	key, ok := h.admit(w, r)
	if !ok {
		return
	}
	pasted, err := ParsePasted(r.PostForm.Get("token"))
	if err != nil {
		n := &notice{"That could not be used", sentence(err.Error())}
		if refused, ok := errors.AsType[*refusal](err); ok {
			n = refused.notice()
		}
		h.render(w, r, http.StatusBadRequest, key, n)
		return
	}
	h.finish(w, r, func(ctx context.Context) error {
		if pasted.RefreshToken != "" {
			return h.source.AdoptRefreshToken(ctx, pasted.RefreshToken)
		}
		return h.source.Exchange(ctx, pasted.Code)
	})
}

// finish gets a login from Netatmo and says what came of it. The browser may
// leave meanwhile; a Source finishes and saves what was begun.
func (h *Handler) finish(w http.ResponseWriter, r *http.Request, get func(context.Context) error) {
	h.inTurn(w, r, func() {
		if err := get(r.Context()); err != nil {
			h.logger.Warn("a login in the browser failed", "error", err)
			status, n := failed(err)
			h.render(w, r, status, h.currentKey(), n)
			return
		}
		h.saved()
		h.render(w, r, http.StatusOK, h.currentKey(), noticeSaved)
	})
}

// inTurn acts once no login is being finished, if one is still needed then and
// the browser has not left.
func (h *Handler) inTurn(w http.ResponseWriter, r *http.Request, act func()) {
	select {
	case h.turn <- struct{}{}:
		defer func() { <-h.turn }()
	case <-r.Context().Done():
		return
	}
	if h.currentKey() == "" {
		h.renderDone(w, r)
		return
	}
	act()
}

// failed puts into words why a login could not be finished.
func failed(err error) (status int, n *notice) {
	if final, ok := errors.AsType[*LoginError](err); ok {
		return http.StatusBadRequest, &notice{"Netatmo did not accept this login", sentence(final.Error())}
	}
	if unsaved, ok := errors.AsType[*SaveError](err); ok {
		return http.StatusInternalServerError, &notice{"Logged in, but the login could not be saved", sentence(unsaved.Error())}
	}
	if passing, ok := errors.AsType[*TokenError](err); ok && passing.Reason == "store" {
		return http.StatusInternalServerError, &notice{"The login could not be saved, so Netatmo was not asked", sentence(passing.Error())}
	}
	return http.StatusBadGateway, noticePassing
}
