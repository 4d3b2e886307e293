package otlp

import (
	"bytes"
	"strings"
)

const (
	unknownHost     = "the host name is unknown: check its spelling in OTEL_EXPORTER_OTLP_ENDPOINT"
	speaksHTTP      = "the port speaks HTTP, not gRPC: set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"
	speaksGRPC      = "the port speaks gRPC, not HTTP: set OTEL_EXPORTER_OTLP_PROTOCOL=grpc, or use the HTTP port, usually 4318"
	speaksTLS       = "the port speaks TLS: begin the endpoint with https://"
	speaksPlain     = "the port does not speak TLS: begin the endpoint with http://"
	withoutHTTP2    = "the port has no HTTP/2, which gRPC needs: set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf, or enable HTTP/2 there"
	otherName       = "the certificate is for another name: use a name from it in OTEL_EXPORTER_OTLP_ENDPOINT"
	behindCollector = "the Collector cannot reach the backend behind it: check its exporter, and that the backend runs"
	behindAuth      = "the backend behind the Collector rejects the Collector's credentials: check the headers of its exporter"
	noMetrics       = "the receiver does not accept metrics: in a Collector, add its otlp receiver to a metrics pipeline"
	noGzip          = "the backend does not accept gzip: set OTEL_EXPORTER_OTLP_COMPRESSION=none"
)

// wantsTLS are the texts with which web servers (Go's, nginx' and Apache's)
// answer plain text at a TLS port, in lower case.
var wantsTLS = [...]string{
	"client sent an http request to an https server",
	"the plain http request was sent to https port",
	"speaking plain http to an ssl-enabled server port",
}

// asksForTLS returns the one of these texts that an answer contains, or
// nothing.
func asksForTLS(answer []byte) string {
	answer = bytes.ToLower(answer)
	for _, words := range wantsTLS {
		if bytes.Contains(answer, []byte(words)) {
			return words
		}
	}
	return ""
}

// symptoms are texts of servers and libraries, in lower case, that say more
// than the status. The first match counts. They apply to HTTP and to gRPC,
// whose errors are only text.
var symptoms = []struct {
	text   string
	reason Reason
	remedy string // "": the reason's own
}{
	// Proxies.
	{"proxy authentication required", Unreachable, "the proxy asks for a password: write it into HTTPS_PROXY or HTTP_PROXY, as http://user:password@proxy:port"},
	{"proxyconnect", Unreachable, "the proxy cannot be reached: check HTTPS_PROXY and HTTP_PROXY"},
	{"the proxy answers", Unreachable, "the proxy does not pass the connection on: check HTTPS_PROXY, NO_PROXY and the proxy's rules"},

	// Sizes, as reported by gRPC's libraries, the Collector, and gateways.
	{"larger than max", TooLarge, ""},
	{"exceeds maximum size", TooLarge, ""},
	{"exceeds the maximum configured message size", TooLarge, ""},
	{"message length too large", TooLarge, ""},
	{"request body too large", TooLarge, ""},
	{"payload too large", TooLarge, ""},
	{"entity too large", TooLarge, ""},
	{"http status code 413", TooLarge, ""},
	{"status code received from server: 413", TooLarge, ""},

	// The wrong protocol on the port: gRPC's texts for a web server without
	// ALPN, with HTTP/1.1 only, and with HTTP/2. A proxy answers 502 to 504 for
	// a gRPC server that is down.
	{"looked like an http/1.1 header", NotOTLP, speaksHTTP},
	{"missing selected alpn property", NotOTLP, withoutHTTP2},
	{"no application protocol", NotOTLP, withoutHTTP2},
	{"http status code received from server: 429", Throttled, ""},
	{"http status code received from server: 2", NotOTLP, speaksHTTP},
	{"http status code received from server: 3", NotOTLP, speaksHTTP},
	{"http status code received from server: 4", NotOTLP, speaksHTTP},
	{`malformed http response "\x00\x00`, NotOTLP, speaksGRPC},
	{"readlooppeekfaillocked: %!w(<nil>)", NotOTLP, speaksGRPC}, // net/http, for a server that speaks first, as gRPC's does
	{`malformed http response "\x15\x03`, TLS, speaksTLS},
	{"malformed http", NotOTLP, ""},

	// TLS.
	{wantsTLS[0], TLS, speaksTLS},
	{wantsTLS[1], TLS, speaksTLS},
	{wantsTLS[2], TLS, speaksTLS},
	{"first record does not look like a tls handshake", TLS, speaksPlain},
	{"server gave http response to https client", TLS, speaksPlain},
	{"unknown authority", TLS, "set OTEL_EXPORTER_OTLP_CERTIFICATE to the certificate (PEM) of the authority that signed the backend's"},
	{"x509: certificate is", TLS, otherName},
	{"ip sans", TLS, otherName},
	{"expired or is not yet valid", TLS, "renew the backend's certificate, or check this machine's clock"},
	{"certificate required", TLS, "the backend asks for a client certificate: set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY"},
	{"bad certificate", TLS, "the backend rejects the client certificate: check OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"},
	{"x509:", TLS, ""},
	{"tls:", TLS, ""},

	{"error reading server preface: http2", NotOTLP, "the port does not speak gRPC: check its number"},
	// No text at all: from a TLS server, or from a forwarded port without its
	// program, such as that of a restarting container.
	{"error reading server preface", Unreachable, "check that the backend runs; if it does, begin the endpoint with https:// if it speaks TLS, or set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf if it does not speak gRPC"},

	// Times. Mimir's text for points that are too old names the out-of-order window
	// as well.
	{"in the future", Clock, ""},
	{"in-future", Clock, ""},
	{"in future", Clock, ""},
	{"too new", Clock, ""},
	{"too old", TooOld, ""},
	{"too-old", TooOld, ""},
	{"out of bounds", TooOld, ""},
	{"too far in the past", TooOld, ""},
	{"too-far-in-past", TooOld, ""},
	{"out of order", OutOfOrder, ""},
	{"out-of-order", OutOfOrder, ""},
	{"duplicate sample", OutOfOrder, ""},
	{"duplicate-timestamp", OutOfOrder, ""},

	// Backends and what is in front of them.
	{"no org id", Auth, "the backend asks for a tenant: add X-Scope-OrgID=<tenant> to OTEL_EXPORTER_OTLP_HEADERS"},
	{"decompressor is not installed", NotOTLP, noGzip},
	{"monotonic_cumulative_sum", Partial, "the backend accepts counters as deltas only: set OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=delta"},
	{"unknown service opentelemetry.proto.collector.metrics", NotOTLP, noMetrics},
	{"high memory usage", Unavailable, "the Collector is short of memory: raise the limit of its memory_limiter"},
	{"queue is full", Unavailable, "the Collector's queue is full, usually because the backend behind it does not accept the data: see the Collector's log"},
	{"failed to make an http request", Unavailable, behindCollector},
	{"rpc error: code = unavailable desc = connection error", Unavailable, behindCollector},
	{"permanent error: rpc error: code = unauthenticated", Auth, behindAuth},
	{"permanent error: rpc error: code = permissiondenied", Auth, behindAuth},
	{"permanent error", Refused, "the Collector passes on what the backend behind it answered: see the Collector's log"},

	// No connection.
	{"no such host", Unreachable, unknownHost},
	{"produced zero addresses", Unreachable, unknownHost}, // from gRPC
	{"connection refused", Unreachable, "nothing listens there: check OTEL_EXPORTER_OTLP_ENDPOINT, and that the backend runs"},
	// Also from a TLS server that receives more than a little plain text.
	{"connection reset", Unreachable, "check that the backend runs, and that the endpoint begins with https:// if it speaks TLS, else with http://"},
}

// diagnose looks for a symptom in a text. It returns nothing if there is none.
func diagnose(text string) (reason Reason, remedy string) {
	text = strings.ToLower(text)
	for _, s := range symptoms {
		if strings.Contains(text, s.text) {
			return s.reason, s.remedy
		}
	}
	return "", ""
}
