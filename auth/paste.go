package auth

import (
	"errors"
	"net/url"
	"regexp"
	"strings"
)

// Pasted is what a user entered by hand: a refresh token, or a code, with the
// state that came with it if the whole address was pasted.
type Pasted struct {
	Code, State, RefreshToken string
}

const maxPasted = 4 << 10

// Observed: a token is <24 hex>|<32 hex> and a code 32 hex digits. Only the
// bar distinguishes them, so only the bar is relied on.
var (
	looksLikeToken = regexp.MustCompile(`^[0-9A-Za-z._~+/-]+\|[0-9A-Za-z._~+/-]+$`)
	looksLikeCode  = regexp.MustCompile(`^[0-9A-Za-z._~+/-]{8,}$`)
)

// ParsePasted understands a refresh token, a code, and the whole address that
// the browser ended on, even one that a terminal broke into lines or that lost
// its beginning. An error says what is wrong and never repeats what was pasted;
// it is a *[Refusal] if the address carries one.
func ParsePasted(s string) (Pasted, error) {
	if len(s) > maxPasted {
		return Pasted{}, errors.New("the pasted text is too long; paste only a refresh token, a code, or the address the browser ended on")
	}
	s = strings.Trim(strings.Join(strings.Fields(s), ""), "\"'`<>")
	if s == "" {
		return Pasted{}, errors.New("nothing was pasted; paste a refresh token, a code, or the address the browser ended on")
	}
	if strings.ContainsAny(s, "?=&") || strings.Contains(s, "://") {
		return parseAddress(s)
	}
	s = unescapeBar(s)
	switch {
	case looksLikeToken.MatchString(s):
		return Pasted{RefreshToken: s}, nil
	case looksLikeCode.MatchString(s):
		return Pasted{Code: s}, nil
	}
	return Pasted{}, errors.New("the pasted text is not a refresh token, a code or an address; copy it again, complete and on its own")
}

// unescapeBar undoes the escaping of a token's bar in addresses.
func unescapeBar(s string) string { return strings.NewReplacer("%7C", "|", "%7c", "|").Replace(s) }

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
		return Pasted{}, RefusedWith(code)
	}
	if code := query.Get("code"); looksLikeCode.MatchString(code) {
		return Pasted{Code: code, State: query.Get("state")}, nil
	}
	return Pasted{}, errors.New("the address contains no code; the right one is where the browser ends after you press Accept on Netatmo’s page, and contains “code=”")
}

// Refusal is an error that Netatmo sent the browser back with, in words.
type Refusal struct{ Title, Text string }

func (r *Refusal) Error() string { return r.Title + ": " + r.Text }

var tidyCode = regexp.MustCompile(`^[a-z_]{1,40}$`)

// RefusedWith returns the refusal that the "error" parameter of a callback means.
func RefusedWith(code string) *Refusal {
	switch code {
	case "access_denied":
		return &Refusal{"Access was not granted", "You pressed Refuse on Netatmo’s page or left the page. Nothing has changed. Try again and press Accept."}
	case "redirect_uri_mismatch":
		return &Refusal{"The redirect URI does not match", "Netatmo only sends the browser back to the address that is registered with the app. At dev.netatmo.com, under My apps, set the app’s redirect URI to exactly the agent’s, save, and try again."}
	case "invalid_scope":
		return &Refusal{"Netatmo did not accept a permission", "Netatmo did not accept the requested permissions. This can be temporary; try again in a few minutes. If it lasts, set NETATMO_DEVICES to only the devices that your account has."}
	case "invalid_client", "unauthorized_client":
		return &Refusal{"Netatmo does not accept the app", "Compare NETATMO_CLIENT_ID with the app at dev.netatmo.com, under My apps, and check that the app is not disabled there."}
	case "server_error", "temporarily_unavailable", "too_many_connections":
		return &Refusal{"Netatmo has a problem", "Netatmo’s login does not work at the moment. Try again in a few minutes."}
	}
	text := "Try again. If that does not help, create a new app at dev.netatmo.com and set its client ID and secret."
	if tidyCode.MatchString(code) {
		text = "Netatmo’s error is “" + code + "”. " + text
	}
	return &Refusal{"Netatmo ended the login with an error", text}
}
