package main

import (
	"bytes"
	"flag"
	"io"
	"os"
	"strings"
	"testing"

	"netatmo-agent/agent/catalogue"
	"netatmo-agent/agent/config"
)

var update = flag.Bool("update", false, "write the generated tables into README.md and the guides")

// TestReadmeTables keeps the tables in README.md and the guides equal to the
// settings and the catalogue. go test ./agent -run TestReadmeTables -update
// writes them. Names, units and types are public: users rely on them.
func TestReadmeTables(t *testing.T) {
	for _, table := range []struct {
		path, name string
		write      func(io.Writer) error
	}{
		{"../README.md", "settings", config.SettingsMarkdown},
		{"../README.md", "metrics", catalogue.Markdown},
		{"../deploy/opentelemetry.md", "variables", config.StandardMarkdown},
	} {
		content, err := os.ReadFile(table.path)
		if err != nil {
			t.Fatal(err)
		}
		var text bytes.Buffer
		if err := table.write(&text); err != nil {
			t.Fatal(err)
		}
		before, rest, ok := strings.Cut(string(content), "<!-- "+table.name+":")
		comment, rest, ok2 := strings.Cut(rest, "-->\n")
		_, after, ok3 := strings.Cut(rest, "<!-- end of "+table.name+" -->")
		if !ok || !ok2 || !ok3 {
			t.Fatalf("%s has no place for the table of %s", table.path, table.name)
		}
		page := before + "<!-- " + table.name + ":" + comment + "-->\n" + text.String() + "<!-- end of " + table.name + " -->" + after
		if *update {
			if err := os.WriteFile(table.path, []byte(page), 0o644); err != nil {
				t.Fatal(err)
			}
		} else if page != string(content) {
			t.Errorf("the table of %s in %s is not that of the program: go test ./agent -run TestReadmeTables -update", table.name, table.path)
		}
	}
}
