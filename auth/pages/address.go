package pages

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"strings"

	"golang.org/x/net/idna"

	"netatmo-agent/agent/hosts"
	"netatmo-agent/auth"
)

var (
	tidyHost   = regexp.MustCompile(`^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$`)
	tidyPrefix = regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)+$`)
)

// openedAs guesses the address at which the browser opened the pages. It is
// empty if that is external, or nothing to show. Proxies' headers can be forged
// and only influence the text of a page.
//
// If a proxy does not name the scheme, the Sec-Fetch headers reveal it: browsers
// send them only over https and to loopback.
func openedAs(r *http.Request, external *url.URL) string {
	host := firstOf(r.Header.Get("X-Forwarded-Host"))
	if !tidyHost.MatchString(host) {
		host = r.Host
	}
	if !tidyHost.MatchString(host) {
		return ""
	}
	scheme, known := openedScheme(r, host)
	if !known {
		scheme = external.Scheme
	}
	sameHost := bareHost(scheme, host) == bareHost(external.Scheme, external.Host)
	if !known && !sameHost {
		scheme = "http"
	}
	prefix, _ := splitPath(r.URL.Path)
	told := strings.TrimSuffix(firstOf(r.Header.Get("X-Forwarded-Prefix")), "/")
	switch {
	case tidyPrefix.MatchString(told):
		prefix = told
	case prefix != "" && !tidyPrefix.MatchString(prefix):
		return ""
	case prefix == "" && (sameHost || proxied(r)):
		prefix = external.Path // removed by a proxy that does not say so
	}
	if sameHost && scheme == external.Scheme && prefix == external.Path {
		return ""
	}
	return scheme + "://" + bareHost(scheme, host) + prefix
}

// recognisable reports whether the user would know an address as one of their
// own: this machine, a private address, a name of a home network, or a name
// beside that of external. Any other may come from a forged Host header.
func recognisable(address string, external *url.URL) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	name := u.Hostname()
	if ip, err := netip.ParseAddr(name); err == nil {
		return ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast()
	}
	machine, _ := os.Hostname()
	_, domain, _ := strings.Cut(strings.ToLower(external.Hostname()), ".")
	_, top, dotted := cutLast(name, ".")
	return !dotted || name == strings.ToLower(machine) || homeNetwork[top] || strings.HasSuffix(name, ".home.arpa") || name == "fritz.box" ||
		name == strings.ToLower(external.Hostname()) || strings.Contains(domain, ".") && strings.HasSuffix(name, "."+domain)
}

// homeNetwork holds the top-level domains of home networks, none of which exists
// on the internet.
var homeNetwork = map[string]bool{
	"local": true, "lan": true, "home": true, "internal": true, "localdomain": true, "localhost": true, "intranet": true, "test": true,
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// otherLoopback reports whether the browser came straight to another name of
// this machine than the one in external, such as 127.0.0.1 for localhost. A
// login must come back to the same name, or its cookie is missing.
func otherLoopback(r *http.Request, external *url.URL) bool {
	opened := &url.URL{Host: r.Host}
	return !proxied(r) && hosts.Loopback(opened.Hostname()) && hosts.Loopback(external.Hostname()) && opened.Port() == external.Port() &&
		!strings.EqualFold(opened.Hostname(), external.Hostname())
}

// splitPath splits the path of a request into the prefix that a proxy put
// before it and the path of a page, which is empty if there is no such page.
func splitPath(path string) (prefix, page string) {
	for _, page := range []string{auth.CallbackPath, authorizePath, tokenPath, startPath} {
		if prefix, found := strings.CutSuffix(path, page); found {
			return prefix, page
		}
	}
	return "", path
}

func openedScheme(r *http.Request, host string) (scheme string, known bool) {
	scheme = firstOf(r.Header.Get("X-Forwarded-Proto"))
	switch {
	case scheme == "http" || scheme == "https":
		return scheme, true
	case r.TLS != nil, r.Header.Get("Sec-Fetch-Mode") != "" && !hosts.Loopback((&url.URL{Host: host}).Hostname()):
		return "https", true
	}
	return "", false
}

func proxied(r *http.Request) bool {
	for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "Via"} {
		if r.Header.Get(name) != "" {
			return true
		}
	}
	return false
}

// firstOf returns the first element of a list in a header: that of the outermost
// proxy, to which the browser is connected.
func firstOf(list string) string {
	first, _, _ := strings.Cut(list, ",")
	return strings.TrimSpace(first)
}

// bareHost returns host as browsers send it: in lower case and ASCII, without
// the default port of the scheme.
func bareHost(scheme, host string) string {
	if ascii, err := idna.Lookup.ToASCII((&url.URL{Host: host}).Hostname()); err == nil {
		port := (&url.URL{Host: host}).Port()
		if host = ascii; port != "" {
			host = net.JoinHostPort(ascii, port)
		}
	}
	defaultPort := map[string]string{"http": ":80", "https": ":443"}[scheme]
	return strings.TrimSuffix(strings.ToLower(host), defaultPort)
}

func origin(u *url.URL) string { return u.Scheme + "://" + bareHost(u.Scheme, u.Host) }
