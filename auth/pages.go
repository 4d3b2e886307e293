package auth

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string

	pageTemplate = template.Must(template.New("page").Parse(pageHTML))
)

// notice is said at the top of a page, about what was just tried.
type notice struct{ Title, Text string }

func (r *refusal) notice() *notice { return &notice{r.title, r.text} }

var (
	noticeSaved = &notice{"Done. You are logged in",
		"The login is saved, and the first readings are on their way. You can close this page: the agent renews the login by itself from now on."}
	noticePassing = &notice{"Netatmo did not answer as it should",
		"That passes as a rule. Try again in a few minutes; the agent’s log says more."}
	noticeStale = &notice{"This login was not begun in this browser, or is too old",
		"A login must be finished within ten minutes, in the browser and under the address that it was begun with, and counts once. Open the link in the agent’s log again. If Netatmo did let you in, you can also copy the address of this page and paste it there."}
	noticeNoCode = &notice{"Netatmo sent no code",
		"The address that the browser was sent to is not complete. Try again."}
	noticeWrongKey = &notice{"The link is out of date",
		"Its key is not the present one: a restart of the agent makes a new one, and so does a login that was lost. Use the newest link in the log."}
	noticeOtherSite = &notice{"Refused: sent by another site",
		"Another site tried to use this form, or the browser hides where the form came from. Open the link in the agent’s log and press the button there."}
	noticeTooLong = &notice{"What was pasted is too long",
		"Nothing was done with it. Go back, and paste a refresh token, a code, or the address the browser ended on, and nothing else."}
	noticeBadForm = &notice{"The form could not be read",
		"Open the link in the agent’s log and try again."}
)

// page is what page.html shows. With a key it has the forms; without, it
// points to the link in the log, or, with a working login, says just that.
type page struct {
	Style    template.CSS
	Base     string // relative path from the address asked for to the start page
	Status   Status
	Needed   bool // a login is needed
	Notice   *notice
	Key      string
	External string
	OpenedAs string // where the browser seems to be, if not at External
	Lost     int    // the status of an address without a page
}

// Badge says the state of the login in a word or two.
func (p page) Badge() string {
	switch {
	case !p.Status.Authorized:
		return "Login needed"
	case p.Status.Unsaved:
		return "Not saved"
	case len(p.Status.MissingScopes) > 0:
		return "Permission missing"
	}
	return "Connected"
}

// Tone is the colour of the badge.
func (p page) Tone() string {
	if p.Badge() == "Connected" {
		return "good"
	}
	return "attention"
}

// Problem says in words why a login is needed.
func (p page) Problem() string {
	if p.Status.Problem == "" {
		return "The agent has no login for a Netatmo account yet."
	}
	return sentence(p.Status.Problem)
}

// Missing names the permissions that the login lacks.
func (p page) Missing() string { return strings.Join(p.Status.MissingScopes, ", ") }

// render answers with the start page, or with what belongs in its place. An
// empty key keeps the forms from who did not prove to have it.
func (h *Handler) render(w http.ResponseWriter, r *http.Request, code int, key string, n *notice) {
	p := h.page(r)
	p.Key, p.Notice = key, n
	p.Needed = h.currentKey() != ""
	h.write(w, code, p)
}

// renderDone answers who comes for a login that is not needed (any more).
func (h *Handler) renderDone(w http.ResponseWriter, r *http.Request) {
	code := http.StatusOK
	if r.Method == http.MethodPost {
		code = http.StatusConflict
	}
	h.render(w, r, code, "", nil)
}

// renderLost answers for an address that has no page, or not for the method.
func (h *Handler) renderLost(w http.ResponseWriter, r *http.Request, code int) {
	p := h.page(r)
	p.Lost = code
	h.write(w, code, p)
}

func (h *Handler) page(r *http.Request) page {
	p := page{
		Style:    template.CSS(pageCSS), //nolint:gosec // a constant
		Status:   h.source.Status(),
		External: h.external.String(),
		OpenedAs: openedAs(r, h.external),
	}
	if _, name := splitPath(r.URL.Path); name != startPath {
		p.Base = "../"
	}
	return p
}

func (h *Handler) write(w http.ResponseWriter, code int, p page) {
	var body bytes.Buffer
	if err := pageTemplate.Execute(&body, p); err != nil {
		h.logger.Error("a page could not be made", "error", err)
		http.Error(w, "The page could not be made; the agent’s log says why.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(code)
	w.Write(body.Bytes())
}

func (h *Handler) setHeaders(w http.ResponseWriter) {
	header := w.Header()
	header.Set("Content-Security-Policy", h.csp)
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	// Not no-referrer: it would make the page's own forms arrive as from
	// nowhere ("Origin: null").
	header.Set("Referrer-Policy", "same-origin")
}

// policy is the Content-Security-Policy of all pages. Chromium and Safari hold
// form-action against every redirect that follows a form, not the first
// alone: from the authorize address on to Netatmo's own login page, which is
// under another host name of its domain, or straight back to the callback.
func policy(cfg Config) string {
	targets := []string{"'self'"}
	if authorize, err := url.Parse(cfg.APIURL); err == nil {
		targets = append(targets, origin(authorize))
		if strings.HasSuffix(authorize.Hostname(), ".netatmo.com") {
			targets = append(targets, "https://*.netatmo.com")
		}
	}
	targets = append(targets, origin(cfg.External))
	sum := sha256.Sum256([]byte(pageCSS))
	return strings.Join([]string{
		"default-src 'none'",
		"style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'",
		"img-src data:",
		"form-action " + strings.Join(targets, " "),
		"frame-ancestors 'none'",
		"base-uri 'none'",
	}, "; ")
}

// sentence gives the text of an error a capital and a full stop.
func sentence(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + strings.TrimSuffix(text[size:], ".") + "."
}
