package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// By itself, this test builds the servers: the part of a first run that takes
// minutes.
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
	}{
		{"the Collector takes otelcol.yaml", "otelcol",
			[]string{"validate", "--config", Source(t, "deploy", "otelcol.yaml")}},
		{"Prometheus takes prometheus.yaml", "promtool",
			[]string{"check", "config", "--lint=all", "--lint-fatal", Source(t, "deploy", "prometheus.yaml")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, err := exec.Command(Tool(t, tt.tool), tt.args...).CombinedOutput()
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// The two tests above are worth something only if the tools refuse anything.
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
