package auth

import (
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

var (
	tidyHost   = regexp.MustCompile(`^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$`)
	tidyPrefix = regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)+$`)
)

// openedAs guesses the address under which the browser opened the pages. It is
// empty if that is external, or nothing to be shown. Proxies' headers can be
// forged and are hints for the text of a page, nothing else.
//
// The scheme behind a proxy that does not tell is given away by the Sec-Fetch
// headers, which browsers send over https and to loopback alone.
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
		prefix = external.Path // taken off by a proxy that does not tell
	}
	if sameHost && scheme == external.Scheme && prefix == external.Path {
		return ""
	}
	return scheme + "://" + bareHost(scheme, host) + prefix
}

// splitPath splits the path of a request into the prefix that a proxy put, and
// kept, before it, and the rest: a page's own path, or what is no page.
func splitPath(path string) (prefix, page string) {
	for _, page := range []string{callbackPath, authorizePath, tokenPath, startPath} {
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
	case r.TLS != nil, r.Header.Get("Sec-Fetch-Mode") != "" && !isLoopback(host):
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

// firstOf returns the first of a list in a header: what the outermost proxy,
// the one that the browser spoke to, put there.
func firstOf(list string) string {
	first, _, _ := strings.Cut(list, ",")
	return strings.TrimSpace(first)
}

// bareHost returns host in lower case, without the port if the scheme implies
// it.
func bareHost(scheme, host string) string {
	defaultPort := map[string]string{"http": ":80", "https": ":443"}[scheme]
	return strings.TrimSuffix(strings.ToLower(host), defaultPort)
}

func isLoopback(host string) bool {
	name := (&url.URL{Host: host}).Hostname()
	ip := net.ParseIP(name)
	return name == "localhost" || strings.HasSuffix(name, ".localhost") || ip != nil && ip.IsLoopback()
}

func origin(u *url.URL) string { return u.Scheme + "://" + bareHost(u.Scheme, u.Host) }
