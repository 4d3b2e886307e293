package main

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "netatmo-agent/"

// allowed is the architecture: which of our packages each package may import,
// outside its tests. Data flows one way, from Netatmo's answers to the push.
var allowed = map[string][]string{
	"agent": {"agent/catalogue", "agent/check", "agent/config", "agent/heartbeat", "agent/history", "agent/netatmo", "agent/otlp", "agent/poll", "agent/record", "agent/simcloud", "agent/telemetry", "agent/humanize", "agent/logwriter", "agent/terminal",
		"auth", "auth/pages", "store"},
	"agent/catalogue": {"agent/netatmo"},
	"agent/check":     {"agent/config", "agent/heartbeat", "agent/netatmo", "agent/otlp", "agent/record", "agent/telemetry", "agent/humanize", "agent/terminal", "auth", "store"},
	"agent/config":    {"agent/hosts", "store"},
	"agent/heartbeat": {"agent/netatmo", "agent/outage", "agent/poll", "agent/telemetry", "agent/humanize", "store"},
	"agent/hosts":     {},
	"agent/humanize":  {},
	"agent/logtest":   {},
	"agent/logwriter": {},
	"agent/netatmo":   {"agent/outage", "agent/redact"},
	"agent/otlp":      {"agent/config", "agent/outage", "agent/redact", "store"},
	"agent/outage":    {},
	"agent/history":   {"agent/netatmo", "agent/outage", "agent/record", "store"},
	"agent/poll":      {"agent/netatmo", "agent/outage", "agent/record"},
	"agent/record":    {"agent/netatmo", "agent/outage", "store"},
	"agent/redact":    {},
	"agent/simcloud":  {"auth/authtest"},
	"agent/telemetry": {"agent/catalogue", "agent/config", "agent/netatmo", "agent/otlp", "agent/outage", "agent/record"},
	"agent/terminal":  {},
	"auth":            {"agent/outage", "store"},
	"auth/authtest":   {},
	"auth/pages":      {"agent/hosts", "auth"},
	"store":           {},
}

// onlyIn lists imports that only some packages may have, so that a change of
// library affects few.
var onlyIn = map[string][]string{
	"go.opentelemetry.io/otel/sdk":         {"agent/otlp", "agent/telemetry"},
	"go.opentelemetry.io/otel/exporters":   {"agent/otlp"},
	"golang.org/x/oauth2":                  {"auth"},
	"github.com/kelseyhightower/envconfig": {"agent/config"},
	"github.com/spf13/cobra":               {"agent"},
}

type listedPackage struct {
	ImportPath string
	Doc        string
	Imports    []string
}

func listPackages(t *testing.T) []listedPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Doc,Imports", "./...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listedPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listedPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestImportsFollowTheArchitecture(t *testing.T) {
	packages := listPackages(t)
	if len(packages) != len(allowed) {
		t.Errorf("go list names %d packages, the architecture %d: add the new one to allowed, or delete the old one", len(packages), len(allowed))
	}
	for _, p := range packages {
		name := strings.TrimPrefix(p.ImportPath, module)
		may, known := allowed[name]
		if !known {
			t.Errorf("package %s is not in the architecture", name)
		}
		if p.Doc == "" {
			t.Errorf("package %s has no package comment", name)
		}
		for _, path := range p.Imports {
			if ours, ok := strings.CutPrefix(path, module); ok && !slices.Contains(may, ours) {
				t.Errorf("%s imports %s, which the architecture does not allow", name, ours)
			}
			for prefix, rooms := range onlyIn {
				if strings.HasPrefix(path, prefix) && !slices.Contains(rooms, name) {
					t.Errorf("%s imports %s, which only %v may", name, path, rooms)
				}
			}
		}
	}
}
