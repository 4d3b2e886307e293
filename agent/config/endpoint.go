package config

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

const metricsPath = "/v1/metrics"

// endpointSettings are what decides where the push goes.
type endpointSettings struct {
	endpoint variable
	exact    bool // the endpoint is of the metrics form, whose path is used as it is
	protocol variable
	insecure variable // text is "true", "false" or nothing
}

// endpoint sets the URL and protocol of the push.
func (l *loader) endpoint(p *Push, s endpointSettings) {
	p.Protocol = l.protocol(s.protocol)
	if s.endpoint.text == "" {
		p.Default = true
		s.endpoint.text = "http://localhost:4317"
		if p.Protocol == HTTP {
			s.endpoint.text = "http://localhost:4318"
		}
	}
	u, ok := l.endpointURL(s)
	if !ok {
		return
	}
	if p.Protocol == "" {
		p.Protocol = protocolFor(u)
	}
	if u.Scheme == "https" && s.insecure.text == "true" {
		l.warn(s.insecure.name, "has no effect: the endpoint is https, and stays so", "")
	}
	l.portHint(s.endpoint.name, u, p.Protocol)
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
		l.problem(v.name, "is http/json, which Prometheus, VictoriaMetrics and others do not take", "use http/protobuf: the same address, a smaller body")
	default:
		l.problem(v.name, strconv.Quote(v.text)+" is not known", "use grpc or http/protobuf, or leave it unset")
	}
	return ""
}

// protocolFor is the choice where the user made none: HTTP if there is a path
// (gRPC has none) or the port is that of OTLP/HTTP.
func protocolFor(u *url.URL) string {
	if len(u.Path) > 1 || u.Port() == "4318" {
		return HTTP
	}
	return GRPC
}

// endpointURL reads the endpoint. One without a scheme works where there is no
// doubt about TLS: on this machine, or where INSECURE decides, as OpenTelemetry
// has it for gRPC.
func (l *loader) endpointURL(s endpointSettings) (*url.URL, bool) {
	text := s.endpoint.text
	if !strings.Contains(text, "://") {
		bareHost, _ := url.Parse("//" + text)
		switch {
		case s.insecure.text == "false":
			text = "https://" + text
		case s.insecure.text == "true" || bareHost != nil && loopback(bareHost.Hostname()):
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
		what += ", so it does not say whether to encrypt"
		if hostPort.MatchString(text) {
			remedy = fmt.Sprintf("write http://%s, or https://%s if the server has a certificate", text, text)
		}
	case withLogin:
		what += ", which exporters do not send"
		remedy = "take it out and set OTEL_EXPORTER_OTLP_HEADERS=Authorization=Basic%20<base64 of user:password>"
	case withQuery:
		what += ", which exporters do not send"
		remedy = "take it out; if it is a key, most backends take it as a header, in OTEL_EXPORTER_OTLP_HEADERS"
	}
	l.problem(s.endpoint.name, what, remedy)
	return nil, false
}

// hostPort is what can be shown of an endpoint without a scheme.
var hostPort = regexp.MustCompile(`^[A-Za-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._/-]*)?$`)

// grpcURL returns scheme://host:port. Without a port that is 443 for TLS, else
// 4317, the port of OTLP/gRPC; grpc-go would take 443 for both.
func (l *loader) grpcURL(s endpointSettings, u *url.URL) (*url.URL, bool) {
	if httpOnly(u) {
		base := strings.TrimSuffix(strings.TrimRight(u.Path, "/"), metricsPath)
		if base == "" {
			base = "/otlp"
		}
		remedy := "set it to " + u.Scheme + "://" + u.Host + base
		culprit := s.endpoint.name
		if s.protocol.text != "" {
			culprit = s.protocol.name
			remedy = "set it to http/protobuf or unset it, and " + s.endpoint.name + " to " + u.Scheme + "://" + u.Host + base
		}
		l.problem(culprit, "leads to gRPC, but "+u.Host+base+" takes OTLP over HTTP only", remedy)
		return nil, false
	}
	if len(u.Path) > 1 {
		l.warn(s.endpoint.name, "has a path, which is ignored: gRPC has none", "")
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

// httpURL returns the address that is posted to.
func (l *loader) httpURL(s endpointSettings, u *url.URL) (*url.URL, bool) {
	path := strings.TrimRight(u.Path, "/")
	base := strings.TrimSuffix(path, metricsPath)
	if otherPath.MatchString(path) {
		l.problem(s.endpoint.name, "is the address for another signal than metrics", "end it in "+metricsPath+", or leave the end off")
		return nil, false
	}
	wholePath := base != path
	if grafanaCloud(u) && (base != "/otlp" || s.exact && !wholePath) {
		right := u.Scheme + "://" + u.Host + "/otlp"
		if s.exact {
			right += metricsPath
		}
		l.problem(s.endpoint.name, "lacks the path at which Grafana Cloud takes OTLP", "set it to "+right)
		return nil, false
	}
	switch {
	case path == "" || !s.exact:
		u.Path, u.RawPath = base+metricsPath, ""
	case !wholePath:
		l.warn(s.endpoint.name, "is used as it is, without "+metricsPath+" at its end", "if it is a base address, set OTEL_EXPORTER_OTLP_ENDPOINT instead")
	}
	return u, true
}

var otherPath = regexp.MustCompile(`/v1/(traces|logs|profiles)$`)

// httpOnly knows the backends that take OTLP over HTTP alone: Grafana Cloud by
// its host; Mimir, Prometheus, VictoriaMetrics and Dynatrace by their paths.
func httpOnly(u *url.URL) bool {
	return grafanaCloud(u) || httpOnlyPath.MatchString(u.Path)
}

var httpOnlyPath = regexp.MustCompile(`/(otlp|opentelemetry)(/|$)`)

func grafanaCloud(u *url.URL) bool {
	host := strings.ToLower(u.Hostname())
	return strings.HasPrefix(host, "otlp-gateway") && strings.HasSuffix(host, ".grafana.net")
}

// portHint warns where the port is known for something else.
func (l *loader) portHint(name string, u *url.URL, protocol string) {
	const hint = "has the usual port of %s, which takes OTLP over HTTP at %s"
	switch port := u.Port(); {
	case port == "9090" && !httpOnlyPath.MatchString(u.Path):
		l.warn(name, fmt.Sprintf(hint, "Prometheus", "http://<host>:9090/api/v1/otlp"), "")
	case port == "8428" && !httpOnlyPath.MatchString(u.Path):
		l.warn(name, fmt.Sprintf(hint, "VictoriaMetrics", "http://<host>:8428/opentelemetry"), "")
	case port == "4317" && protocol == HTTP:
		l.warn(name, "has port 4317, usually gRPC's, but the protocol is HTTP, whose port is 4318", "")
	case port == "4318" && protocol == GRPC:
		l.warn(name, "has port 4318, usually that of OTLP over HTTP, but the protocol is grpc, whose port is 4317", "")
	}
}
