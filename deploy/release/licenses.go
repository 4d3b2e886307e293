package main

import (
	"bytes"
	"cmp"
	"debug/buildinfo"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// licenseFile matches the files of a module that have to travel with its code.
var licenseFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents|copyright)([.-].*)?$`)

// licenses returns the licenses and notices of everything that is linked into the
// program: Go's library and the modules in the source tree at root. It fails if one
// of them has none. The same text is given once.
func licenses(program, root string) (string, error) {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return "", err
	}
	goRoot, err := output(root, "env", "GOROOT")
	if err != nil {
		return "", err
	}
	parts := []part{{"Go " + strings.TrimPrefix(info.GoVersion, "go"), strings.TrimSpace(goRoot)}}
	var paths []string
	for _, d := range info.Deps {
		paths = append(paths, d.Path)
	}
	list, err := output(root, append([]string{"list", "-m", "-f", "{{.Path}} {{.Version}}\t{{.Dir}}"}, paths...)...)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(list) {
		name, dir, _ := strings.Cut(strings.TrimSpace(line), "\t")
		parts = append(parts, part{name, dir})
	}
	texts := map[string][]string{} // names by text
	for _, p := range parts {
		found, err := p.texts()
		if err != nil {
			return "", err
		}
		for _, text := range found {
			texts[text] = append(texts[text], p.name)
		}
	}
	var b strings.Builder
	b.WriteString("netatmo-agent contains the following works of others.\n")
	ordered := slices.Collect(maps.Keys(texts))
	slices.SortFunc(ordered, func(a, b string) int { return cmp.Or(slices.Compare(texts[a], texts[b]), cmp.Compare(a, b)) })
	for _, text := range ordered {
		fmt.Fprintf(&b, "\n%s\n%s\n\n%s", strings.Repeat("=", 78), strings.Join(texts[text], "\n"), text)
	}
	return b.String(), nil
}

// part is a module, or Go, and where its source is.
type part struct{ name, dir string }

func (p part) texts() (texts []string, err error) {
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		return nil, fmt.Errorf("the source of %s: %w", p.name, err)
	}
	for _, e := range entries {
		if e.IsDir() || !licenseFile.MatchString(e.Name()) || strings.HasSuffix(e.Name(), ".go") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(p.dir, e.Name()))
		if err != nil {
			return nil, err
		}
		texts = append(texts, string(bytes.TrimSpace(text))+"\n")
	}
	if len(texts) == 0 {
		return nil, fmt.Errorf("%s has no license in %s", p.name, p.dir)
	}
	return texts, nil
}

// output returns what the go command prints in dir.
func output(dir string, args ...string) (string, error) {
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	var errors strings.Builder
	cmd.Stderr = &errors
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w: %s", args[0], err, errors.String())
	}
	return string(out), nil
}
