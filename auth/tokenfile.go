package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"strconv"
	"strings"
	"time"
)

// document is the content of the token file: the JSON that x/oauth2 makes of a
// token, which is what netatmo-exporter reads and writes.
type document struct {
	Access  string
	Refresh string
	Expiry  time.Time     // of the access token, UTC, whole seconds; zero: not stated
	Life    time.Duration // of the access token when it was new; zero: not stated
	others  map[string]json.RawMessage
}

var errNoToken = errors.New("it is not a JSON object that holds an access_token or a refresh_token")

// UnmarshalJSON accepts every object with a usable token in it. Anything else
// that is missing or malformed counts as not stated, because people write these
// files by hand. The error quotes nothing of the content.
func (d *document) UnmarshalJSON(b []byte) error {
	var attributes map[string]json.RawMessage
	if json.Unmarshal(b, &attributes) != nil {
		return errNoToken
	}
	read := document{
		Access:  readToken(attributes["access_token"]),
		Refresh: readToken(attributes["refresh_token"]),
		Expiry:  readTime(attributes["expiry"]),
		Life:    readSeconds(attributes["expires_in"]),
		others:  attributes,
	}
	if read.empty() {
		return errNoToken
	}
	for _, known := range []string{"access_token", "refresh_token", "expiry", "expires_in"} {
		delete(attributes, known)
	}
	*d = read
	return nil
}

// MarshalJSON writes the fields and the unknown attributes.
func (d document) MarshalJSON() ([]byte, error) {
	attributes := make(map[string]any, len(d.others)+4)
	for name, value := range d.others {
		attributes[name] = value
	}
	if d.Access != "" {
		attributes["access_token"] = d.Access
	}
	if d.Refresh != "" {
		attributes["refresh_token"] = d.Refresh
	}
	if !d.Expiry.IsZero() {
		attributes["expiry"] = d.Expiry.UTC().Format(time.RFC3339)
	}
	if d.Life > 0 {
		attributes["expires_in"] = int64(d.Life / time.Second)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // as a human would write it
	err := e.Encode(attributes)
	return b.Bytes(), err
}

func (d document) empty() bool { return d.Access == "" && d.Refresh == "" }

// same reports whether both are the same pair of tokens.
func (d document) same(o document) bool { return d.Access == o.Access && d.Refresh == o.Refresh }

// kin reports whether the two have a token in common.
func (d document) kin(o document) bool {
	return d.Access != "" && d.Access == o.Access || d.Refresh != "" && d.Refresh == o.Refresh
}

// succeeds returns d with the unknown attributes of the document it follows.
func (d document) succeeds(o document) document {
	d.others = maps.Clone(o.others)
	return d
}

// readToken returns the token if a header can carry it, or else nothing.
func readToken(raw json.RawMessage) string {
	var token string
	if json.Unmarshal(raw, &token) != nil {
		return ""
	}
	token = unescapeBar(strings.TrimSpace(token))
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return ""
	}
	return token
}

// readTime also returns zero for the year 1, which is what Go writes for an
// unset time.
func readTime(raw json.RawMessage) time.Time {
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, strings.TrimSpace(text))
	if err != nil || t.Unix() <= 0 {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Second)
}

// readSeconds reads a number or a string with a number in it, as a positive
// duration of at most ten years; 0 otherwise.
func readSeconds(raw json.RawMessage) time.Duration {
	const most = 10 * 365 * 24 * time.Hour
	seconds, err := strconv.ParseFloat(strings.Trim(string(raw), `" `), 64)
	if err != nil || !(seconds >= 1) || seconds > most.Seconds() {
		return 0
	}
	return time.Duration(seconds) * time.Second
}
