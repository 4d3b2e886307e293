package config

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/kelseyhightower/envconfig"
)

// Values of Push.Protocol and Push.Exporter.
const (
	GRPC    = "grpc"
	HTTP    = "http/protobuf"
	OTLP    = "otlp"
	Console = "console"
)

// Push is where and how the metrics are sent, from OpenTelemetry's variables.
type Push struct {
	Exporter string // OTLP or Console
	Protocol string // GRPC or HTTP

	// URL is final: for HTTP the address that is posted to, for gRPC
	// scheme://host:port. It holds no secret. Nil only if it is among the
	// problems.
	URL     *url.URL
	Default bool // no endpoint was configured
	Consent bool // the user agrees to a login over plain http; see Exposes

	Headers     map[string]Secret // names in lower case
	HeadersFile string            // more of them, to be read again when it changes; see ParseHeaderFile

	CAFile            string
	CertFile, KeyFile string // both or neither

	Gzip          bool
	Timeout       time.Duration // for one request
	Interval      time.Duration // between pushes
	ExportTimeout time.Duration // for one push with all its requests

	ServiceName, ServiceNamespace string
	InstanceID                    string            // service.instance.id, if the user chose one
	Attributes                    map[string]string // what else the user adds to the resource
}

// TLS reports whether the push is encrypted: the scheme alone decides.
func (p Push) TLS() bool { return p.URL != nil && p.URL.Scheme == "https" }

// Exposes reports whether a header of this name must not be sent: it logs in,
// it would travel readable to another machine, and the user has not consented.
// Load has refused those that were there at start; the file of headers may
// bring others later.
func (p Push) Exposes(header string) bool {
	return p.URL != nil && !p.TLS() && !loopback(p.URL.Hostname()) && !p.Consent && LogsIn(header)
}

// otlpEnvironment holds the variables that exist as OTEL_EXPORTER_OTLP_* and
// as OTEL_EXPORTER_OTLP_METRICS_*.
type otlpEnvironment struct {
	Endpoint          string
	Protocol          string
	Headers           string
	Certificate       string
	ClientCertificate string `split_words:"true"`
	ClientKey         string `split_words:"true"`
	Insecure          string
	Compression       string
	Timeout           string
}

type otelEnvironment struct {
	ExporterOTLPHeadersFile string `split_words:"true"`
	MetricExportInterval    string `split_words:"true"`
	MetricExportTimeout     string `split_words:"true"`
	MetricsExporter         string `split_words:"true"`
	ServiceName             string `split_words:"true"`
	ResourceAttributes      string `split_words:"true"`
	SDKDisabled             string `split_words:"true"`
}

// variable is a variable as the user set it.
type variable struct{ name, text string }

// pick returns the general or the metrics form of a variable: the latter wins.
func pick(name, general, metrics string) variable {
	if text := bare(metrics); text != "" {
		return variable{metricsForm(name), text}
	}
	return variable{name, bare(general)}
}

func (l *loader) push() Push {
	var general, metrics otlpEnvironment
	var otel otelEnvironment
	envconfig.MustProcess("OTEL_EXPORTER_OTLP", &general)
	envconfig.MustProcess("OTEL_EXPORTER_OTLP_METRICS", &metrics)
	envconfig.MustProcess("OTEL", &otel)

	p := Push{
		Exporter:      l.exporter(otel),
		Gzip:          l.gzip(pick("OTEL_EXPORTER_OTLP_COMPRESSION", general.Compression, metrics.Compression)),
		Timeout:       l.milliseconds(pick("OTEL_EXPORTER_OTLP_TIMEOUT", general.Timeout, metrics.Timeout), 10*time.Second),
		Interval:      l.milliseconds(variable{"OTEL_METRIC_EXPORT_INTERVAL", bare(otel.MetricExportInterval)}, time.Minute),
		ExportTimeout: l.milliseconds(variable{"OTEL_METRIC_EXPORT_TIMEOUT", bare(otel.MetricExportTimeout)}, 30*time.Second),
	}
	if p.Interval > 5*time.Minute {
		l.warn("OTEL_METRIC_EXPORT_INTERVAL", "is more than 5 minutes, which is as long as Prometheus goes on showing a value: graphs will have gaps", "")
	}
	insecure := l.insecure(pick("OTEL_EXPORTER_OTLP_INSECURE", general.Insecure, metrics.Insecure))
	l.endpoint(&p, endpointSettings{
		endpoint: pick("OTEL_EXPORTER_OTLP_ENDPOINT", general.Endpoint, metrics.Endpoint),
		exact:    bare(metrics.Endpoint) != "",
		protocol: pick("OTEL_EXPORTER_OTLP_PROTOCOL", general.Protocol, metrics.Protocol),
		insecure: insecure,
	})
	l.certificates(&p,
		pick("OTEL_EXPORTER_OTLP_CERTIFICATE", general.Certificate, metrics.Certificate),
		pick("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", general.ClientCertificate, metrics.ClientCertificate),
		pick("OTEL_EXPORTER_OTLP_CLIENT_KEY", general.ClientKey, metrics.ClientKey))
	p.Consent = insecure.text == "true"
	l.headers(&p,
		variable{"OTEL_EXPORTER_OTLP_HEADERS", general.Headers},
		variable{metricsForm("OTEL_EXPORTER_OTLP_HEADERS"), metrics.Headers},
		variable{"OTEL_EXPORTER_OTLP_HEADERS_FILE", bare(otel.ExporterOTLPHeadersFile)})
	l.resource(&p, bare(otel.ServiceName), otel.ResourceAttributes)
	return p
}

func (l *loader) exporter(otel otelEnvironment) string {
	const remedy = "use otlp, or console to print the metrics instead of pushing them"
	if strings.ToLower(bare(otel.SDKDisabled)) == "true" {
		l.problem("OTEL_SDK_DISABLED", "is true, but pushing metrics is all that the agent does", "unset it for the agent")
	}
	switch exporter := strings.ToLower(bare(otel.MetricsExporter)); exporter {
	case "", OTLP:
		return OTLP
	case Console:
		return Console
	case "none":
		l.problem("OTEL_METRICS_EXPORTER", "is none, but pushing metrics is all that the agent does", remedy)
	case "prometheus":
		l.problem("OTEL_METRICS_EXPORTER", "is prometheus, but the agent pushes and serves nothing to be scraped",
			remedy+"; Prometheus takes pushes at http://<host>:9090/api/v1/otlp when started with --web.enable-otlp-receiver")
	default:
		l.problem("OTEL_METRICS_EXPORTER", strconv.Quote(exporter)+" is not known", remedy)
	}
	return OTLP
}

func (l *loader) gzip(v variable) bool {
	switch strings.ToLower(v.text) {
	case "gzip":
		return true
	case "", "none":
	default:
		l.problem(v.name, strconv.Quote(v.text)+" is not known", "use gzip or none")
	}
	return false
}

// insecure returns v with "true", "false" or nothing.
func (l *loader) insecure(v variable) variable {
	v.text = strings.ToLower(v.text)
	if v.text != "" && v.text != "true" && v.text != "false" {
		l.problem(v.name, strconv.Quote(v.text)+" is neither true nor false", "use true or false")
		v.text = ""
	}
	return v
}

// milliseconds reads a time as OpenTelemetry writes it, a whole number of
// milliseconds.
func (l *loader) milliseconds(v variable, fallback time.Duration) time.Duration {
	if v.text == "" {
		return fallback
	}
	n, err := strconv.ParseInt(v.text, 10, 32)
	if err != nil || n <= 0 {
		remedy := fmt.Sprintf("write milliseconds without a unit, such as %d", fallback.Milliseconds())
		if d, what, _ := parseDuration(v.text); what == "" && d >= time.Millisecond {
			remedy = fmt.Sprintf("write it in milliseconds, without a unit: %d", d.Milliseconds())
		}
		l.problem(v.name, strconv.Quote(v.text)+" is not a number of milliseconds from 1 on", remedy)
		return fallback
	}
	if n < 1000 {
		l.warn(v.name, fmt.Sprintf("is %d milliseconds, less than a second: the unit is milliseconds, not seconds", n), "")
	}
	return time.Duration(n) * time.Millisecond
}

// certificates proves that the files can be used, because the exporters only
// log it when they cannot and go on with the system's.
func (l *loader) certificates(p *Push, ca, cert, key variable) {
	if p.URL != nil && !p.TLS() {
		for _, v := range []variable{ca, cert, key} {
			if v.text != "" {
				l.warn(v.name, "has no effect: the endpoint is plain http", "")
			}
		}
	}
	p.CAFile, p.CertFile, p.KeyFile = ca.text, cert.text, key.text
	if ca.text != "" {
		if pem, ok := l.readFile(ca.name, ca.text); ok && !x509.NewCertPool().AppendCertsFromPEM(pem) {
			l.problem(ca.name, "names a file without a certificate in PEM form", "give the CA certificate as text that begins with -----BEGIN CERTIFICATE-----")
		}
	}
	switch {
	case cert.text == "" && key.text == "":
		return
	case key.text == "":
		l.problem(cert.name, "is set, but not the key that belongs to it", "set "+key.name+" to the file of its private key")
		return
	case cert.text == "":
		l.problem(key.name, "is set, but not the certificate that belongs to it", "set "+cert.name+" to the file of the certificate")
		return
	}
	certPEM, certRead := l.readFile(cert.name, cert.text)
	keyPEM, keyRead := l.readFile(key.name, key.text)
	if !certRead || !keyRead {
		return
	}
	if _, err := tls.X509KeyPair(certPEM, keyPEM); err != nil {
		l.problem(cert.name, "and "+key.name+" are no pair that can be used: "+err.Error(), "give a certificate and its private key, both in PEM form, the key without a passphrase")
	}
}
