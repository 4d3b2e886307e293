package pages

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

	"netatmo-agent/auth"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string

	pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{"linked": linked}).Parse(pageHTML))
)

// linked returns text with a link to where apps are registered, wherever text
// names it.
func linked(text string) template.HTML {
	const link = `<a href="https://dev.netatmo.com/apps" target="_blank" rel="noreferrer">dev.netatmo.com</a>`
	return template.HTML(strings.ReplaceAll(template.HTMLEscapeString(text), "dev.netatmo.com", link)) //nolint:gosec // escaped
}

// notice is shown at the top of a page, about what was just tried.
type notice auth.Refusal

var (
	noticeSaved = &notice{"Done. You are logged in",
		"The login is saved, and the first readings are on their way. You can close this page; from now on, the agent renews the login itself."}
	noticePassing = &notice{"Netatmo did not answer as expected",
		"This is usually temporary. Try again in a few minutes; the agent’s log has the details."}
	noticeStale = &notice{"This login was started in another browser, or has expired",
		"Finish a login within ten minutes, in the browser and at the address where you started it; each works once. Open the link in the agent’s log again. If Netatmo did accept, you can also copy the address of this page and paste it there."}
	noticeNoCode = &notice{"Netatmo sent no code",
		"The address that Netatmo sent the browser to is incomplete. Try again."}
	noticeWrongKey = &notice{"This link has expired",
		"The agent makes a new link when it restarts and when a login is lost. Use the newest link in its log."}
	noticeOtherSite = &notice{"Refused: sent by another site",
		"Another site tried to use this form, or the browser hides where the form came from. Open the link in the agent’s log and press the button there."}
	noticeTooLong = &notice{"The pasted text is too long",
		"It was not used. Go back and paste only a refresh token, a code, or the address the browser ended on."}
	noticeBadForm = &notice{"The form could not be read",
		"Open the link in the agent’s log and try again."}
)

// page is the data of page.html. With a key it has the forms; without, it
// points to the link in the log or says that the login works.
type page struct {
	Style    template.CSS
	Base     string // relative path from the requested address to the start page
	Status   auth.Status
	Needed   bool // a login is needed
	Notice   *notice
	Key      string
	External string
	OpenedAs string // where the browser seems to be, if not at External
	Missing  int    // the HTTP status for an address without a page
	proven   bool   // the request carries the key
	known    bool   // the user would recognise OpenedAs
}

// Suggested is the external URL that would match. It is empty if it could be an
// attacker's: for requests without the key, and for hosts from elsewhere.
func (p page) Suggested() string {
	if !p.proven || !p.known {
		return ""
	}
	return p.OpenedAs
}

// Badge is the state of the login in a word or two.
func (p page) Badge() string {
	switch {
	case p.Status.LoggedOut():
		return "Login needed"
	case !p.Status.Authorized:
		return "No connection"
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

// Problem says why a login is needed.
func (p page) Problem() string {
	if p.Status.Problem == "" {
		return "The agent has no login for a Netatmo account yet."
	}
	return sentence(p.Status.Problem)
}

// MissingScopes names the permissions that the login lacks.
func (p page) MissingScopes() string { return strings.Join(p.Status.MissingScopes, ", ") }

// render answers with the start page, or with what replaces it. Without a key
// the page has no forms.
func (h *Handler) render(w http.ResponseWriter, r *http.Request, code int, key string, n *notice) {
	p := h.page(r)
	p.Key, p.Notice = key, n
	p.proven = p.proven || key != ""
	p.Needed = h.currentKey() != ""
	h.write(w, code, p)
}

// renderDone answers requests for a login that is not needed, or no longer.
func (h *Handler) renderDone(w http.ResponseWriter, r *http.Request) {
	code := http.StatusOK
	if r.Method == http.MethodPost {
		code = http.StatusConflict
	}
	h.render(w, r, code, "", nil)
}

// renderMissing answers for an address that has no page, or not for the method.
func (h *Handler) renderMissing(w http.ResponseWriter, r *http.Request, code int) {
	p := h.page(r)
	p.Missing = code
	h.write(w, code, p)
}

func (h *Handler) page(r *http.Request) page {
	p := page{
		Style:    template.CSS(pageCSS), //nolint:gosec // a constant
		Status:   h.source.Status(),
		External: h.base,
		OpenedAs: openedAs(r, h.external),
	}
	p.known = recognisable(p.OpenedAs, h.external)
	if key := h.currentKey(); key != "" {
		p.proven = same(r.URL.Query().Get("key"), key)
	}
	if _, name := splitPath(r.URL.Path); name != startPath {
		p.Base = "../"
	}
	return p
}

func (h *Handler) write(w http.ResponseWriter, code int, p page) {
	var body bytes.Buffer
	if err := pageTemplate.Execute(&body, p); err != nil {
		h.log.Error("could not render a page", "error", err)
		http.Error(w, "The page could not be rendered; the agent’s log has the details.", http.StatusInternalServerError)
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
	header.Set("X-Frame-Options", "DENY") // for browsers without frame-ancestors
	// With no-referrer the page's own forms would arrive with "Origin: null".
	header.Set("Referrer-Policy", "same-origin")
}

// policy is the Content-Security-Policy of all pages. Chromium and Safari check
// form-action against every redirect that follows a form, not only the first:
// from the authorize address to Netatmo's login page, which is on another host
// of its domain, or straight back to the callback.
func policy(cfg auth.Config) string {
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
