package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// bare returns text without the blanks and the one pair of quotes around it:
// docker's --env-file and many a YAML file leave quotes in a value.
func bare(text string) string {
	text = strings.TrimSpace(text)
	if n := len(text); n >= 2 && (text[0] == '"' || text[0] == '\'') && text[n-1] == text[0] {
		text = strings.TrimSpace(text[1 : n-1])
	}
	return text
}

// plain reports whether text is ASCII without blanks, quotes or control
// characters.
func plain(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= unicode.MaxASCII || r == '"' || r == '\'' })
}

// readFile reads the file that a variable names. What it says on failure has
// no path in it: those who put the secret itself where its file is expected
// would find it in the log.
func (l *loader) readFile(variable, path string) ([]byte, bool) {
	content, err := os.ReadFile(path)
	if err == nil {
		return content, true
	}
	reason := err
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		reason = pathError.Err
	}
	remedy := "give the path of a file that this user may read"
	if errors.Is(err, fs.ErrNotExist) {
		remedy = "give the path of a file; in a container, the path inside it. The content itself does not belong here"
	}
	l.problem(variable, "names a file that cannot be read: "+reason.Error(), remedy)
	return nil, false
}

func (l *loader) choice(variable, text string, options ...string) string {
	if i := slices.Index(options, strings.ToLower(text)); i >= 0 {
		return options[i]
	}
	l.problem(variable, strconv.Quote(text)+" is not known", "use "+strings.Join(options, " or "))
	return options[0]
}

func (l *loader) boolean(variable, text string) bool {
	b, err := strconv.ParseBool(strings.ToLower(text))
	if err != nil {
		l.problem(variable, strconv.Quote(text)+" is neither true nor false", "use true or false")
	}
	return b
}

func (l *loader) families(variable, text string) []string {
	known := []string{"weather", "homecoach", "energy"}
	var families []string
	for family := range strings.SplitSeq(strings.ToLower(text), ",") {
		family = strings.TrimSpace(family)
		switch {
		case family == "" || slices.Contains(families, family):
		case slices.Contains(known, family):
			families = append(families, family)
		default:
			l.problem(variable, strconv.Quote(family)+" is not a device family", "use one or more of weather,homecoach,energy, separated by commas")
		}
	}
	if families == nil {
		return known[:2]
	}
	return families
}

// ParseDuration reads what time.ParseDuration does, and days before it: 7d,
// 1d12h. The error is for people and has the remedy in it.
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
			return 0, "is not a duration", example
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
	return 0, "is not a duration from 0 on", example
}

func (l *loader) duration(variable, text string) time.Duration {
	d, what, remedy := parseDuration(text)
	if what != "" {
		l.problem(variable, strconv.Quote(text)+" "+what, remedy)
	}
	return d
}

func (l *loader) times(env *environment) (interval, stale, backfill time.Duration) {
	const staleVariable, intervalVariable = "NETATMO_AGE_STALE", "NETATMO_REFRESH_INTERVAL"
	problems := len(l.problems)
	interval = l.duration(intervalVariable, env.RefreshInterval)
	stale = l.duration(staleVariable, env.AgeStale)
	backfill = l.duration("NETATMO_BACKFILL", env.Backfill)
	if len(l.problems) > problems {
		return interval, stale, backfill
	}
	if interval > 0 && interval < time.Minute {
		l.warn(intervalVariable, "is "+env.RefreshInterval+", raised to 1m: Netatmo has new values about every ten minutes and blocks those who ask too often", "")
		interval = time.Minute
	}
	switch {
	case stale == 0:
		l.problem(staleVariable, "is 0, so no value would ever be pushed", "use 20m, or leave it unset")
	case stale < interval:
		l.warn(staleVariable, fmt.Sprintf("(%s) is shorter than %s (%s): values are withheld between polls", env.AgeStale, l.name(intervalVariable), env.RefreshInterval), "")
	case stale < 12*time.Minute:
		l.warn(staleVariable, "is "+env.AgeStale+", but a station sends values about every ten minutes: they are withheld between uploads", "")
	}
	return interval, stale, backfill
}

// listenAddr returns the address to listen on, empty for off. Port 0, any free
// one, is for programs that ask afterwards which it was.
func (l *loader) listenAddr(variable, text string) string {
	if strings.ToLower(text) == "off" {
		return ""
	}
	_, port, err := net.SplitHostPort(text)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		l.problem(variable, strconv.Quote(text)+" is not an address to listen on", "write host:port or :port, such as 127.0.0.1:9210 or :9210, or off")
	}
	return text
}

// external returns the base of the login pages as the browser sees it. Never
// nil, so that the redirect URI can be named even with the pages off.
func (l *loader) external(variable, text, listen string) *url.URL {
	if text == "" {
		host, port, err := net.SplitHostPort(listen)
		switch ip, ipErr := netip.ParseAddr(host); {
		case err != nil:
			return &url.URL{Scheme: "http", Host: "localhost:9210"}
		case host == "" || ipErr == nil && ip.IsUnspecified():
			return &url.URL{Scheme: "http", Host: "localhost:" + port}
		}
		return &url.URL{Scheme: "http", Host: listen}
	}
	u, ok := l.webURL(variable, text, "http://192.168.1.10:9210 or https://home.example/netatmo")
	if !ok {
		return &url.URL{Scheme: "http", Host: "localhost:9210"}
	}
	if base, found := strings.CutSuffix(u.Path, "/auth/callback"); found {
		u.Path = base
		l.problem(variable, "ends in /auth/callback, which the agent adds itself", "set it to "+u.String())
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && ip.IsUnspecified() {
		l.problem(variable, "has the host "+u.Hostname()+", which no browser can open", "use the name or address under which the browser reaches this machine")
	}
	return u
}

func (l *loader) apiURL(variable, text string) string {
	u, ok := l.webURL(variable, text, "https://api.netatmo.com")
	if !ok {
		return text
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) {
		l.warn(variable, "is plain http: the client secret and the tokens travel readable", "")
	}
	return u.String()
}

// webURL reads the base of a web site; its path comes back without a slash at
// the end.
func (l *loader) webURL(variable, text, example string) (*url.URL, bool) {
	u, what := parseURL(text)
	if what != "" {
		l.problem(variable, what, "write "+example)
		return nil, false
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), strings.TrimRight(u.RawPath, "/")
	return u, true
}

const (
	noScheme  = "has no http:// or https:// in front"
	withLogin = "has a user name or password in it"
	withQuery = "has something after ? or #"
)

// parseURL reads an http or https URL and says what is wrong with it, showing
// nothing of the text: there may be a login in it.
func parseURL(text string) (u *url.URL, what string) {
	if !strings.Contains(text, "://") {
		return nil, noScheme
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || !validPort(u.Port()):
		return nil, "cannot be read as a URL"
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, "begins with " + u.Scheme + "://, but only http and https make sense"
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

// loopback reports whether a host is this machine by its name or address.
func loopback(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && ip.IsLoopback()
}
