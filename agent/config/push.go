package config

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"netatmo-agent/agent/hosts"
)

// Values of Push.Protocol and Push.Exporter.
const (
	GRPC    = "grpc"
	HTTP    = "http/protobuf"
	OTLP    = "otlp"
	Console = "console"
)

// Push is where and how to send the metrics, from OpenTelemetry's variables.
type Push struct {
	Exporter string // OTLP or Console
	Protocol string // GRPC or HTTP

	// URL is final: for HTTP the URL to post to, for gRPC scheme://host:port, or
	// unix:path. Its path may be a secret; see ShownURL. It is nil only if the
	// endpoint has a problem.
	URL     *url.URL
	Target  string // of gRPC, if the user wrote one, such as dns:///host:port
	Default bool   // no endpoint was configured
	Consent bool   // the user allows credentials over plain http; see Exposes

	Headers     map[string]Secret // names in lower case
	HeadersFile string            // more headers, reloaded when it changes; see ParseHeaderFile

	CAFile            string
	CertFile, KeyFile string // both or neither

	Gzip          bool
	Delta         bool          // counters are sent as deltas
	Timeout       time.Duration // for one request
	Interval      time.Duration // between pushes
	ExportTimeout time.Duration // for one push with all its requests

	ServiceName, ServiceNamespace string
	InstanceID                    string            // service.instance.id, if the user set it
	Attributes                    map[string]string // other resource attributes
}

// TLS reports whether the push is encrypted. Only the scheme decides.
func (p Push) TLS() bool { return p.URL != nil && p.URL.Scheme == "https" }

// Socket reports whether the push goes to a Unix socket of this machine.
func (p Push) Socket() bool { return p.URL != nil && p.URL.Opaque != "" }

// Exposes reports whether a header with this name must not be sent: it contains
// credentials, would be sent unencrypted to another machine, and the user has not
// allowed that. Load refuses such headers at start; the header file may add others
// later.
func (p Push) Exposes(header string) bool {
	return p.URL != nil && !p.TLS() && !p.Socket() && !hosts.Loopback(p.URL.Hostname()) && !p.Consent && LogsIn(header)
}

func (l *loader) push(s *settings) Push {
	s.Insecure.text = strings.ToLower(s.Insecure.text)
	if s.Insecure.text != "" && !slices.Contains(s.Insecure.Values, s.Insecure.text) {
		l.problem(s.Insecure, strconv.Quote(s.Insecure.text)+" is neither true nor false", "use true or false")
		s.Insecure.text = ""
	}
	p := Push{
		Exporter:      l.exporter(s),
		Gzip:          l.choice(s.Compression) == "gzip",
		Delta:         l.choice(s.Temporality) != "cumulative",
		Timeout:       l.milliseconds(s.Timeout),
		Interval:      l.milliseconds(s.ExportInterval),
		ExportTimeout: l.milliseconds(s.ExportTimeout),
		Consent:       s.Insecure.text == "true",
	}
	if p.Interval > 5*time.Minute {
		l.warn(s.ExportInterval, "is more than 5 minutes: Prometheus stops showing a value after 5 minutes, so graphs will have gaps", "")
	}
	l.endpoint(&p, s)
	l.certificates(&p, s.Certificate, s.ClientCertificate, s.ClientKey)
	general := s.Headers
	if elsewhere(s.Endpoint) && general.text != "" {
		l.warn(general, "is not sent, because "+s.Endpoint.name+" names another host than "+s.Endpoint.Variable, "set "+s.MetricsHeaders.Variable+" to the headers for that host")
		general.text = ""
	}
	l.headers(&p, general, s.MetricsHeaders, s.HeadersFile)
	l.resource(&p, s.ServiceName, s.ResourceAttributes)
	return p
}

func (l *loader) exporter(s *settings) string {
	const remedy = "use otlp, or console to print the metrics instead of pushing them"
	if strings.ToLower(s.SDKDisabled.text) == "true" {
		l.problem(s.SDKDisabled, "is true, but pushing metrics is all that the agent does", "unset it for the agent")
	}
	for _, v := range []variable{s.ConfigFile, s.ExperimentalConfigFile} {
		if v.text != "" {
			l.problem(v, "is set, but the agent has no configuration file, and the specification ignores all other variables with it", "unset it for the agent")
		}
	}
	v := s.MetricsExporter
	switch exporter := strings.ToLower(v.text); exporter {
	case OTLP, Console:
		return exporter
	case "none":
		l.problem(v, "is none, but pushing metrics is all that the agent does", remedy)
	case "prometheus":
		l.problem(v, "is prometheus, but the agent pushes and has no endpoint to scrape",
			remedy+"; Prometheus accepts pushes at http://<host>:9090/api/v1/otlp when started with --web.enable-otlp-receiver")
	default:
		l.problem(v, strconv.Quote(v.text)+" is not a valid value", remedy)
	}
	return OTLP
}

// milliseconds reads a duration as OpenTelemetry defines it: a whole number of
// milliseconds.
func (l *loader) milliseconds(v variable) time.Duration {
	n, err := strconv.ParseInt(v.text, 10, 32)
	if err == nil && n == 0 {
		what := "is 0, which means no limit: a request that is never answered would stop all pushes"
		if v.Variable == "OTEL_METRIC_EXPORT_INTERVAL" {
			what = "is 0, which leaves no time between pushes"
		}
		l.problem(v, what, "write milliseconds, such as "+v.Default)
		return 0
	}
	if err != nil || n < 0 {
		remedy := "write milliseconds without a unit, such as " + v.Default
		if d, what, _ := parseDuration(v.text); what == "" && d >= time.Millisecond {
			remedy = fmt.Sprintf("write it in milliseconds, without a unit: %d", d.Milliseconds())
		}
		l.problem(v, strconv.Quote(v.text)+" must be a number of milliseconds, 1 or more", remedy)
		return 0
	}
	if n < 1000 {
		l.warn(v, fmt.Sprintf("is %d milliseconds, less than a second: the unit is milliseconds, not seconds", n), "")
	}
	return time.Duration(n) * time.Millisecond
}

// certificates checks that the files can be used, because the exporters only log
// it if they cannot, and continue with the system's certificates.
func (l *loader) certificates(p *Push, ca, cert, key variable) {
	if p.URL != nil && !p.TLS() {
		for _, v := range []variable{ca, cert, key} {
			if v.text != "" {
				l.warn(v, "has no effect: the endpoint is plain http", "")
			}
		}
	}
	p.CAFile, p.CertFile, p.KeyFile = ca.text, cert.text, key.text
	if ca.text != "" {
		if pem, ok := l.readFile(ca); ok && !x509.NewCertPool().AppendCertsFromPEM(pem) {
			l.problem(ca, "names a file without a PEM certificate", "set it to a file that begins with -----BEGIN CERTIFICATE-----")
		}
	}
	switch {
	case cert.text == "" && key.text == "":
		return
	case key.text == "":
		l.problem(cert, "is set, but its private key is not", "set "+key.name+" to the file of its private key")
		return
	case cert.text == "":
		l.problem(key, "is set, but its certificate is not", "set "+cert.name+" to the file of the certificate")
		return
	}
	certPEM, certRead := l.readFile(cert)
	keyPEM, keyRead := l.readFile(key)
	if !certRead || !keyRead {
		return
	}
	if _, err := tls.X509KeyPair(certPEM, keyPEM); err != nil {
		l.problem(cert, "and "+key.name+" cannot be used as a pair: "+err.Error(), "give a certificate and its private key, both PEM, the key without a passphrase")
	}
}
