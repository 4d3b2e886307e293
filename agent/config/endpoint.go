package config

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"

	"netatmo-agent/agent/hosts"
)

const metricsPath = "/v1/metrics"

// endpoint sets the URL and protocol of the push.
func (l *loader) endpoint(p *Push, s *settings) {
	p.Protocol = l.protocol(s.Protocol)
	if s.Endpoint.text == "" {
		p.Default = true
		s.Endpoint.text = "http://localhost:4317"
		if p.Protocol == HTTP {
			s.Endpoint.text = "http://localhost:4318"
		}
	}
	if u, is := l.grpcTarget(p, s); is {
		p.URL = u
		return
	}
	u, ok := l.endpointURL(s)
	if !ok {
		return
	}
	if p.Protocol == "" {
		p.Protocol = protocolFor(u)
	}
	if u.Scheme == "https" && s.Insecure.text == "true" {
		l.warn(s.Insecure, "has no effect: the endpoint is https", "")
	}
	l.portHint(s.Endpoint, u, p.Protocol)
	if p.Protocol == GRPC {
		p.URL, ok = l.grpcURL(s, u)
	} else {
		p.URL, ok = l.httpURL(s, u)
	}
	if !ok {
		p.URL = nil
	}
}

func (l *loader) protocol(v variable) string {
	switch text := strings.ToLower(v.text); text {
	case "", GRPC, HTTP:
		return text
	case "http/json":
		l.problem(v, "is http/json, which Prometheus, VictoriaMetrics and others do not accept", "use http/protobuf: the same address, a smaller body")
	default:
		l.problem(v, strconv.Quote(v.text)+" is not a valid value", "use "+oneOf(v.Values)+", or leave it unset")
	}
	return ""
}

// protocolFor returns the protocol if the user has not set it: HTTP if there is
// a path (gRPC has none) or the port is that of OTLP/HTTP.
func protocolFor(u *url.URL) string {
	if len(u.Path) > 1 || u.Port() == "4318" {
		return HTTP
	}
	return GRPC
}

// endpointURL reads the endpoint. It may lack a scheme on this machine, or if
// INSECURE decides about TLS, as OpenTelemetry specifies for gRPC.
func (l *loader) endpointURL(s *settings) (*url.URL, bool) {
	text := s.Endpoint.text
	if !strings.Contains(text, "://") {
		bareHost, _ := url.Parse("//" + text)
		switch {
		case s.Insecure.text == "false":
			text = "https://" + text
		case s.Insecure.text == "true" || bareHost != nil && hosts.Loopback(bareHost.Hostname()):
			text = "http://" + text
		}
	}
	u, what := parseURL(text)
	if what == "" {
		return u, true
	}
	remedy := "write it like http://collector:4317 (gRPC), http://collector:4318 (HTTP) or https://otlp.example/otlp"
	switch what {
	case noScheme:
		what += ", so it is unclear whether to use TLS"
		if hostPort.MatchString(text) {
			remedy = fmt.Sprintf("write http://%s, or https://%s if the server has a certificate", text, text)
		}
	case withLogin:
		what += ", which exporters do not send"
		remedy = "remove it and set OTEL_EXPORTER_OTLP_HEADERS=Authorization=Basic%20<base64 of user:password>"
	case withQuery:
		what += ", which exporters do not send"
		remedy = "remove it; if it is a key, most backends accept it as a header, in OTEL_EXPORTER_OTLP_HEADERS"
	}
	l.problem(s.Endpoint, what, remedy)
	return nil, false
}

// elsewhere reports whether the _METRICS_ form of the endpoint names another host
// than the general form, so that headers for the one must not reach the other.
func elsewhere(endpoint variable) bool {
	general := bare(os.Getenv(endpoint.Variable))
	if endpoint.name == endpoint.Variable || general == "" {
		return false
	}
	host := func(text string) string {
		if !strings.Contains(text, "://") {
			text = "//" + text
		}
		u, err := url.Parse(text)
		if err != nil {
			return ""
		}
		return strings.ToLower(u.Hostname())
	}
	return host(general) != host(endpoint.text)
}

// ShownURL returns an endpoint for people to read. A path that is not one of a
// known backend's may be a secret, as Sumo Logic's is, and is shown as "…".
func ShownURL(u *url.URL) string {
	if u.Opaque != "" { // a socket
		return u.String()
	}
	shown := u.Scheme + "://" + u.Host
	switch {
	case len(u.Path) <= 1:
		return shown + u.Path
	case SecretPath(u) != "":
		return shown + "/…"
	}
	return shown + u.EscapedPath()
}

// SecretPath returns the path of an endpoint if it may be a secret, else "".
func SecretPath(u *url.URL) string {
	base := strings.TrimSuffix(strings.TrimRight(u.Path, "/"), metricsPath)
	if base == "" || knownBase.MatchString(base) {
		return ""
	}
	return u.Path
}

// knownBase matches the paths of known backends: Grafana Cloud and Mimir,
// Prometheus, Dynatrace, VictoriaMetrics, OpenObserve, Splunk, Elastic.
var knownBase = regexp.MustCompile(`^(/otlp|/api/v1/otlp|/api/v2/otlp|/opentelemetry(/api/v1/push)?|/api/[a-z_-]{1,20}|/v2/datapoint/otlp|/_otlp)$`)

// hostPort matches endpoints without a scheme that contain no credentials.
var hostPort = regexp.MustCompile(`^[A-Za-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._/-]*)?$`)

// grpcURL returns scheme://host:port. Without a port that is 443 for TLS, else
// 4317, the port of OTLP/gRPC; grpc-go would take 443 for both.
func (l *loader) grpcURL(s *settings, u *url.URL) (*url.URL, bool) {
	if httpOnly(u) {
		base := strings.TrimSuffix(strings.TrimRight(u.Path, "/"), metricsPath)
		if base == "" {
			base = "/otlp"
		} else if SecretPath(u) != "" {
			base = "/…"
		}
		remedy := "set it to " + u.Scheme + "://" + u.Host + base
		culprit := s.Endpoint
		if s.Protocol.text != "" {
			culprit = s.Protocol
			remedy = "set it to http/protobuf or unset it, and " + s.Endpoint.name + " to " + u.Scheme + "://" + u.Host + base
		}
		l.problem(culprit, "selects gRPC, but "+u.Host+base+" accepts OTLP over HTTP only", remedy)
		return nil, false
	}
	if len(u.Path) > 1 {
		l.warn(s.Endpoint, "has a path, which is ignored: gRPC has none", "")
	}
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "https":
		port = "443"
	default:
		port = "4317"
	}
	return &url.URL{Scheme: u.Scheme, Host: net.JoinHostPort(u.Hostname(), port)}, true
}

// httpURL returns the URL to post to.
func (l *loader) httpURL(s *settings, u *url.URL) (*url.URL, bool) {
	path := strings.TrimRight(u.EscapedPath(), "/")
	base := strings.TrimSuffix(path, metricsPath)
	if otherPath.MatchString(path) {
		l.problem(s.Endpoint, "is the address for a signal other than metrics", "end it in "+metricsPath+", or remove the last part")
		return nil, false
	}
	wholePath, exact := base != path, s.Endpoint.name != s.Endpoint.Variable // the path of the _METRICS_ form is used as it is
	if grafanaCloud(u) && (base != "/otlp" || exact && !wholePath) {
		right := u.Scheme + "://" + u.Host + "/otlp"
		if exact {
			right += metricsPath
		}
		l.problem(s.Endpoint, "lacks the path at which Grafana Cloud accepts OTLP", "set it to "+right)
		return nil, false
	}
	switch {
	case path == "" || !exact:
		u.RawPath = base + metricsPath
		u.Path, _ = url.PathUnescape(u.RawPath) // it was escaped by net/url
	case !wholePath:
		l.warn(s.Endpoint, "is used as it is, without "+metricsPath+" appended", "if it is a base address, set OTEL_EXPORTER_OTLP_ENDPOINT instead")
	}
	return u, true
}

var otherPath = regexp.MustCompile(`/v1/(traces|logs|profiles)$`)

// httpOnly recognises backends that accept OTLP only over HTTP: Grafana Cloud by
// its host; Mimir, Prometheus, VictoriaMetrics and Dynatrace by their paths.
func httpOnly(u *url.URL) bool {
	return grafanaCloud(u) || httpOnlyPath.MatchString(u.Path)
}

var httpOnlyPath = regexp.MustCompile(`/(otlp|opentelemetry)(/|$)`)

func grafanaCloud(u *url.URL) bool {
	host := strings.ToLower(u.Hostname())
	return strings.HasPrefix(host, "otlp-gateway") && strings.HasSuffix(host, ".grafana.net")
}

// portHint warns about ports that are known for something else.
func (l *loader) portHint(v variable, u *url.URL, protocol string) {
	const hint = "has the usual port of %s, which accepts OTLP over HTTP at %s"
	switch port := u.Port(); {
	case port == "9090" && !httpOnlyPath.MatchString(u.Path):
		l.warn(v, fmt.Sprintf(hint, "Prometheus", "http://<host>:9090/api/v1/otlp"), "")
	case port == "8428" && !httpOnlyPath.MatchString(u.Path):
		l.warn(v, fmt.Sprintf(hint, "VictoriaMetrics", "http://<host>:8428/opentelemetry"), "")
	case port == "4317" && protocol == HTTP:
		l.warn(v, "has port 4317, usually gRPC's, but the protocol is HTTP, whose port is 4318", "")
	case port == "4318" && protocol == GRPC:
		l.warn(v, "has port 4318, usually that of OTLP over HTTP, but the protocol is grpc, whose port is 4317", "")
	}
}
