package config

import (
	"strings"
	"testing"
)

func TestVariablesThatAreNotSettings(t *testing.T) {
	for _, test := range []struct {
		variable string
		warning  []string // none: no warning
	}{
		{"NETATMO_CLIENTID", []string{"NETATMO_CLIENTID is not a known setting", "did you mean NETATMO_CLIENT_ID?"}},
		{"NETATMO_DEVICE", []string{"did you mean NETATMO_DEVICES?"}},
		{"NETATMO_LISTEN_ADDRESS", []string{"did you mean NETATMO_LISTEN_ADDR?"}},
		{"NETATMO_EXPORTER_TOKENFILE", []string{"did you mean NETATMO_EXPORTER_TOKEN_FILE?"}},
		{"NETATMO_SOMETHING_ELSE", []string{"NETATMO_SOMETHING_ELSE is not a known setting and is ignored"}},
		{"DEBUG_HANDLERS", []string{"DEBUG_HANDLERS is ignored", "netatmo-exporter"}},
		{"NETATMO_CLIENT_USERNAME", []string{"NETATMO_CLIENT_USERNAME is ignored", "netatmo-agent login"}},
		{"NETATMO_CLIENT_PASSWORD", []string{"NETATMO_CLIENT_PASSWORD is ignored", "netatmo-agent login"}},
		{"NETATMO_ENABLE_HOMECOACH", []string{"NETATMO_ENABLE_HOMECOACH is ignored", "NETATMO_DEVICES"}},
		{"NETATMO_ENABLE_GO_METRICS", []string{"NETATMO_ENABLE_GO_METRICS is ignored"}},
		{"NETATMO_REFRESH_TOKEN", []string{"NETATMO_REFRESH_TOKEN is ignored", "login --refresh-token -"}},
		{"OTEL_EXPORTER_OLTP_ENDPOINT", []string{"did you mean OTEL_EXPORTER_OTLP_ENDPOINT?"}},
		{"OTEL_EXPORTER_OTLP_METRIC_INSECURE", []string{"did you mean OTEL_EXPORTER_OTLP_METRICS_INSECURE?"}},
		{"OTEL_METRICS_EXEMPLAR_FILTER", []string{"OTEL_METRICS_EXEMPLAR_FILTER has no effect", "exemplars"}},

		{"NETATMO_AGENT_SERVICE_HOST", nil}, // from Kubernetes, for a service called netatmo-agent
		{"NETATMO_AGENT_SERVICE_PORT_HTTP", nil},
		{"NETATMO_AGENT_PORT", nil},
		{"NETATMO_AGENT_PORT_9210_TCP_ADDR", nil},
		{"OTEL_TRACES_EXPORTER", nil},
		{"OTEL_LOGS_EXPORTER", nil},
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", nil},
		{"OTEL_EXPORTER_OTLP_LOGS_HEADERS", nil},
		{"OTEL_PROPAGATORS", nil},
		{"NETATMOX", nil},
	} {
		for _, value := range []string{"", hush} {
			c, problems := loadEnv(t, with(test.variable, value), nil, Need{Login: true, Push: true})
			if problems != nil {
				t.Errorf("%s: %v", test.variable, problems)
			}
			if value == "" || test.warning == nil {
				if c.Warnings != nil {
					t.Errorf("%s=%s: warnings %q, want none", test.variable, value, c.Warnings)
				}
				continue
			}
			mention(t, texts(c.Warnings), test.warning...)
			if all := strings.Join(texts(c.Warnings), "\n"); strings.Contains(all, hush) {
				t.Errorf("%s: the value is shown: %s", test.variable, all)
			}
		}
	}
}

func TestDistance(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"", "ab", 2}, {"kitten", "sitting", 3}, {"OLTP", "OTLP", 2}} {
		if got := distance(test.a, test.b); got != test.want {
			t.Errorf("distance(%q, %q) = %d, want %d", test.a, test.b, got, test.want)
		}
	}
}
