package telemetry

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strings"
	"time"
	"unicode"
)

// Reasons for which a push fails: a bounded set, used as an attribute and to
// keep logs quiet.
const (
	Auth        = "auth"         // the login is missing or wrong
	TLS         = "tls"          // no agreement on encryption or certificates
	Refused     = "refused"      // the backend does not take this request
	Throttled   = "throttled"    // the backend asks to wait
	TooLarge    = "too_large"    // the backend does not take requests of this size
	Unreachable = "unreachable"  // no connection
	Unavailable = "unavailable"  // a fault at the backend or before it
	Redirect    = "redirect"     // the address has moved
	NotOTLP     = "not_otlp"     // something answers, but it is no OTLP receiver
	TooOld      = "too_old"      // points older than the backend takes
	OutOfOrder  = "out_of_order" // points older than what the backend has of their series
	Partial     = "partial"      // some points were taken and some refused
	Timeout     = "timeout"      // no answer in time; the points may have been taken
	Clock       = "clock"        // this machine's clock is wrong
	Other       = "other"
)

// Failure is a push that failed. Its text holds what the backend said, cut to
// a sane length and without the values of the headers that were sent.
type Failure struct {
	Reason     string
	Sentence   string        // what happened and what to do
	Remedy     string        // the part of it that says what to do
	RetryAfter time.Duration // how long the backend asks to wait; 0 where it does not say
	Rejected   int64         // points that were refused, for Partial
	Err        error         // nil where the backend's answer is all there is
}

func (f *Failure) Error() string { return f.Sentence }

// Unwrap returns what the transport reported, if anything.
func (f *Failure) Unwrap() error { return f.Err }

// ofContent reports whether the fault lies in the points of one request, so
// that the next request may well succeed.
func (f *Failure) ofContent() bool {
	switch f.Reason {
	case Refused, TooLarge, TooOld, OutOfOrder, Partial:
		return true
	}
	return false
}

// ofTime reports whether the fault lies in the times of the points.
func (f *Failure) ofTime() bool { return f.Reason == TooOld || f.Reason == OutOfOrder }

type saying struct{ what, remedy string }

const admitHistory = "to keep history, set storage.tsdb.out_of_order_time_window in Prometheus, or " +
	"out_of_order_time_window in Mimir or Grafana Cloud, to at least the length of the gap"

var sayings = map[string]saying{
	Auth: {"the backend refuses the login",
		"check the Authorization header in OTEL_EXPORTER_OTLP_HEADERS or in the file that OTEL_EXPORTER_OTLP_HEADERS_FILE names"},
	TLS:         {"no TLS connection to the backend", "check the scheme of the endpoint and the certificates"},
	Refused:     {"the backend refuses the request", "see the backend's message and its log"},
	Throttled:   {"the backend asks the agent to wait", "nothing, if it passes; else raise OTEL_METRIC_EXPORT_INTERVAL or the backend's limit"},
	TooLarge:    {"the request is too large for the backend", "raise its limit for requests to 4 MiB"},
	Unreachable: {"the backend cannot be reached", "check OTEL_EXPORTER_OTLP_ENDPOINT, and that the backend runs"},
	Unavailable: {"the backend has a fault", "nothing, if it passes; else see the backend's log"},
	Redirect:    {"the endpoint redirects elsewhere", "set OTEL_EXPORTER_OTLP_ENDPOINT to where it leads"},
	NotOTLP:     {"what answers at the endpoint is no OTLP receiver", "check path and port of OTEL_EXPORTER_OTLP_ENDPOINT"},
	TooOld:      {"the backend takes no points that old", admitHistory},
	OutOfOrder:  {"the backend takes no points older than what it has", admitHistory},
	Partial:     {"the backend refuses some of the points", "see its message"},
	Timeout:     {"the backend does not answer in time", "check the network, or raise OTEL_EXPORTER_OTLP_TIMEOUT and OTEL_METRIC_EXPORT_TIMEOUT"},
	Clock: {"the clock of this machine is more than 2 minutes off Netatmo's, so nothing is pushed",
		"set up time synchronisation (NTP)"},
	Other: {"the push failed", "see the message"},
}

// symptoms are texts that tell more than the status beside them, looked for in
// this order in lower case. They hold for HTTP and for gRPC, whose errors are
// text alone.
var symptoms = []struct{ text, reason, remedy string }{
	{"proxyconnect", Unreachable, "the proxy cannot be reached: check HTTPS_PROXY and HTTP_PROXY"},
	{"proxy authentication required", Unreachable, "the proxy wants a login: write it into HTTPS_PROXY or HTTP_PROXY, as http://user:password@proxy:port"},
	{"looked like an http/1.1 header", NotOTLP, speaksHTTP},
	// What gRPC says of a web server: of one without ALPN, with HTTP/1.1 alone,
	// and with HTTP/2. A proxy answers 502 to 504 for a gRPC server that is away.
	{"missing selected alpn property", NotOTLP, withoutHTTP2},
	{"no application protocol", NotOTLP, withoutHTTP2},
	{"http status code received from server: 429", Throttled, ""},
	{"http status code received from server: 2", NotOTLP, speaksHTTP},
	{"http status code received from server: 3", NotOTLP, speaksHTTP},
	{"http status code received from server: 4", NotOTLP, speaksHTTP},
	{`malformed http response "\x00\x00`, NotOTLP, "the port speaks gRPC, not HTTP: set OTEL_EXPORTER_OTLP_PROTOCOL=grpc, or use the HTTP port, usually 4318"},
	// Go's words for a server that speaks first, as gRPC's does.
	{"readlooppeekfaillocked: %!w(<nil>)", NotOTLP, "the port speaks gRPC, not HTTP: set OTEL_EXPORTER_OTLP_PROTOCOL=grpc, or use the HTTP port, usually 4318"},
	{`malformed http response "\x15\x03`, TLS, "the port speaks TLS: begin the endpoint with https://"},
	{"malformed http", NotOTLP, ""},
	{"http request to an https server", TLS, "the port speaks TLS: begin the endpoint with https://"},
	{"plain http request was sent to https port", TLS, "the port speaks TLS: begin the endpoint with https://"},
	{"first record does not look like a tls handshake", TLS, "the port does not speak TLS: begin the endpoint with http://"},
	{"server gave http response to https client", TLS, "the port does not speak TLS: begin the endpoint with http://"},
	{"unknown authority", TLS, "set OTEL_EXPORTER_OTLP_CERTIFICATE to the certificate (PEM) of the authority that signed the backend's"},
	{"x509: certificate is", TLS, "the certificate is for another name: use a name that it holds in OTEL_EXPORTER_OTLP_ENDPOINT"},
	{"ip sans", TLS, "the certificate is for another name: use a name that it holds in OTEL_EXPORTER_OTLP_ENDPOINT"},
	{"expired or is not yet valid", TLS, "renew the backend's certificate, or check this machine's clock"},
	{"certificate required", TLS, "the backend wants a client certificate: set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY"},
	{"bad certificate", TLS, "the backend does not take the client certificate: check OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"},
	{"x509:", TLS, ""},
	{"tls:", TLS, ""},
	{"error reading server preface: http2", NotOTLP, "the port does not speak gRPC: check its number"},
	// Nothing was said: so does a TLS server, and a forwarded port whose
	// program is not there, as of a container that restarts.
	{"error reading server preface", Unreachable, "see that the backend runs; if it does, begin the endpoint with https:// if it speaks TLS, or set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf if it does not speak gRPC"},
	{"message larger than max", TooLarge, ""},
	// Mimir's text for too old points names the out-of-order window as well.
	{"too old", TooOld, ""},
	{"too-old", TooOld, ""},
	{"out of bounds", TooOld, ""},
	{"too far in the past", TooOld, ""},
	{"too-far-in-past", TooOld, ""},
	{"out of order", OutOfOrder, ""},
	{"out-of-order", OutOfOrder, ""},
	{"duplicate sample", OutOfOrder, ""},
	{"duplicate-timestamp", OutOfOrder, ""},
	{"no such host", Unreachable, unknownHost},
	{"produced zero addresses", Unreachable, unknownHost}, // gRPC's words for it
	{"connection refused", Unreachable, "nothing listens there: check OTEL_EXPORTER_OTLP_ENDPOINT, and that the backend runs"},
	// A TLS server that is sent more than a little in plain text, too.
	{"connection reset", Unreachable, "see that the backend runs, and that the endpoint begins with https:// if it speaks TLS, else with http://"},
}

const (
	unknownHost = "the host name is not known: check its spelling in OTEL_EXPORTER_OTLP_ENDPOINT"
	speaksHTTP  = "the port speaks HTTP, not gRPC: set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"

	withoutHTTP2 = "the port has no HTTP/2, which gRPC needs: set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf, or switch HTTP/2 on there"
)

// newFailure returns the Failure for a reason or, where that is a vague one,
// for the better one that the detail gives away: what a server or a library
// said.
func newFailure(reason, detail string, err error) *Failure {
	found, remedy := diagnose(detail)
	switch reason {
	case Refused, Unavailable, Unreachable, Other:
		if found != "" {
			reason = found
		}
	case Partial:
		remedy = ""
		if found == TooOld || found == OutOfOrder {
			remedy = admitHistory
		}
	default:
		if found != reason {
			remedy = ""
		}
	}
	s := sayings[reason]
	if remedy == "" {
		remedy = s.remedy
	}
	if detail = shorten(detail); detail != "" {
		detail = " (" + detail + ")"
	}
	return &Failure{Reason: reason, Sentence: s.what + detail + ": " + remedy, Remedy: remedy, Err: err}
}

// diagnose looks for a symptom in a text; it returns nothing if there is none.
func diagnose(text string) (reason, remedy string) {
	text = strings.ToLower(text)
	for _, s := range symptoms {
		if strings.Contains(text, s.text) {
			return s.reason, s.remedy
		}
	}
	return "", ""
}

// shorten makes one line of printable characters of at most 200 of them.
func shorten(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	const most = 200
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return s
}

// Classify says why an export failed and what to do about it. It returns nil
// for nil.
func Classify(err error) *Failure {
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*Failure](err); ok {
		return f
	}
	detail := err.Error()
	if u, ok := errors.AsType[*url.Error](err); ok {
		detail = u.Err.Error()
	}
	reason := Other
	if n, ok := errors.AsType[net.Error](err); errors.Is(err, context.DeadlineExceeded) || ok && n.Timeout() {
		return newFailure(Timeout, "", err)
	} else if ok {
		reason = Unreachable
	}
	return newFailure(reason, detail, err)
}
