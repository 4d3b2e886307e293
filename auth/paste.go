package auth

import (
	"errors"
	"net/url"
	"regexp"
	"strings"
)

// Pasted is what a user brought by hand: either a refresh token, or a code,
// with the state that came with it if the whole address was pasted.
type Pasted struct {
	Code, State, RefreshToken string
}

const maxPasted = 4 << 10

// Observed: a token is <24 hex>|<32 hex> and a code 32 hex digits. Only the
// bar tells one from the other, so only the bar is relied on.
var (
	looksLikeToken = regexp.MustCompile(`^[0-9A-Za-z._~+/-]+\|[0-9A-Za-z._~+/-]+$`)
	looksLikeCode  = regexp.MustCompile(`^[0-9A-Za-z._~+/-]{8,}$`)
)

// ParsePasted understands a refresh token, a code, and the whole address that
// the browser ended on, also one that a terminal broke into lines or that lost
// its beginning. An error says in words what is wrong, and never repeats what
// was pasted.
func ParsePasted(s string) (Pasted, error) {
	if len(s) > maxPasted {
		return Pasted{}, errors.New("what was pasted is too long; paste a refresh token, a code, or the address the browser ended on, and nothing else")
	}
	s = strings.Trim(strings.Join(strings.Fields(s), ""), "\"'`<>")
	if s == "" {
		return Pasted{}, errors.New("nothing was pasted; paste a refresh token, a code, or the address the browser ended on")
	}
	if strings.ContainsAny(s, "?=&") || strings.Contains(s, "://") {
		return parseAddress(s)
	}
	s = strings.NewReplacer("%7C", "|", "%7c", "|").Replace(s)
	switch {
	case looksLikeToken.MatchString(s):
		return Pasted{RefreshToken: s}, nil
	case looksLikeCode.MatchString(s):
		return Pasted{Code: s}, nil
	}
	return Pasted{}, errors.New("what was pasted is neither a refresh token nor a code nor an address; copy it again, whole and alone")
}

func parseAddress(s string) (Pasted, error) {
	s, _, _ = strings.Cut(s, "#")
	if _, query, found := strings.Cut(s, "?"); found {
		s = query
	}
	query, err := url.ParseQuery(s)
	if err != nil {
		return Pasted{}, errors.New("the address is damaged; copy it again from the address bar, to its end")
	}
	if code := query.Get("error"); code != "" {
		return Pasted{}, refusedBy(code)
	}
	if code := query.Get("code"); looksLikeCode.MatchString(code) {
		return Pasted{Code: code, State: query.Get("state")}, nil
	}
	return Pasted{}, errors.New("the address carries no code; the right one is where the browser ends after Accept was pressed on Netatmo’s page, and has “code=” in it")
}

// refusal is an error that Netatmo sent the browser back with.
type refusal struct{ title, text string }

func (r *refusal) Error() string { return r.title + ": " + r.text }

var tidyCode = regexp.MustCompile(`^[a-z_]{1,40}$`)

// refusedBy puts the "error" parameter of a callback into words.
func refusedBy(code string) *refusal {
	switch code {
	case "access_denied":
		return &refusal{"Access was not given", "Refuse was pressed on Netatmo’s page, or the page was left. Nothing has changed; try again, and press Accept."}
	case "redirect_uri_mismatch":
		return &refusal{"The redirect URI does not match", "Netatmo only sends the browser back to the address that is registered with the app. At dev.netatmo.com, open the app under My apps, set its redirect URI to exactly the agent’s, save, and try again."}
	case "invalid_scope":
		return &refusal{"A permission was not understood", "Netatmo did not accept the permissions asked for. That has been seen to pass; try again in a few minutes. If it does not pass, set NETATMO_DEVICES to the devices that the account has."}
	case "invalid_client", "unauthorized_client":
		return &refusal{"Netatmo does not accept the app", "Compare NETATMO_CLIENT_ID with the app at dev.netatmo.com, under My apps, and see that the app is not disabled there."}
	case "server_error", "temporarily_unavailable", "too_many_connections":
		return &refusal{"Netatmo has a problem", "Its login is out of order at the moment. Try again in a few minutes."}
	}
	text := "Try again. If that does not help, make a new app at dev.netatmo.com and set its client ID and secret."
	if tidyCode.MatchString(code) {
		text = "Netatmo named it “" + code + "”. " + text
	}
	return &refusal{"Netatmo ended the login with an error", text}
}
