package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// program is a stand-in for the agent's help.
const program = `#!/bin/sh
case $1 in
--help) printf 'Usage:\n  netatmo-agent [command]\n\nAvailable Commands:\n  check       Examine the set-up\n  help        Help about any command\n' ;;
check) printf 'Examines the set-up.\n\n.dot at the start, back\\slash\n      --offline   make no request\n' ;;
esac
`

const readme = "text\n<!-- settings: written by a test -->\n| variable | flag | default | meaning |\n|---|---|---|---|\n" +
	"| `NETATMO_CLIENT_ID` | `--client-id` | required | client ID, see [the site](https://example.org) |\n\n" +
	"| variable | default | meaning |\n|---|---|---|\n| `OTEL_EXPORTER_OTLP_ENDPOINT` * | `http://localhost:4317` | where to push |\n<!-- end of settings -->\n"

func files(t *testing.T, program, readme string) []string {
	t.Helper()
	dir := t.TempDir()
	names := []string{filepath.Join(dir, "netatmo-agent"), filepath.Join(dir, "README.md")}
	for i, text := range []string{program, readme} {
		if err := os.WriteFile(names[i], []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return names
}

func TestManualHasCommandsAndSettings(t *testing.T) {
	page, err := run("2026-11-30", files(t, program, readme))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		".Dd November 30, 2026",
		".It Nm netatmo-agent Cm check",
		".It Ev NETATMO_CLIENT_ID\nclient ID, see the site.\nFlag: \\-\\-client\\-id.\nDefault: required.",
		".It Ev OTEL_EXPORTER_OTLP_ENDPOINT *\nwhere to push.\nDefault: http://localhost:4317.",
		"\n\\&.dot at the start, back\\eslash\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not have %q", want)
		}
	}
	if strings.Contains(page, "Cm help") {
		t.Error("the page lists the command help")
	}
}

func TestManualRefusesInputItCannotRead(t *testing.T) {
	for name, tt := range map[string]struct{ date, program, readme string }{
		"no date":         {"", program, readme},
		"no commands":     {"2026-11-30", "#!/bin/sh\n", readme},
		"failing program": {"2026-11-30", "#!/bin/sh\nexit 1\n", readme},
		"no tables":       {"2026-11-30", program, "nothing"},
		"empty tables":    {"2026-11-30", program, "<!-- settings: -->\n<!-- end of settings -->\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if page, err := run(tt.date, files(t, tt.program, tt.readme)); err == nil {
				t.Errorf("no error, but this page:\n%s", page)
			}
		})
	}
}
