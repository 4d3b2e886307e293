package config

import (
	"net"
	"net/url"
	"strconv"
	"strings"

	"netatmo-agent/agent/hosts"
)

// grpcTarget reads an endpoint in the form of a gRPC client: dns:///host:port,
// dns://server/host:port, dns:host:port, unix:path, unix:///path or
// unix-abstract:name. is is false for any other. The URL is http or https for a
// name, unix for a socket.
func (l *loader) grpcTarget(p *Push, s *settings) (u *url.URL, is bool) {
	scheme, rest, found := strings.Cut(s.Endpoint.text, ":")
	_, port := strconv.Atoi(rest)
	if !found || port == nil { // a host that is called dns or unix
		return nil, false
	}
	switch scheme {
	case "unix", "unix-abstract":
		if u = socket(scheme, rest); u == nil {
			l.problem(s.Endpoint, "names no socket", "write unix:///path of the socket")
			return nil, true
		}
		if s.Insecure.text == "false" {
			l.warn(s.Insecure, "has no effect: the endpoint is a socket of this machine", "")
		}
	case "dns":
		u = l.named(s, rest)
	default:
		return nil, false
	}
	if p.Protocol == HTTP {
		l.problem(s.Protocol, "is http/protobuf, but the endpoint "+scheme+": is for gRPC", "set it to grpc, or the endpoint to an address that begins with http:// or https://")
		return nil, true
	}
	p.Protocol, p.Target = GRPC, s.Endpoint.text
	return u, true
}

// socket returns the URL of a socket, nil if it has no name.
func socket(scheme, name string) *url.URL {
	if scheme == "unix" && strings.HasPrefix(name, "//") {
		name = strings.TrimPrefix(name, "//")
		if !strings.HasPrefix(name, "/") {
			return nil // an authority, which sockets do not have
		}
	}
	if name == "" {
		return nil
	}
	return &url.URL{Scheme: scheme, Opaque: name}
}

// named returns the URL of the host that a dns target names; nil after a problem.
func (l *loader) named(s *settings, target string) *url.URL {
	if authority, ok := strings.CutPrefix(target, "//"); ok {
		_, target, _ = strings.Cut(authority, "/")
	}
	scheme := "http"
	host, port, err := net.SplitHostPort(target)
	switch {
	case err != nil || host == "" || port == "" || !validPort(port):
		l.problem(s.Endpoint, "is not a valid target: it has no host and port", "write dns:///collector:4317")
		return nil
	case s.Insecure.text == "false":
		scheme = "https"
	case s.Insecure.text == "" && !hosts.Loopback(host):
		l.problem(s.Endpoint, "does not say whether to use TLS", "set "+s.Insecure.Variable+" to true for plain text or to false for TLS")
		return nil
	}
	return &url.URL{Scheme: scheme, Host: target}
}
