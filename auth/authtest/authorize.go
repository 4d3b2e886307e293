package authtest

import (
	_ "embed"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

//go:embed consent.html
var consentHTML string

var consentPage = template.Must(template.New("consent").Parse(consentHTML))

// serveAuthorize shows the consent page, or, with AutoConsent or when one of
// its buttons was pressed, sends the browser back.
func (s *Server) serveAuthorize(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "invalid_request", http.StatusBadRequest)
		return
	}
	back, err := url.Parse(r.Form.Get("redirect_uri"))
	switch {
	case r.Form.Get("client_id") != s.opts.ClientID:
		http.Error(w, "invalid_client", http.StatusBadRequest)
		return
	case err != nil || back.Host == "" || back.Scheme != "http" && back.Scheme != "https":
		http.Error(w, "redirect_uri_mismatch", http.StatusBadRequest)
		return
	}
	pressed := r.PostForm.Get("answer")
	registered := len(s.opts.RedirectURIs) == 0 || slices.Contains(s.opts.RedirectURIs, r.Form.Get("redirect_uri"))
	query := url.Values{}
	switch {
	case !registered:
		query.Set("error", "redirect_uri_mismatch")
	case pressed == "refuse":
		query.Set("error", "access_denied")
	case pressed == "accept" || s.opts.AutoConsent:
		query.Set("code", s.newCode(r.Form.Get("redirect_uri"), strings.Fields(r.Form.Get("scope"))))
	default:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		if err := consentPage.Execute(w, r.Form); err != nil {
			panic(http.ErrAbortHandler) // the browser has left
		}
		return
	}
	if state := r.Form.Get("state"); state != "" {
		query.Set("state", state)
	}
	back.RawQuery = strings.TrimPrefix(back.RawQuery+"&"+query.Encode(), "&")
	http.Redirect(w, r, back.String(), http.StatusFound)
}

func (s *Server) newCode(redirectURI string, scopes []string) string {
	id := newHex()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.codes[id] = code{redirectURI: redirectURI, scopes: scopes, expiry: s.opts.Now().Add(codeLife)}
	return id
}
