package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Separate, because it builds the servers, which takes minutes in a first run.
func TestToolsBuild(t *testing.T) {
	for name := range tools {
		if info, err := os.Stat(Tool(t, name)); err != nil || info.Mode()&0o111 == 0 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}

func TestShippedConfigurationsAreValid(t *testing.T) {
	for _, tt := range []struct {
		name, tool string
		args       []string
		env        Env
	}{
		{"the Collector takes otelcol.yaml", "otelcol",
			[]string{"validate", "--config", Source(t, "deploy", "otelcol.yaml")}, Env{}},
		{"the Collector takes cloudwatch.yaml", "otelcol",
			[]string{"validate", "--config", Source(t, "deploy", "collector", "cloudwatch.yaml")},
			Env{"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret"}},
		{"the Collector takes azure-monitor.yaml", "otelcol",
			[]string{"validate", "--config", Source(t, "deploy", "collector", "azure-monitor.yaml")},
			Env{"AZURE_TENANT_ID": "tenant", "AZURE_CLIENT_ID": "client", "AZURE_CLIENT_SECRET": "secret",
				"AZURE_METRICS_ENDPOINT": "https://rule.ingest.monitor.azure.com/v1/metrics"}},
		{"Prometheus takes prometheus.yaml", "promtool",
			[]string{"check", "config", "--lint=all", "--lint-fatal", Source(t, "deploy", "prometheus.yaml")}, Env{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cmd := exec.Command(Tool(t, tt.tool), tt.args...)
			cmd.Env = tt.env.list()
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// The tests above prove something only if the tools reject mistakes.
func TestValidatorsRefuseUnknownSettings(t *testing.T) {
	for file, args := range map[string][]string{
		"otelcol.yaml":    {"otelcol", "validate", "--config"},
		"prometheus.yaml": {"promtool", "check", "config"},
	} {
		t.Run(file, func(t *testing.T) {
			b, err := os.ReadFile(Source(t, "deploy", file))
			if err != nil {
				t.Fatal(err)
			}
			broken := filepath.Join(t.TempDir(), file)
			if err := os.WriteFile(broken, append(b, "\nno_such_setting: 1\n"...), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command(Tool(t, args[0]), append(args[1:], broken)...).CombinedOutput()
			if err == nil || !strings.Contains(string(out), "no_such_setting") {
				t.Errorf("error %v and this output, want it to name the unknown setting:\n%s", err, out)
			}
		})
	}
}
