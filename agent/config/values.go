package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"netatmo-agent/agent/hosts"
	"netatmo-agent/store"
)

// bare returns text without surrounding spaces and one pair of quotes, which
// docker's --env-file and some YAML files leave in a value.
func bare(text string) string {
	text = strings.TrimSpace(text)
	if n := len(text); n >= 2 && (text[0] == '"' || text[0] == '\'') && text[n-1] == text[0] {
		text = strings.TrimSpace(text[1 : n-1])
	}
	return text
}

// plain reports whether text is ASCII without spaces, quotes or control
// characters.
func plain(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= unicode.MaxASCII || r == '"' || r == '\'' })
}

// readFile reads the file that v names. Its problems do not contain the path:
// users who set the secret itself instead of its file would find it in the log.
func (l *loader) readFile(v variable) ([]byte, bool) {
	content, err := store.ReadFile(v.text)
	if err == nil {
		return content, true
	}
	reason := err
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		reason = pathError.Err
	}
	remedy := "set it to a file that this user can read"
	if errors.Is(err, fs.ErrNotExist) {
		remedy = "set it to the path of a file (in a container, the path inside the container), not to the content itself"
	}
	l.problem(v, "names a file that cannot be read: "+reason.Error(), remedy)
	return nil, false
}

// choice returns one of the values that v may have.
func (l *loader) choice(v variable) string {
	if text := strings.ToLower(v.text); slices.Contains(v.Values, text) {
		return text
	}
	l.problem(v, strconv.Quote(v.text)+" is not a valid value", "use "+oneOf(v.Values))
	return v.Default
}

// oneOf is "a, b or c".
func oneOf(values []string) string {
	last := len(values) - 1
	return strings.Join(values[:last], ", ") + " or " + values[last]
}

func (l *loader) boolean(v variable) bool {
	b, err := strconv.ParseBool(strings.ToLower(v.text))
	if err != nil {
		l.problem(v, strconv.Quote(v.text)+" is neither true nor false", "use true or false")
	}
	return b
}

func (l *loader) families(v variable) []string {
	const all = "all"
	var families []string
	for family := range strings.SplitSeq(strings.ToLower(v.text), ",") {
		family = strings.TrimSpace(family)
		switch {
		case family == "" || slices.Contains(families, family):
		case slices.Contains(v.Values, family):
			families = append(families, family)
		default:
			l.problem(v, strconv.Quote(family)+" is not a device family", "use one or more of "+strings.Join(v.Values, ",")+", separated by commas")
		}
	}
	switch {
	case families == nil:
		return strings.Split(v.Default, ",")
	case slices.Contains(families, all):
		return slices.DeleteFunc(slices.Clone(v.Values), func(f string) bool { return f == all })
	}
	return families
}

// scopes reads names separated by spaces or commas. OAuth allows more characters
// in them (RFC 6749, section 3.3), but Netatmo's have only these.
func (l *loader) scopes(v variable) []string {
	var scopes []string
	for _, scope := range strings.FieldsFunc(v.text, func(r rune) bool { return r == ',' || unicode.IsSpace(r) }) {
		switch {
		case !scopeName.MatchString(scope):
			l.problem(v, strconv.Quote(scope)+" is not a scope", "separate scopes by spaces or commas, such as read_station read_homecoach")
		case !slices.Contains(scopes, scope):
			scopes = append(scopes, scope)
		}
	}
	return scopes
}

var scopeName = regexp.MustCompile(`^[a-z0-9_]+$`)

// number reads a whole number from least to most, inclusive.
func (l *loader) number(v variable, least, most int) int {
	n, err := strconv.Atoi(v.text)
	if err != nil || n < least || n > most {
		l.problem(v, fmt.Sprintf("%q is not a number from %d to %d", v.text, least, most), "use "+v.Default+", or leave it unset")
		n, _ = strconv.Atoi(v.Default)
	}
	return n
}

// ParseDuration reads what time.ParseDuration reads, optionally after a number
// of days: 7d, 1d12h. The error includes the remedy.
func ParseDuration(text string) (time.Duration, error) {
	d, what, remedy := parseDuration(text)
	if what != "" {
		return 0, fmt.Errorf("%q %s: %s", text, what, remedy)
	}
	return d, nil
}

func parseDuration(text string) (d time.Duration, what, remedy string) {
	const example = "write 90s, 30m, 24h or 7d"
	var days time.Duration
	rest := text
	if number, after, found := strings.Cut(text, "d"); found {
		n, err := strconv.ParseUint(number, 10, 16)
		if err != nil {
			return 0, "must be a duration of zero or more", example
		}
		days, rest = time.Duration(n)*24*time.Hour, after
		if rest == "" {
			return days, "", ""
		}
	}
	d, err := time.ParseDuration(rest)
	if err == nil && d >= 0 && days+d >= 0 {
		return days + d, "", ""
	}
	if _, notNumber := strconv.ParseUint(text, 10, 32); notNumber == nil {
		return 0, "has no unit", fmt.Sprintf("write %ss or %sm", text, text)
	}
	return 0, "must be a duration of zero or more", example
}

// zero reports whether text is a duration of nothing.
func zero(text string) bool {
	d, what, _ := parseDuration(text)
	return d == 0 && what == ""
}

func (l *loader) duration(v variable) time.Duration {
	d, what, remedy := parseDuration(v.text)
	if what != "" {
		l.problem(v, strconv.Quote(v.text)+" "+what, remedy)
	}
	return d
}

func (l *loader) times(s *settings) (interval, stale, backfill time.Duration) {
	problems := len(l.problems)
	interval, stale, backfill = l.duration(s.RefreshInterval), l.duration(s.AgeStale), l.duration(s.Backfill)
	if len(l.problems) > problems {
		return interval, stale, backfill
	}
	if interval > 0 && interval < time.Minute {
		l.warn(s.RefreshInterval, "is "+s.RefreshInterval.text+", raised to 1m: Netatmo has new values about every ten minutes and blocks clients that poll too often", "")
		interval = time.Minute
	}
	switch {
	case stale == 0:
		l.problem(s.AgeStale, "is 0, so no value would ever be pushed", "use 20m, or leave it unset")
	case stale < interval:
		l.warn(s.AgeStale, fmt.Sprintf("(%s) is shorter than %s (%s): values are withheld between polls", s.AgeStale.text, s.RefreshInterval.name, s.RefreshInterval.text), "")
	case stale < 12*time.Minute:
		l.warn(s.AgeStale, "is "+s.AgeStale.text+", but stations send values only about every ten minutes: values will be missing between uploads", "")
	}
	return interval, stale, backfill
}

// listenAddr returns the address to listen on, empty for off. Port 0 means any
// free port.
func (l *loader) listenAddr(v variable) string {
	if strings.ToLower(v.text) == "off" {
		return ""
	}
	_, port, err := net.SplitHostPort(v.text)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		l.problem(v, strconv.Quote(v.text)+" is not an address to listen on", "write host:port or :port, such as 127.0.0.1:9210 or :9210, or off")
	}
	return v.text
}

// external returns the URL of the login pages as the browser sees it. It is never
// nil, so that the redirect URI is known even if the pages are off.
func (l *loader) external(v variable, listen string) *url.URL {
	if v.text == "" {
		host, port, err := net.SplitHostPort(listen)
		switch ip, ipErr := netip.ParseAddr(host); {
		case err != nil:
			return &url.URL{Scheme: "http", Host: "localhost:9210"}
		case host == "" || hosts.Loopback(host) || ipErr == nil && ip.IsUnspecified():
			return &url.URL{Scheme: "http", Host: "localhost:" + port}
		}
		return &url.URL{Scheme: "http", Host: listen}
	}
	u, ok := l.webURL(v, "http://192.168.1.10:9210 or https://home.example/netatmo")
	if !ok {
		return &url.URL{Scheme: "http", Host: "localhost:9210"}
	}
	if base, found := strings.CutSuffix(u.Path, "/auth/callback"); found {
		u.Path = base
		l.problem(v, "ends in /auth/callback, which the agent adds itself", "set it to "+u.String())
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && ip.IsUnspecified() {
		l.problem(v, "has the host "+u.Hostname()+", which no browser can open", "use the name or address at which the browser reaches this machine")
	}
	return u
}

func (l *loader) apiURL(v variable) string {
	u, ok := l.webURL(v, "https://api.netatmo.com")
	if !ok {
		return v.text
	}
	if u.Scheme == "http" && !hosts.Loopback(u.Hostname()) {
		l.warn(v, "uses plain http: the client secret and the tokens are sent unencrypted", "")
	}
	return u.String()
}

// webURL reads a base URL and removes trailing slashes from its path.
func (l *loader) webURL(v variable, example string) (*url.URL, bool) {
	u, what := parseURL(v.text)
	if what != "" {
		l.problem(v, what, "write "+example)
		return nil, false
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), strings.TrimRight(u.RawPath, "/")
	return u, true
}

const (
	noScheme  = "does not begin with http:// or https://"
	withLogin = "contains a user name or password"
	withQuery = "contains a query (?) or a fragment (#)"
)

// parseURL reads an http or https URL and says what is wrong with it, without
// showing the text, which may contain credentials.
func parseURL(text string) (u *url.URL, what string) {
	if !strings.Contains(text, "://") {
		return nil, noScheme
	}
	u, err := url.Parse(text)
	switch {
	case err == nil && u.Scheme != "" && u.Scheme != "http" && u.Scheme != "https":
		return nil, "begins with " + u.Scheme + "://, but only http and https are supported"
	case err != nil || u.Hostname() == "" || !validPort(u.Port()):
		return nil, "is not a valid URL"
	case u.User != nil:
		return nil, withLogin
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, withQuery
	}
	return u, ""
}

func validPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return port == "" || err == nil && n > 0
}
