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

// Reason is why a push failed: one of a bounded set, used as an attribute and
// to keep logs quiet.
type Reason string

const (
	reasonAuth        Reason = "auth"         // the login is missing or wrong
	reasonTLS         Reason = "tls"          // no agreement on encryption or certificates
	reasonRefused     Reason = "refused"      // the backend does not take this request
	reasonThrottled   Reason = "throttled"    // the backend asks to wait
	reasonTooLarge    Reason = "too_large"    // the backend does not take requests of this size
	reasonUnreachable Reason = "unreachable"  // no connection
	reasonUnavailable Reason = "unavailable"  // a fault at the backend or before it
	reasonRedirect    Reason = "redirect"     // the address has moved
	reasonNotOTLP     Reason = "not_otlp"     // something answers, but it is no OTLP receiver
	reasonTooOld      Reason = "too_old"      // points older than the backend takes
	reasonOutOfOrder  Reason = "out_of_order" // points older than what the backend has of their series
	reasonPartial     Reason = "partial"      // some points were taken and some refused
	reasonTimeout     Reason = "timeout"      // no answer in time; the points may have been taken
	reasonClock       Reason = "clock"        // this machine's clock is wrong
	reasonOther       Reason = "other"
)

// Failure is a push that failed. Its text holds what the backend said, cut to
// a sane length and without the values of the headers that were sent.
type Failure struct {
	Reason     Reason
	What       string        // what happened
	Remedy     string        // what to do about it
	RetryAfter time.Duration // how long the backend asks to wait; 0 where it does not say
	Rejected   int64         // points that were refused, where the answer counts them
	Err        error         // nil where the backend's answer is all there is
}

func (f *Failure) Error() string { return f.What + ": " + f.Remedy }

// Unwrap returns what the transport reported, if anything.
func (f *Failure) Unwrap() error { return f.Err }

// ofContent reports whether the fault lies in the points of one request, so
// that the next request may well succeed.
func (f *Failure) ofContent() bool {
	switch f.Reason {
	case reasonRefused, reasonTooLarge, reasonTooOld, reasonOutOfOrder, reasonPartial:
		return true
	}
	return false
}

// ofTime reports whether the fault lies in the times of the points.
func (f *Failure) ofTime() bool { return f.Reason == reasonTooOld || f.Reason == reasonOutOfOrder }

type saying struct{ what, remedy string }

const admitHistory = "to keep history, set storage.tsdb.out_of_order_time_window in Prometheus, or " +
	"out_of_order_time_window in Mimir or Grafana Cloud, to at least the length of the gap"

var sayings = map[Reason]saying{
	reasonAuth: {"the backend refuses the login",
		"check the Authorization header in OTEL_EXPORTER_OTLP_HEADERS or in the file that OTEL_EXPORTER_OTLP_HEADERS_FILE names"},
	reasonTLS:         {"no TLS connection to the backend", "check the scheme of the endpoint and the certificates"},
	reasonRefused:     {"the backend refuses the request", "see the backend's message and its log"},
	reasonThrottled:   {"the backend asks the agent to wait", "it usually passes; if it does not, raise OTEL_METRIC_EXPORT_INTERVAL or the backend's limit"},
	reasonTooLarge:    {"the request is too large for the backend", "raise its limit for requests to 4 MiB"},
	reasonUnreachable: {"the backend cannot be reached", "check OTEL_EXPORTER_OTLP_ENDPOINT, and that the backend runs"},
	reasonUnavailable: {"the backend has a fault", "it usually passes; if it does not, see the backend's log"},
	reasonRedirect:    {"the endpoint redirects elsewhere", "set OTEL_EXPORTER_OTLP_ENDPOINT to where it leads"},
	reasonNotOTLP:     {"what answers at the endpoint is no OTLP receiver", "check path and port of OTEL_EXPORTER_OTLP_ENDPOINT"},
	reasonTooOld:      {"the backend takes no points that old", admitHistory},
	reasonOutOfOrder:  {"the backend takes no points older than what it has", admitHistory},
	reasonPartial:     {"the backend refuses some of the points", "see its message"},
	reasonTimeout:     {"the backend does not answer in time", "check the network, or raise OTEL_EXPORTER_OTLP_TIMEOUT and OTEL_METRIC_EXPORT_TIMEOUT"},
	reasonClock: {"the clock of this machine is more than 2 minutes off Netatmo's, so nothing is pushed",
		"set up time synchronisation (NTP)"},
	reasonOther: {"the push failed", "see the message"},
}

// symptoms are texts that tell more than the status beside them, looked for in
// this order in lower case. They hold for HTTP and for gRPC, whose errors are
// text alone.
var symptoms = []struct {
	text   string
	reason Reason
	remedy string
}{
	{"proxyconnect", reasonUnreachable, "the proxy cannot be reached: check HTTPS_PROXY and HTTP_PROXY"},
	{"proxy authentication required", reasonUnreachable, "the proxy wants a login: write it into HTTPS_PROXY or HTTP_PROXY, as http://user:password@proxy:port"},
	{"looked like an http/1.1 header", reasonNotOTLP, speaksHTTP},
	// What gRPC says of a web server: of one without ALPN, with HTTP/1.1 alone,
	// and with HTTP/2. A proxy answers 502 to 504 for a gRPC server that is away.
	{"missing selected alpn property", reasonNotOTLP, withoutHTTP2},
	{"no application protocol", reasonNotOTLP, withoutHTTP2},
	{"http status code received from server: 429", reasonThrottled, ""},
	{"http status code received from server: 2", reasonNotOTLP, speaksHTTP},
	{"http status code received from server: 3", reasonNotOTLP, speaksHTTP},
	{"http status code received from server: 4", reasonNotOTLP, speaksHTTP},
	{`malformed http response "\x00\x00`, reasonNotOTLP, "the port speaks gRPC, not HTTP: set OTEL_EXPORTER_OTLP_PROTOCOL=grpc, or use the HTTP port, usually 4318"},
	// Go's words for a server that speaks first, as gRPC's does.
	{"readlooppeekfaillocked: %!w(<nil>)", reasonNotOTLP, "the port speaks gRPC, not HTTP: set OTEL_EXPORTER_OTLP_PROTOCOL=grpc, or use the HTTP port, usually 4318"},
	{`malformed http response "\x15\x03`, reasonTLS, "the port speaks TLS: begin the endpoint with https://"},
	{"malformed http", reasonNotOTLP, ""},
	{"http request to an https server", reasonTLS, "the port speaks TLS: begin the endpoint with https://"},
	{"plain http request was sent to https port", reasonTLS, "the port speaks TLS: begin the endpoint with https://"},
	{"first record does not look like a tls handshake", reasonTLS, "the port does not speak TLS: begin the endpoint with http://"},
	{"server gave http response to https client", reasonTLS, "the port does not speak TLS: begin the endpoint with http://"},
	{"unknown authority", reasonTLS, "set OTEL_EXPORTER_OTLP_CERTIFICATE to the certificate (PEM) of the authority that signed the backend's"},
	{"x509: certificate is", reasonTLS, "the certificate is for another name: use a name that it holds in OTEL_EXPORTER_OTLP_ENDPOINT"},
	{"ip sans", reasonTLS, "the certificate is for another name: use a name that it holds in OTEL_EXPORTER_OTLP_ENDPOINT"},
	{"expired or is not yet valid", reasonTLS, "renew the backend's certificate, or check this machine's clock"},
	{"certificate required", reasonTLS, "the backend wants a client certificate: set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY"},
	{"bad certificate", reasonTLS, "the backend does not take the client certificate: check OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"},
	{"x509:", reasonTLS, ""},
	{"tls:", reasonTLS, ""},
	{"error reading server preface: http2", reasonNotOTLP, "the port does not speak gRPC: check its number"},
	// Nothing was said: so does a TLS server, and a forwarded port whose
	// program is not there, as of a container that restarts.
	{"error reading server preface", reasonUnreachable, "see that the backend runs; if it does, begin the endpoint with https:// if it speaks TLS, or set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf if it does not speak gRPC"},
	{"message larger than max", reasonTooLarge, ""},
	// Mimir's text for too old points names the out-of-order window as well.
	{"too old", reasonTooOld, ""},
	{"too-old", reasonTooOld, ""},
	{"out of bounds", reasonTooOld, ""},
	{"too far in the past", reasonTooOld, ""},
	{"too-far-in-past", reasonTooOld, ""},
	{"out of order", reasonOutOfOrder, ""},
	{"out-of-order", reasonOutOfOrder, ""},
	{"duplicate sample", reasonOutOfOrder, ""},
	{"duplicate-timestamp", reasonOutOfOrder, ""},
	{"no such host", reasonUnreachable, unknownHost},
	{"produced zero addresses", reasonUnreachable, unknownHost}, // gRPC's words for it
	{"connection refused", reasonUnreachable, "nothing listens there: check OTEL_EXPORTER_OTLP_ENDPOINT, and that the backend runs"},
	// A TLS server that is sent more than a little in plain text, too.
	{"connection reset", reasonUnreachable, "see that the backend runs, and that the endpoint begins with https:// if it speaks TLS, else with http://"},
}

const (
	unknownHost = "the host name is not known: check its spelling in OTEL_EXPORTER_OTLP_ENDPOINT"
	speaksHTTP  = "the port speaks HTTP, not gRPC: set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"

	withoutHTTP2 = "the port has no HTTP/2, which gRPC needs: set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf, or switch HTTP/2 on there"
)

// newFailure returns the Failure for a reason or, where that is a vague one,
// for the better one that the detail gives away: what a server or a library
// said.
func newFailure(reason Reason, detail string, err error) *Failure {
	found, remedy := diagnose(detail)
	switch reason {
	case reasonRefused, reasonUnavailable, reasonUnreachable, reasonOther:
		if found != "" {
			reason = found
		}
	case reasonPartial:
		remedy = ""
		if found == reasonTooOld || found == reasonOutOfOrder {
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
	return &Failure{Reason: reason, What: s.what + detail, Remedy: remedy, Err: err}
}

// diagnose looks for a symptom in a text; it returns nothing if there is none.
func diagnose(text string) (reason Reason, remedy string) {
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
	reason := reasonOther
	if n, ok := errors.AsType[net.Error](err); errors.Is(err, context.DeadlineExceeded) || ok && n.Timeout() {
		return newFailure(reasonTimeout, "", err)
	} else if ok {
		reason = reasonUnreachable
	}
	return newFailure(reason, detail, err)
}
