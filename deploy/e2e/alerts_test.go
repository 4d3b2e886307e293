package e2e

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"testing"
)

// The cases of testdata/alerts.yaml are exact: which alerts fire at a time,
// with all their texts, and which do not.
func TestAlertRules(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"are valid":              {"check", "rules", "--lint=all", "--lint-fatal", Source(t, "deploy", "alerts.yaml")},
		"fire when they have to": {"test", "rules", Source(t, "deploy", "e2e", "testdata", "alerts.yaml")},
	} {
		t.Run(name, func(t *testing.T) {
			if out, err := exec.Command(Tool(t, "promtool"), args...).CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

var (
	ruleName  = regexp.MustCompile(`(?m)^ *- alert: (\w+)`)
	caseOfOne = regexp.MustCompile(`alertname: (\w+)[,\s]+exp_alerts:( \[\])?`)
)

// Every rule has a case in which it fires and one in which it does not.
func TestAlertRulesAreTested(t *testing.T) {
	rules, err := os.ReadFile(Source(t, "deploy", "alerts.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	cases, err := os.ReadFile("testdata/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var fires, silent []string
	for _, c := range caseOfOne.FindAllStringSubmatch(string(cases), -1) {
		if c[2] == "" {
			fires = append(fires, c[1])
		} else {
			silent = append(silent, c[1])
		}
	}
	names := ruleName.FindAllStringSubmatch(string(rules), -1)
	if len(names) == 0 {
		t.Error("alerts.yaml has no rules")
	}
	for _, n := range names {
		if !slices.Contains(fires, n[1]) || !slices.Contains(silent, n[1]) {
			t.Errorf("%s: a case in which it fires: %t, in which it does not: %t", n[1], slices.Contains(fires, n[1]), slices.Contains(silent, n[1]))
		}
	}
}
