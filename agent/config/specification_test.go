package config

import (
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// Every variable that OpenTelemetry specifies for metrics does what the table says:
// it changes the push, or keeps the agent from starting, or only causes a warning.
func TestSpecification(t *testing.T) {
	cert, key := pair(t)
	examples := map[string]string{ // values that are valid by the specification and not the default
		"OTEL_SDK_DISABLED":                                        "true",
		"OTEL_CONFIG_FILE":                                         "/etc/otel.yaml",
		"OTEL_EXPERIMENTAL_CONFIG_FILE":                            "/etc/otel.yaml",
		"OTEL_ENTITIES":                                            "service{service.name=a}",
		"OTEL_RESOURCE_ATTRIBUTES":                                 "site=home",
		"OTEL_SERVICE_NAME":                                        "weather",
		"OTEL_LOG_LEVEL":                                           "debug",
		"OTEL_METRICS_EXPORTER":                                    "console",
		"OTEL_METRIC_EXPORT_INTERVAL":                              "30000",
		"OTEL_METRIC_EXPORT_TIMEOUT":                               "20000",
		"OTEL_METRICS_EXEMPLAR_FILTER":                             "always_on",
		"OTEL_EXPORTER_OTLP_*ENDPOINT":                             "https://otlp.example:4317",
		"OTEL_EXPORTER_OTLP_*PROTOCOL":                             "http/protobuf",
		"OTEL_EXPORTER_OTLP_*HEADERS":                              "x-site=home",
		"OTEL_EXPORTER_OTLP_*INSECURE":                             "true",
		"OTEL_EXPORTER_OTLP_*CERTIFICATE":                          cert,
		"OTEL_EXPORTER_OTLP_*COMPRESSION":                          "gzip",
		"OTEL_EXPORTER_OTLP_*TIMEOUT":                              "5000",
		"OTEL_EXPORTER_OTLP_METRIC_INSECURE":                       "true",
		"OTEL_EXPORTER_PROMETHEUS_HOST":                            "0.0.0.0",
		"OTEL_EXPORTER_PROMETHEUS_PORT":                            "9464",
		"OTEL_EXPORTER_OTLP_*CLIENT_KEY":                           key,
		"OTEL_EXPORTER_OTLP_*CLIENT_CERTIFICATE":                   cert,
		"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE":        "delta",
		"OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": "base2_exponential_bucket_histogram",
	}
	together := map[string][2]string{ // those that need another variable
		"OTEL_EXPORTER_OTLP_*CLIENT_KEY":         {"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", cert},
		"OTEL_EXPORTER_OTLP_*CLIENT_CERTIFICATE": {"OTEL_EXPORTER_OTLP_CLIENT_KEY", key},
	}
	for _, s := range specification {
		value, ok := examples[s.variable]
		if !ok {
			t.Errorf("%s: no example", s.variable)
			continue
		}
		for _, name := range s.names() {
			env := set()
			if other, ok := together[s.variable]; ok {
				env[other[0]] = other[1]
			}
			before, _ := loadEnv(t, env, nil, Need{Push: true})
			env[name] = value
			after, problems := loadEnv(t, env, nil, Need{Push: true})
			changed := !reflect.DeepEqual(before.Push, after.Push)
			warnings := strings.Join(texts(after.Warnings), "\n")
			switch s.effect {
			case honoured:
				if !changed || problems != nil || strings.Contains(warnings, name+" is not a known") {
					t.Errorf("%s=%s: changed %v, problems %v, warnings %s", name, value, changed, problems, warnings)
				}
			case refused:
				if len(problems) != 1 || problems[0].Setting != name || problems[0].Remedy == "" {
					t.Errorf("%s=%s: problems %v", name, value, problems)
				}
			case none:
				if changed || problems != nil || !strings.Contains(warnings, name+" has no effect: ") {
					t.Errorf("%s=%s: changed %v, problems %v, warnings %s", name, value, changed, problems, warnings)
				}
			}
		}
	}
	for _, s := range declared {
		for _, name := range s.names() {
			if strings.HasPrefix(name, "OTEL_") && name != "OTEL_EXPORTER_OTLP_HEADERS_FILE" && !specified(name) {
				t.Errorf("%s is a setting, but not in the table", name)
			}
		}
	}
}

func specified(name string) bool {
	for _, s := range specification {
		if slices.Contains(s.names(), name) {
			return true
		}
	}
	return false
}

// Odd values work, or are refused with a message that names them.
func TestOddValues(t *testing.T) {
	const timeout, pause = "OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_METRIC_EXPORT_INTERVAL"
	socket := filepath.Join(t.TempDir(), "otlp.sock")
	for _, test := range []struct {
		env           map[string]string
		url, target   string
		what, warning string // of a refusal, or of an accepted value
	}{
		{env: set(timeout, "0"), what: "is 0, which means no limit"},
		{env: set("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "0"), what: "is 0, which means no limit"},
		{env: set("OTEL_METRIC_EXPORT_TIMEOUT", "00"), what: "is 0, which means no limit"},
		{env: set(pause, "0"), what: "is 0, which leaves no time between pushes"},
		{env: set(insecure, "1"), what: `"1" is neither true nor false`},
		{env: set(endpoint, "https://h/a%2Fb"), url: "https://h/a%2Fb/v1/metrics"},
		{env: set(endpoint, "https://h/a%2Fb/v1/metrics"), url: "https://h/a%2Fb/v1/metrics"},
		{env: set(metricsEndpoint, "https://h/a%2Fb"), url: "https://h/a%2Fb", warning: "used as it is"},
		{env: set(headers, "host=other.example"), what: "has the header host"},
		{env: set(metricsHeaders, "x-a=1,Content-Type=text/plain"), what: "has the header content-type (entry number 2)"},
		{env: set(headers, "grpc-timeout=1S"), what: "has the header grpc-timeout"},
		{env: set(endpoint, "https://h/otlp?api_key=hush-hush"), what: "contains a query (?)"},

		{env: set(endpoint, "dns:///localhost:4317"), url: "http://localhost:4317", target: "dns:///localhost:4317"},
		{env: set(endpoint, "dns:localhost:4317"), url: "http://localhost:4317", target: "dns:localhost:4317"},
		{env: set(endpoint, "dns:///collector:4317", insecure, "false"), url: "https://collector:4317", target: "dns:///collector:4317"},
		{env: set(endpoint, "dns://10.0.0.53/collector:4317", insecure, "true"), url: "http://collector:4317", target: "dns://10.0.0.53/collector:4317"},
		{env: set(endpoint, "dns:///collector:4317"), what: "does not say whether to use TLS"},
		{env: set(endpoint, "dns:///collector"), what: "is not a valid target"},
		{env: set(endpoint, "dns:///localhost:4317", protocol, "http/protobuf"), what: "is http/protobuf, but the endpoint dns: is for gRPC"},
		{env: set(endpoint, "dns:4317", insecure, "true"), url: "http://dns:4317"},
		{env: set(endpoint, "unix:"+socket), url: "unix:" + socket, target: "unix:" + socket},
		{env: set(endpoint, "unix://"+socket), url: "unix:" + socket, target: "unix://" + socket},
		{env: set(endpoint, "unix:run/otlp.sock", headers, "authorization=Bearer%20hush-hush"), url: "unix:run/otlp.sock", target: "unix:run/otlp.sock"},
		{env: set(endpoint, "unix-abstract:otlp"), url: "unix-abstract:otlp", target: "unix-abstract:otlp"},
		{env: set(endpoint, "unix://host/otlp.sock"), what: "names no socket"},
		{env: set(endpoint, "unix:"), what: "names no socket"},
		{env: set(endpoint, "unix:"+socket, insecure, "false"), url: "unix:" + socket, target: "unix:" + socket, warning: "a socket of this machine"},
		{env: set(endpoint, "unix:"+socket, protocol, "http/protobuf"), what: "is for gRPC"},
		{env: set(endpoint, "xds:///collector"), what: "begins with xds://"},
	} {
		c, problems := loadEnv(t, test.env, nil, Need{Push: true})
		if test.what != "" {
			if len(problems) != 1 || !strings.Contains(problems[0].What, test.what) || problems[0].Remedy == "" || strings.Contains(problems.Error(), hush) {
				t.Errorf("%v: %v", test.env, problems)
			}
			continue
		}
		p := c.Push
		if problems != nil || p.URL.String() != test.url || p.Target != test.target || (p.Protocol == GRPC) == strings.Contains(test.url, "/v1/metrics") && test.warning == "" {
			t.Errorf("%v: %v, %v, target %q, %s", test.env, problems, p.URL, p.Target, p.Protocol)
		}
		if warnings := strings.Join(texts(c.Warnings), "\n"); !strings.Contains(warnings, test.warning) || test.warning == "" && warnings != "" {
			t.Errorf("%v: warnings %s", test.env, warnings)
		}
	}
}

// Logfire takes a token without a scheme; for others that is a mistake.
func TestTokenWithoutAScheme(t *testing.T) {
	for host, warns := range map[string]bool{"logfire-eu.pydantic.dev": false, "otlp.example": true} {
		c, problems := loadEnv(t, set(endpoint, "https://"+host, headers, "Authorization=pylf_hush-hush"), nil, Need{Push: true})
		if problems != nil || (c.Warnings != nil) != warns {
			t.Errorf("%s: %v, warnings %q", host, problems, c.Warnings)
		}
	}
}
