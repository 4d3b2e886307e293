package authtest

import (
	"context"
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"time"
)

const (
	maxForm      = 64 << 10
	refreshGrant = "refresh_token"
)

// answer is what a token request gets.
type answer struct {
	status      int
	contentType string
	body        []byte
	drop        bool // close the connection instead
	delay       time.Duration
	outcome     string
	issued      int // 1 + index of the pair in Server.issued; 0: none
}

func refusal(code string) *answer {
	body, _ := json.Marshal(map[string]string{"error": code})
	return &answer{status: http.StatusBadRequest, contentType: "application/json", body: body, outcome: code}
}

func (s *Server) serveToken(w http.ResponseWriter, r *http.Request) {
	form, a := s.readForm(w, r)
	grantType := form.Get("grant_type")
	s.enter(grantType)
	if a == nil {
		a = s.decide(form)
	}
	if a.delay > 0 && !wait(r.Context(), a.delay) && a.outcome == "ok" {
		a.outcome = "lost"
	}
	// Counted before the answer is sent, so that a client with the answer finds
	// it counted.
	s.leave(grantType, a)
	a.send(w)
}

// wait reports whether the client was still there after d.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (a *answer) send(w http.ResponseWriter) {
	if a.drop {
		panic(http.ErrAbortHandler)
	}
	if a.contentType != "" {
		w.Header().Set("Content-Type", a.contentType)
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(a.status)
	w.Write(a.body)
}

func (s *Server) enter(grantType string) {
	if grantType != refreshGrant {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refreshing++
	s.maxAtOnce = max(s.maxAtOnce, s.refreshing)
}

func (s *Server) leave(grantType string, a *answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if grantType == refreshGrant {
		s.refreshing--
	}
	s.requests[Request{grantType, a.outcome}]++
	if a.issued > 0 {
		s.issued[a.issued-1].Answered = a.outcome == "ok"
	}
}

// readForm returns the request's form. The answer is nil, unless the request is
// malformed or does not come from the app.
func (s *Server) readForm(w http.ResponseWriter, r *http.Request) (url.Values, *answer) {
	mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if r.Method != http.MethodPost || mediaType != "application/x-www-form-urlencoded" {
		return nil, refusal("invalid_request")
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return nil, refusal("invalid_request")
	}
	form := r.PostForm
	switch {
	case form.Get("grant_type") == "":
		return form, refusal("invalid_request")
	case r.Header.Get("Authorization") != "",
		form.Get("client_id") != s.opts.ClientID,
		form.Get("client_secret") != s.opts.ClientSecret:
		return form, refusal("invalid_client")
	}
	return form, nil
}

// decide does what the request asks for, or what a fault makes of it.
func (s *Server) decide(form url.Values) *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	fault := s.nextFault()
	if a := fault.before(); a != nil {
		return a
	}
	a := s.exchange(form)
	if a == nil {
		if fault != nil && fault.Kind == ScopeSuperset {
			s.current.scopes = append(s.current.scopes, "read_camera", "access_camera")
		}
		a = s.pairAnswer()
	}
	fault.after(a)
	return a
}

// exchange issues a new pair for a code or a refresh token and returns nil, or
// returns why not. The caller holds mu.
func (s *Server) exchange(form url.Values) *answer {
	switch grantType := form.Get("grant_type"); grantType {
	case "authorization_code":
		id := form.Get("code")
		c, known := s.codes[id]
		delete(s.codes, id)
		if !known || c.redirectURI != form.Get("redirect_uri") || !s.opts.Now().Before(c.expiry) {
			return refusal("invalid_grant")
		}
		s.issue(grantType, c.scopes)
	case refreshGrant:
		token := form.Get("refresh_token")
		if token == "" {
			return refusal("invalid_request")
		}
		if token != s.current.Refresh {
			return refusal("invalid_grant")
		}
		s.renew()
	case "password":
		return refusal("unauthorized_client")
	default:
		return refusal("invalid_request")
	}
	return nil
}

func (s *Server) pairAnswer() *answer {
	life := int(s.opts.TokenLife / time.Second)
	body, _ := json.Marshal(struct {
		Access   string   `json:"access_token"`
		Refresh  string   `json:"refresh_token"`
		Scope    []string `json:"scope"`
		Expires  int      `json:"expires_in"`
		Expires2 int      `json:"expire_in"`
	}{s.current.Access, s.current.Refresh, s.current.scopes, life, life})
	return &answer{status: http.StatusOK, contentType: "application/json", body: body, outcome: "ok", issued: len(s.issued)}
}
