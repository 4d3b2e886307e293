package main

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
)

// listed is a module as "go list -m -u -json" describes it.
type listed struct {
	Path, Version, Deprecated string
	Retracted                 []string
}

// abandoned names the modules in a list that their authors have deprecated or
// retracted.
func abandoned(list string) (found []string, modules int, err error) {
	for dec := json.NewDecoder(strings.NewReader(list)); ; modules++ {
		var m listed
		if err := dec.Decode(&m); errors.Is(err, io.EOF) {
			return found, modules, nil
		} else if err != nil {
			return nil, 0, err
		}
		if m.Deprecated != "" {
			found = append(found, m.Path+" is deprecated: "+m.Deprecated)
		}
		for _, why := range m.Retracted {
			found = append(found, m.Path+" "+m.Version+" is retracted: "+why)
		}
	}
}

// No module of the agent or of its tests is deprecated or retracted. It asks the
// module proxy.
func TestNoModuleIsAbandoned(t *testing.T) {
	used, err := output("../..", "list", "-deps", "-test", "-f", "{{with .Module}}{{if not .Main}}{{.Path}}{{end}}{{end}}", "./...")
	if err != nil {
		t.Fatal(err)
	}
	paths := map[string]bool{}
	args := []string{"list", "-m", "-u", "-retracted", "-json"}
	for path := range strings.FieldsSeq(used) {
		if !paths[path] {
			paths[path] = true
			args = append(args, path)
		}
	}
	list, err := output("../..", args...)
	if err != nil {
		t.Fatal(err)
	}
	found, modules, err := abandoned(list)
	if err != nil || modules != len(paths) || modules < 10 {
		t.Fatalf("%d of %d modules are listed: %v", modules, len(paths), err)
	}
	for _, text := range found {
		t.Error(text)
	}
}

func TestAbandonedModulesAreNamed(t *testing.T) {
	found, modules, err := abandoned(`{"Path":"a","Version":"v1.0.0"}
{"Path":"b","Version":"v1.1.0","Deprecated":"use c"}
{"Path":"d","Version":"v0.9.0","Retracted":["it loses data"]}`)
	want := "b is deprecated: use c\nd v0.9.0 is retracted: it loses data"
	if err != nil || modules != 3 || strings.Join(found, "\n") != want {
		t.Errorf("%q of %d modules, %v", found, modules, err)
	}
}
