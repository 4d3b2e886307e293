package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The licenses of the agent name each module that is linked into it.
func TestLicensesOfTheAgent(t *testing.T) {
	program := filepath.Join(t.TempDir(), "netatmo-agent")
	build := exec.Command("go", "build", "-o", program, "./agent")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text, err := licenses(program, "../..")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("go", "version", "-m", program).Output()
	if err != nil {
		t.Fatal(err)
	}
	modules := 0
	for line := range strings.Lines(string(out)) {
		if fields := strings.Fields(line); len(fields) >= 3 && fields[0] == "dep" {
			modules++
			if !strings.Contains(text, "\n"+fields[1]+" "+fields[2]+"\n") {
				t.Errorf("%s is missing", fields[1])
			}
		}
	}
	for _, want := range []string{"Apache License", "Redistribution and use in source and binary forms", "MIT License", "\nGo 1."} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if modules < 10 {
		t.Errorf("only %d modules", modules)
	}
}

func TestAModuleWithoutALicense(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "license.go"), []byte("package x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if texts, err := (part{"example.org/x v1.0.0", dir}).texts(); err == nil || !strings.Contains(err.Error(), "example.org/x v1.0.0") {
		t.Errorf("%q, %v", texts, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "LICENCE.md"), []byte("do what you like\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if texts, err := (part{"example.org/x v1.0.0", dir}).texts(); err != nil || len(texts) != 1 || texts[0] != "do what you like\n" {
		t.Errorf("%q, %v", texts, err)
	}
}
