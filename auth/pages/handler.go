// Package pages serves the web pages with which a user logs the agent in to
// Netatmo, and nothing else.
package pages

import (
	"cmp"
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

	"netatmo-agent/auth"
)

const maxForm = 16 << 10

const (
	startPath     = "/"
	authorizePath = "/auth/authorize"
	tokenPath     = "/auth/token"
)

// Handler serves the pages. A key in the link that the agent logs decides who
// may use them: the pages are open to the network, and whoever logs in decides
// whose readings are recorded. The key is made when a login is needed and
// expires when one has been saved.
//
// A request may take auth.LoginTimeout; the server's write timeout must allow
// that. Handler is safe for concurrent use.
type Handler struct {
	source   *auth.Source
	external *url.URL
	base     string // external as people write it
	csp      string
	log      *slog.Logger
	protect  *http.CrossOriginProtection
	turn     chan struct{} // held while a login is finished, so that a second one finds it done

	mu       sync.Mutex // never held while waiting
	key      string     // empty while no login is needed
	attempts attempts
}

// New returns the pages for the login of source. Of cfg it uses External, APIURL
// and Logger.
func New(source *auth.Source, cfg auth.Config) *Handler {
	h := &Handler{
		source:   source,
		external: cfg.External,
		base:     cfg.ExternalURL(),
		csp:      policy(cfg),
		log:      cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler)),
		protect:  http.NewCrossOriginProtection(),
		turn:     make(chan struct{}, 1),
	}
	// Over plain http the Origin header alone says where a form comes from, and a
	// proxy may have changed the host that it is compared with.
	if err := h.protect.AddTrustedOrigin(origin(h.external)); err != nil {
		h.log.Warn("browsers cannot send the external URL as an origin; forms may be refused behind a proxy", "external_url", h.base, "error", err)
	}
	return h
}

// LoginURL returns the link to open, with the key in it, or an empty string
// while no login is needed. Call it at each change of the login, so that the
// key expires as soon as another process has saved a login.
func (h *Handler) LoginURL() string {
	key := h.currentKey()
	if key == "" {
		return ""
	}
	return h.base + "/?key=" + key
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

// saved makes the key expire, even if a login is needed again at once.
func (h *Handler) saved() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.key, h.attempts = "", nil
}

// ServeHTTP serves the pages at / and below the path of the external URL, since
// a proxy may strip that path or keep it.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.setHeaders(w)
	switch prefix, page := splitPath(r.URL.Path); {
	case page != "" && page == h.external.Path:
		addSlash(w, r)
	case prefix != "" && prefix != h.external.Path:
		h.renderMissing(w, r, http.StatusNotFound)
	case page == startPath:
		h.serve(w, r, h.start, http.MethodGet, http.MethodHead)
	case page == authorizePath:
		h.serve(w, r, h.authorize, http.MethodPost)
	case page == auth.CallbackPath:
		h.serve(w, r, h.callback, http.MethodGet)
	case page == tokenPath:
		h.serve(w, r, h.token, http.MethodPost)
	default:
		h.renderMissing(w, r, http.StatusNotFound)
	}
}

// serve serves a page that exists only for some methods.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, page http.HandlerFunc, methods ...string) {
	if !slices.Contains(methods, r.Method) {
		w.Header().Set("Allow", strings.Join(methods, ", "))
		h.renderMissing(w, r, http.StatusMethodNotAllowed)
		return
	}
	page(w, r)
}

// addSlash redirects the browser to where relative links work. The redirect is
// relative as well: a proxy may have removed more of the path.
func addSlash(w http.ResponseWriter, r *http.Request) {
	to := url.URL{Path: path.Base(r.URL.Path) + "/", RawQuery: r.URL.RawQuery}
	w.Header().Set("Location", to.String())
	w.WriteHeader(http.StatusPermanentRedirect)
}

func (h *Handler) start(w http.ResponseWriter, r *http.Request) {
	if otherLoopback(r, h.external) {
		http.Redirect(w, r, (&url.URL{Scheme: h.external.Scheme, Host: h.external.Host, Path: h.external.Path + "/", RawQuery: r.URL.RawQuery}).String(), http.StatusSeeOther)
		return
	}
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

// admit answers a form that must be rejected, and returns the key of one that
// is accepted.
func (h *Handler) admit(w http.ResponseWriter, r *http.Request) (key string, ok bool) {
	key = h.currentKey()
	if err := h.protect.Check(r); err != nil {
		h.log.Debug("refused a form that another site sent", "origin", r.Header.Get("Origin"))
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
	a := h.attempts.start()
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
		SameSite: http.SameSiteLaxMode, // with Strict the callback would not get it
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
	startedHere := h.attempts.take(r, query.Get("state"))
	knownBrowser := startedHere || h.attempts.knows(r)
	h.mu.Unlock()
	if startedHere {
		h.setCookie(w, query.Get("state"), "", -1)
	}
	if !knownBrowser {
		key = ""
	}
	switch {
	case query.Get("error") != "":
		refused := auth.RefusedWith(query.Get("error"))
		if knownBrowser {
			h.log.Warn("Netatmo ended a login with an error", "error", refused)
		}
		h.render(w, r, http.StatusForbidden, key, (*notice)(refused))
	case !startedHere:
		// This may be the reload of a login under way, so the answer is that
		// login's result.
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
	pasted, err := auth.ParsePasted(r.PostForm.Get("token"))
	if refused, ok := errors.AsType[*auth.Refusal](err); ok {
		h.render(w, r, http.StatusBadRequest, key, (*notice)(refused))
		return
	}
	if err != nil {
		h.render(w, r, http.StatusBadRequest, key, &notice{"This could not be used", sentence(err.Error())})
		return
	}
	h.finish(w, r, func(ctx context.Context) error {
		if pasted.RefreshToken != "" {
			return h.source.AdoptRefreshToken(ctx, pasted.RefreshToken)
		}
		return h.source.Exchange(ctx, pasted.Code)
	})
}

// finish gets a login from Netatmo and shows the result. If the browser leaves
// meanwhile, the Source still finishes and saves the login.
func (h *Handler) finish(w http.ResponseWriter, r *http.Request, get func(context.Context) error) {
	h.inTurn(w, r, func() {
		if err := get(r.Context()); err != nil {
			h.log.Warn("a login in the browser failed", "error", err)
			status, n := failed(err)
			h.render(w, r, status, h.currentKey(), n)
			return
		}
		h.saved()
		h.render(w, r, http.StatusOK, h.currentKey(), noticeSaved)
	})
}

// inTurn runs act once no login is under way, if one is still needed then and
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

// failed describes why a login could not be finished.
func failed(err error) (status int, n *notice) {
	if final, ok := errors.AsType[*auth.LoginError](err); ok {
		return http.StatusBadRequest, &notice{"Netatmo did not accept this login", sentence(final.Error())}
	}
	if unsaved, ok := errors.AsType[*auth.SaveError](err); ok {
		return http.StatusInternalServerError, &notice{"Logged in, but the login could not be saved", sentence(unsaved.Error())}
	}
	if passing, ok := errors.AsType[*auth.TokenError](err); ok && passing.Reason == "store" {
		return http.StatusInternalServerError, &notice{"The token file cannot be saved, so Netatmo was not asked", sentence(passing.Error())}
	}
	return http.StatusBadGateway, noticePassing
}
