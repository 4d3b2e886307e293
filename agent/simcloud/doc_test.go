package simcloud_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// exported lists a package's exported names, methods and fields as "Type.Name".
func exported(t *testing.T, dir, prefix string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no source in %s: %v", dir, err)
	}
	names := map[string]bool{}
	add := func(parts ...string) {
		if ast.IsExported(parts[len(parts)-1]) {
			names[prefix+strings.Join(parts, ".")] = true
		}
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range tree.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				add(append(receiver(decl), decl.Name.Name)...)
			case *ast.GenDecl:
				for _, spec := range decl.Specs {
					switch spec := spec.(type) {
					case *ast.ValueSpec:
						for _, n := range spec.Names {
							add(n.Name)
						}
					case *ast.TypeSpec:
						add(spec.Name.Name)
						if s, ok := spec.Type.(*ast.StructType); ok {
							for _, field := range s.Fields.List {
								for _, n := range field.Names {
									add(spec.Name.Name, n.Name)
								}
							}
						}
					}
				}
			}
		}
	}
	return names
}

func receiver(f *ast.FuncDecl) []string {
	if f.Recv == nil {
		return nil
	}
	typ := f.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	if name, ok := typ.(*ast.Ident); ok {
		return []string{name.Name}
	}
	return nil
}

// TestTableNamesThingsThatExist checks the table in the package comment.
func TestTableNamesThingsThatExist(t *testing.T) {
	known := exported(t, ".", "")
	for name := range exported(t, "../../auth/authtest", "authtest.") {
		known[name] = true
	}
	source, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile(`(?m)^//\t(.+?)  +(\S.*)$`).FindAllStringSubmatch(string(source), -1)
	if len(rows) < 70 {
		t.Fatalf("only %d rows were found", len(rows))
	}
	used := map[string]bool{}
	for _, row := range rows {
		for name := range strings.SplitSeq(row[2], ", ") {
			used[name] = true
			if name != "always" && !known[name] {
				t.Errorf("%q is enabled by %q, which does not exist", row[1], name)
			}
		}
	}
	for _, file := range []string{"faults.go", "scenario.go"} {
		for name := range constants(t, file) {
			if !used[name] {
				t.Errorf("%s of %s is not in the table", name, file)
			}
		}
	}
}

// constants returns the exported constants of a file.
func constants(t *testing.T, file string) map[string]bool {
	t.Helper()
	tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, decl := range tree.Decls {
		if group, ok := decl.(*ast.GenDecl); ok && group.Tok == token.CONST {
			for _, spec := range group.Specs {
				for _, n := range spec.(*ast.ValueSpec).Names {
					if n.IsExported() {
						names[n.Name] = true
					}
				}
			}
		}
	}
	return names
}
