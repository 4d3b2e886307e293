package config

import (
	"fmt"
	"io"
	"strings"
)

// effect is what a variable of the OpenTelemetry specification does here.
type effect string

const (
	honoured effect = "honoured"
	refused  effect = "refused" // the agent does not start
	none     effect = "none"    // a warning says so
)

// standard is a variable of the OpenTelemetry specification that concerns
// metrics. note says what differs from the specification, or why the variable is
// refused or has no effect; braces mark code.
type standard struct {
	variable string
	effect   effect
	note     string
}

// specification lists the variables that the OpenTelemetry specification defines
// for metrics: its pages on SDK variables and on the OTLP exporter, as of 2026-08.
// A * stands for "" and "METRICS_".
var specification = []standard{
	{"OTEL_SDK_DISABLED", refused, "{true} is refused, because pushing metrics is all that the agent does"},
	{"OTEL_CONFIG_FILE", refused, "with it, the specification ignores all other variables; the agent has no such file"},
	{"OTEL_EXPERIMENTAL_CONFIG_FILE", refused, "the former name of {OTEL_CONFIG_FILE}"},
	{"OTEL_ENTITIES", none, "still in development; {OTEL_RESOURCE_ATTRIBUTES} sets attributes"},
	{"OTEL_RESOURCE_ATTRIBUTES", honoured, "for live values and history; if a backend refuses history with them, history is sent without"},
	{"OTEL_SERVICE_NAME", honoured, ""},
	{"OTEL_LOG_LEVEL", none, "{NETATMO_LOG_LEVEL} sets the level of the log"},
	{"OTEL_METRICS_EXPORTER", honoured, "{otlp} or {console}; lists, {none} and {prometheus} are refused"},
	{"OTEL_METRIC_EXPORT_INTERVAL", honoured, "{0} is refused"},
	{"OTEL_METRIC_EXPORT_TIMEOUT", honoured, "{0}, no limit, is refused"},
	{"OTEL_METRICS_EXEMPLAR_FILTER", none, "the agent has no exemplars"},
	{"OTEL_EXPORTER_OTLP_*ENDPOINT", honoured, "also {dns:///host:port} and {unix:/path} for gRPC; a query or a password in the URL is refused; without a path the metrics form gets {/v1/metrics}"},
	{"OTEL_EXPORTER_OTLP_*PROTOCOL", honoured, "{grpc} or {http/protobuf}; {http/json} is refused; the default depends on the endpoint"},
	{"OTEL_EXPORTER_OTLP_*HEADERS", honoured, "the metrics form adds to the general one; the latter is not sent to another host; names that HTTP or gRPC need themselves, such as {host}, are refused"},
	{"OTEL_EXPORTER_OTLP_*INSECURE", honoured, "{true} or {false}; decides about TLS if the endpoint has no scheme, and allows credentials over plain http"},
	{"OTEL_EXPORTER_OTLP_*CERTIFICATE", honoured, ""},
	{"OTEL_EXPORTER_OTLP_*CLIENT_CERTIFICATE", honoured, ""},
	{"OTEL_EXPORTER_OTLP_*CLIENT_KEY", honoured, ""},
	{"OTEL_EXPORTER_OTLP_*COMPRESSION", honoured, "{gzip} or {none}"},
	{"OTEL_EXPORTER_OTLP_*TIMEOUT", honoured, "{0}, no limit, is refused"},
	{"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", honoured, "{lowmemory} is {delta}"},
	{"OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", none, "the agent has no histograms"},
	{"OTEL_EXPORTER_OTLP_METRIC_INSECURE", none, "obsolete; did you mean {OTEL_EXPORTER_OTLP_METRICS_INSECURE}?"},
	{"OTEL_EXPORTER_PROMETHEUS_HOST", none, "the agent pushes; Prometheus accepts that"},
	{"OTEL_EXPORTER_PROMETHEUS_PORT", none, "the agent pushes; Prometheus accepts that"},
}

// names returns the variable in its forms.
func (s standard) names() []string {
	general := strings.Replace(s.variable, "*", "", 1)
	if general == s.variable {
		return []string{general}
	}
	return []string{general, metricsForm(general)}
}

// withoutEffect returns why a standard variable has no effect, "" if it is none of
// these.
func withoutEffect(name string) string {
	for _, s := range specification {
		if s.effect == none && s.variable == name {
			return strings.NewReplacer("{", "", "}", "").Replace(s.note)
		}
	}
	return ""
}

// StandardMarkdown writes the table of OpenTelemetry's variables for the guide.
func StandardMarkdown(w io.Writer) error {
	var b strings.Builder
	b.WriteString("| variable | here | note |\n|---|---|---|\n")
	for _, s := range specification {
		names := s.names()
		here := string(s.effect)
		if s.effect == none {
			here = "no effect"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", strings.Join(names, "`, `"), here, markdown.Replace(s.note))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
