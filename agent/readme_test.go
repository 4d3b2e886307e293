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

var update = flag.Bool("update", false, "write the generated tables into README.md")

// TestReadmeTables keeps the tables in README.md the same as the settings and
// the catalogue. go test ./agent -run TestReadmeTables -update writes them. Names,
// units and types are a promise to users: a change there changes the contract.
func TestReadmeTables(t *testing.T) {
	const path = "../README.md"
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	readme := string(content)
	for name, write := range map[string]func(io.Writer) error{
		"settings": config.SettingsMarkdown,
		"metrics":  catalogue.Markdown,
	} {
		var table bytes.Buffer
		if err := write(&table); err != nil {
			t.Fatal(err)
		}
		before, rest, ok := strings.Cut(readme, "<!-- "+name+":")
		comment, rest, ok2 := strings.Cut(rest, "-->\n")
		_, after, ok3 := strings.Cut(rest, "<!-- end of "+name+" -->")
		if !ok || !ok2 || !ok3 {
			t.Fatalf("README.md has no place for the table of %s", name)
		}
		readme = before + "<!-- " + name + ":" + comment + "-->\n" + table.String() + "<!-- end of " + name + " -->" + after
	}
	if *update {
		if err := os.WriteFile(path, []byte(readme), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if readme != string(content) {
		t.Error("the tables in README.md are not those of the program: go test ./agent -run TestReadmeTables -update")
	}
}
