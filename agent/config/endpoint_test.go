package config

import (
	"strings"
	"testing"
)

const (
	endpoint        = "OTEL_EXPORTER_OTLP_ENDPOINT"
	metricsEndpoint = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"
	protocol        = "OTEL_EXPORTER_OTLP_PROTOCOL"
	insecure        = "OTEL_EXPORTER_OTLP_INSECURE"
	headers         = "OTEL_EXPORTER_OTLP_HEADERS"
	metricsHeaders  = "OTEL_EXPORTER_OTLP_METRICS_HEADERS"
	headersFile     = "OTEL_EXPORTER_OTLP_HEADERS_FILE"
)

// set makes an environment of pairs.
func set(pairs ...string) map[string]string {
	env := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		env[pairs[i]] = pairs[i+1]
	}
	return env
}

func TestEndpoint(t *testing.T) {
	for _, test := range []struct {
		env           map[string]string
		url, protocol string
		isDefault     bool
		warning       string
	}{
		{set(), "http://localhost:4317", GRPC, true, ""},
		{set(protocol, "http/protobuf"), "http://localhost:4318/v1/metrics", HTTP, true, ""},
		{set(protocol, "grpc"), "http://localhost:4317", GRPC, true, ""},

		// The protocol follows from the endpoint where it is not set.
		{set(endpoint, "http://collector:4317"), "http://collector:4317", GRPC, false, ""},
		{set(endpoint, "http://collector:4317/"), "http://collector:4317", GRPC, false, ""},
		{set(endpoint, "http://collector:4318"), "http://collector:4318/v1/metrics", HTTP, false, ""},
		{set(endpoint, "http://collector:4318/"), "http://collector:4318/v1/metrics", HTTP, false, ""},
		{set(endpoint, "https://otlp.example"), "https://otlp.example:443", GRPC, false, ""},
		{set(endpoint, "http://collector"), "http://collector:4317", GRPC, false, ""},
		{set(endpoint, "https://otlp-gateway-prod-eu-west-2.grafana.net/otlp"), "https://otlp-gateway-prod-eu-west-2.grafana.net/otlp/v1/metrics", HTTP, false, ""},
		{set(endpoint, "http://prometheus:9090/api/v1/otlp"), "http://prometheus:9090/api/v1/otlp/v1/metrics", HTTP, false, ""},
		{set(endpoint, "http://vm:8428/opentelemetry"), "http://vm:8428/opentelemetry/v1/metrics", HTTP, false, ""},
		{set(endpoint, "http://collector:4317", protocol, "HTTP/Protobuf"), "http://collector:4317/v1/metrics", HTTP, false, "has port 4317"},
		{set(endpoint, "http://collector:4318", protocol, "grpc"), "http://collector:4318", GRPC, false, "has port 4318"},
		{set(endpoint, "http://c:1", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/protobuf", protocol, "grpc"), "http://c:1/v1/metrics", HTTP, false, ""},

		// Base or whole address.
		{set(endpoint, "http://h/v1/metrics"), "http://h/v1/metrics", HTTP, false, ""},
		{set(endpoint, "http://h/v1/metrics/"), "http://h/v1/metrics", HTTP, false, ""},
		{set(endpoint, "http://h/base/"), "http://h/base/v1/metrics", HTTP, false, ""},
		{set(metricsEndpoint, "https://h/otlp/v1/metrics"), "https://h/otlp/v1/metrics", HTTP, false, ""},
		{set(metricsEndpoint, "https://h/write"), "https://h/write", HTTP, false, "used as it is"},
		{set(metricsEndpoint, "https://h/otlp"), "https://h/otlp", HTTP, false, "used as it is"},
		{set(metricsEndpoint, "http://h:4318"), "http://h:4318/v1/metrics", HTTP, false, ""},
		{set(metricsEndpoint, "http://h:4318/"), "http://h:4318/v1/metrics", HTTP, false, ""},
		{set(metricsEndpoint, "http://m:4317", endpoint, "http://all:4317"), "http://m:4317", GRPC, false, ""},
		{set(endpoint, "http://h:4317/v1/metrics", protocol, "grpc"), "http://h:4317", GRPC, false, "has a path, which is ignored"},

		// Without a scheme, and IP:port.
		{set(endpoint, "127.0.0.1:4317"), "http://127.0.0.1:4317", GRPC, false, ""},
		{set(endpoint, "localhost:4318"), "http://localhost:4318/v1/metrics", HTTP, false, ""},
		{set(endpoint, "[::1]:4317"), "http://[::1]:4317", GRPC, false, ""},
		{set(endpoint, "collector:4317", insecure, "true"), "http://collector:4317", GRPC, false, ""},
		{set(endpoint, "collector:4317", insecure, "false"), "https://collector:4317", GRPC, false, ""},
		{set(endpoint, "10.0.0.5:4318", insecure, "True"), "http://10.0.0.5:4318/v1/metrics", HTTP, false, ""},
		{set(endpoint, "http://10.0.0.5:4317"), "http://10.0.0.5:4317", GRPC, false, ""},
		{set(endpoint, ` "http://collector:4317" `), "http://collector:4317", GRPC, false, ""},

		// The scheme decides TLS.
		{set(endpoint, "https://h:4317", insecure, "true"), "https://h:4317", GRPC, false, "OTEL_EXPORTER_OTLP_INSECURE has no effect"},
		{set(endpoint, "https://h/otlp", "OTEL_EXPORTER_OTLP_METRICS_INSECURE", "true"), "https://h/otlp/v1/metrics", HTTP, false, "OTEL_EXPORTER_OTLP_METRICS_INSECURE has no effect"},
		{set(endpoint, "HTTP://H:4317", insecure, "false"), "http://H:4317", GRPC, false, ""},

		// Ports known for something else.
		{set(endpoint, "http://prometheus:9090"), "http://prometheus:9090", GRPC, false, "/api/v1/otlp"},
		{set(endpoint, "http://vm:8428"), "http://vm:8428", GRPC, false, "/opentelemetry"},
	} {
		c, problems := loadEnv(t, test.env, nil, Need{Push: true})
		if problems != nil {
			t.Errorf("%v: %v", test.env, problems)
			continue
		}
		p := c.Push
		if p.URL.String() != test.url || p.Protocol != test.protocol || p.Default != test.isDefault {
			t.Errorf("%v: %v %s default=%v, want %s %s %v", test.env, p.URL, p.Protocol, p.Default, test.url, test.protocol, test.isDefault)
		}
		if p.TLS() != strings.HasPrefix(test.url, "https:") {
			t.Errorf("%v: TLS is %v", test.env, p.TLS())
		}
		if test.warning == "" && c.Warnings != nil {
			t.Errorf("%v: warnings %q, want none", test.env, c.Warnings)
		}
		if test.warning != "" {
			mention(t, texts(c.Warnings), "OTEL_EXPORTER_OTLP_", test.warning)
		}
	}
}

func TestEndpointRefused(t *testing.T) {
	const grafana = "https://otlp-gateway-prod-eu-west-2.grafana.net"
	for _, test := range []struct {
		env                   map[string]string
		setting, what, remedy string
	}{
		{set(endpoint, "collector:4317"), endpoint, "does not begin with http://", "write http://collector:4317, or https://collector:4317"},
		{set(endpoint, "10.0.0.5:4317"), endpoint, "does not begin with http://", "http://10.0.0.5:4317"},
		{set(metricsEndpoint, "collector:4318/v1/metrics"), metricsEndpoint, "does not begin with http://", "http://collector:4318/v1/metrics"},
		{set(endpoint, "user:hush-hush@collector:4317"), endpoint, "does not begin with http://", "http://collector:4318"},
		{set(endpoint, "grpc://collector:4317"), endpoint, "grpc://", "http://collector:4317"},
		{set(endpoint, "http://collector:port"), endpoint, "not a valid URL", "http://collector:4317"},
		{set(endpoint, "http://:4317"), endpoint, "not a valid URL", "http://collector:4317"},
		{set(endpoint, "http://u:hush-hush@h:%zz"), endpoint, "not a valid URL", "http://collector:4317"},
		{set(endpoint, "https://u:hush-hush@h/otlp"), endpoint, "user name or password", "Authorization=Basic%20"},
		{set(endpoint, "https://h/otlp?key=hush-hush"), endpoint, "query (?)", headers},
		{set(endpoint, "http://h:4318/v1/traces"), endpoint, "a signal other than metrics", "/v1/metrics"},
		{set(protocol, "http/json"), protocol, "http/json", "http/protobuf"},
		{set(protocol, "http"), protocol, "not a valid value", "http/protobuf"},
		{set(insecure, "yes"), insecure, "neither true nor false", "true or false"},

		// gRPC towards those who take HTTP only.
		{set(endpoint, grafana+"/otlp", protocol, "grpc"), protocol, "HTTP only", "http/protobuf"},
		{set(endpoint, grafana), endpoint, "HTTP only", grafana + "/otlp"},
		{set(endpoint, grafana+":4317"), endpoint, "HTTP only", "/otlp"},
		{set(endpoint, grafana, protocol, "http/protobuf"), endpoint, "lacks the path", "set it to " + grafana + "/otlp"},
		{set(endpoint, grafana+"/v1/metrics"), endpoint, "lacks the path", "set it to " + grafana + "/otlp"},
		{set(metricsEndpoint, grafana+"/otlp"), metricsEndpoint, "lacks the path", "set it to " + grafana + "/otlp/v1/metrics"},
		{set(endpoint, "http://prometheus:9090/api/v1/otlp", protocol, "grpc"), protocol, "HTTP only", "http://prometheus:9090/api/v1/otlp"},
		{set(endpoint, "http://mimir/otlp/v1/metrics", protocol, "grpc"), protocol, "HTTP only", "http://mimir/otlp"},
		{set(endpoint, "http://vm:8428/opentelemetry", protocol, "grpc"), protocol, "HTTP only", "http://vm:8428/opentelemetry"},
	} {
		c, problems := loadEnv(t, test.env, nil, Need{Push: true})
		if len(problems) != 1 {
			t.Errorf("%v: %d problems: %v", test.env, len(problems), problems)
			continue
		}
		p := problems[0]
		if p.Setting != test.setting || !strings.Contains(p.What, test.what) || !strings.Contains(p.Remedy, test.remedy) {
			t.Errorf("%v: %+v", test.env, p)
		}
		if strings.Contains(problems.Error()+strings.Join(texts(c.Warnings), ""), hush) {
			t.Errorf("%v: shows the secret: %v", test.env, problems)
		}
	}
}
