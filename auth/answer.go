package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"
)

const maxAnswer = 1 << 20

var errMalformed = errors.New("Netatmo's answer was not understood")

// onceTransport sends a token request once, whatever happens, and makes its
// answer one that x/oauth2 understands.
type onceTransport struct {
	base      http.RoundTripper
	userAgent string
	explain   func(*http.Request, *http.Response, error) (what, remedy string) // may be nil
	onDate    func(server, local time.Time)
}

// explained is a fault between this machine and Netatmo in the words of
// Config.Explain.
type explained struct {
	text   string
	status int   // of an answer that is not Netatmo's; 0: there was none
	err    error // why there was none
}

func (e *explained) Error() string { return e.text }

func (e *explained) Unwrap() error { return e.err }

// maxHead is how much is read of an answer's status line and headers.
const maxHead = 64 << 10

// newTokenClient returns a client that neither repeats a request nor follows a
// redirect, and that opens a connection for each request, because the server
// may just be closing a reused one. It uses only the transport
// of cfg.HTTPClient.
func newTokenClient(cfg Config) *http.Client {
	own := http.DefaultTransport.(*http.Transport).Clone() //nolint:errcheck // it is one
	own.DisableKeepAlives = true
	own.MaxResponseHeaderBytes = maxHead
	own.Protocols = new(http.Protocols)
	own.Protocols.SetHTTP1(true) // HTTP/2 sends a request again that a server refused to begin
	if own.TLSClientConfig != nil {
		own.TLSClientConfig.NextProtos = nil // those of the original, which offer HTTP/2
	}
	t := &onceTransport{base: own, userAgent: cfg.UserAgent, explain: cfg.Explain, onDate: cfg.OnDate}
	if given := cfg.HTTPClient; given != nil && given.Transport != nil {
		t.base = given.Transport
	}
	return &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func (t *onceTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.GetBody = nil // without it net/http cannot send the body a second time
	if t.userAgent != "" {
		r.Header.Set("User-Agent", t.userAgent)
	}
	answer, err := t.base.RoundTrip(r)
	if answer != nil {
		defer answer.Body.Close()
	}
	if e := t.fault(r, answer, err); e != nil {
		return nil, e
	}
	if err != nil {
		return nil, err
	}
	if sent, err := http.ParseTime(answer.Header.Get("Date")); err == nil && t.onDate != nil {
		t.onDate(sent, time.Now())
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if answer.StatusCode/100 == 2 {
		if reduced, malformed := lenient(body); malformed == nil {
			body, err = reduced, nil // complete, however the connection ended
		} else if err == nil {
			err = malformed
		}
	}
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(bytes.TrimSpace(body), []byte("{")) {
		answer.Header.Set("Content-Type", "application/json")
	}
	answer.Body = io.NopCloser(bytes.NewReader(body))
	return answer, nil
}

// fault returns the fault that Config.Explain finds, or nil.
func (t *onceTransport) fault(r *http.Request, answer *http.Response, err error) error {
	if t.explain == nil {
		return nil
	}
	what, remedy := t.explain(r, answer, err)
	if what == "" {
		return nil
	}
	e := &explained{text: what + "; " + remedy, err: err}
	if err == nil {
		e.status = answer.StatusCode
	}
	return e
}

// lenient reduces a successful answer to what x/oauth2 and checkScopes need.
// One detail that x/oauth2 dislikes (a lifetime of 10800.0, a media type of
// text/plain, a missing end) would make it throw away the answer, and with it
// the only pair that works.
func lenient(body []byte) ([]byte, error) {
	a := members(bytes.TrimPrefix(body, []byte("\uFEFF")))
	if a == nil {
		return nil, errMalformed
	}
	reduced := map[string]any{"access_token": readToken(a["access_token"]), "refresh_token": readToken(a["refresh_token"])}
	life := readSeconds(a["expires_in"])
	if life == 0 {
		life = readSeconds(a["expire_in"]) // Netatmo sends the lifetime under two names
	}
	reduced["expires_in"] = int64(life / time.Second)
	if scope := a["scope"]; json.Valid(scope) {
		reduced["scope"] = scope // for checkScopes
	}
	var code string
	switch failed := json.Unmarshal(a["error"], &code) == nil && code != ""; {
	case reduced["access_token"] != "":
	case failed:
		reduced["error"] = code
	case reduced["refresh_token"] != "":
		reduced["access_token"] = noAccess // x/oauth2 demands one
	default:
		return nil, errMalformed
	}
	return json.Marshal(reduced)
}

// noAccess replaces an access token that is missing or unusable beside a new
// refresh token. That one must not be lost, because the old one no longer
// works.
const noAccess = "-"

// members returns the members of the JSON object at the beginning of body. If
// the object breaks off, it returns those before the break if both tokens are
// among them, and nil otherwise.
func members(body []byte) map[string]json.RawMessage {
	d := json.NewDecoder(bytes.NewReader(body))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil
	}
	a := map[string]json.RawMessage{}
	for d.More() {
		name, err := d.Token()
		key, ok := name.(string)
		var value json.RawMessage
		if err != nil || !ok || d.Decode(&value) != nil {
			break
		}
		if value[0] == '"' || d.InputOffset() < int64(len(body)) { // a number may continue after the end
			a[key] = value
		}
	}
	if _, err := d.Token(); err != nil && (a["access_token"] == nil || a["refresh_token"] == nil) {
		return nil
	}
	return a
}
