package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	files "netatmo-agent/store"
)

// traced is set for the process under strace.
const traced = "E2E_TRACED_STORE"

type savedText struct{ Text string }

// A power cut loses no login only if writes reach the disk in this order. No
// other test detects a missing fsync.
func TestWritesReachTheDiskInOrder(t *testing.T) {
	t.Parallel()
	save := []string{"create new/doc.json.tmp", "write new/doc.json.tmp", "fsync new/doc.json.tmp", "rename new/doc.json", "fsync new"}
	for name, want := range map[string][]string{
		"first save":              append([]string{"mkdir new", "fsync ."}, save...),
		"next save":               save,
		"overwrite":               {"write new/doc.json", "fsync new/doc.json"},
		"overwrite, then shorter": {"write new/doc.json", "fsync new/doc.json", "truncate new/doc.json", "fsync new/doc.json"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := os.Getenv(traced)
			if dir == "" {
				t.Parallel()
				dir = t.TempDir()
				if steps := traceStore(t, dir); !slices.Equal(steps, want) {
					t.Errorf("steps:\n%s\nwant:\n%s", strings.Join(steps, "\n"), strings.Join(want, "\n"))
				}
				return
			}
			useStore(t, dir, name)
		})
	}
}

func useStore(t *testing.T, dir, operation string) {
	t.Helper()
	file := files.New[savedText](filepath.Join(dir, "new", "doc.json"))
	begin := func() {
		if err := file.Save(savedText{strings.Repeat("old", 100)}); err != nil {
			t.Fatal(err)
		}
		_ = os.Remove(filepath.Join(dir, "begin")) // the steps after it are checked
	}
	var err error
	switch operation {
	case "first save":
		err = file.Save(savedText{"new"})
	case "next save":
		begin()
		err = file.Save(savedText{"new"})
	case "overwrite":
		begin()
		err = file.Overwrite(savedText{strings.Repeat("new", 100)})
	case "overwrite, then shorter":
		begin()
		err = file.Overwrite(savedText{"new"})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// traceStore runs this test again under strace, in another process, and returns
// its changes below dir in order.
func traceStore(t *testing.T, dir string) (steps []string) {
	t.Helper()
	trace := filepath.Join(t.TempDir(), "trace")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "strace", "-f", "-y", "-qq", "-s", "4096", "-o", trace,
		"-e", "trace=mkdirat,unlinkat,openat,write,pwrite64,fsync,ftruncate,renameat,renameat2",
		self, "-test.run", "^"+strings.ReplaceAll(regexp.QuoteMeta(t.Name()), "/", "$/^")+"$")
	cmd.Env = append(os.Environ(), traced+"="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	content, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		switch step := step(line, dir); step {
		case "":
		case "unlink begin":
			steps = nil
		default:
			if !strings.HasPrefix(step, "unlink ") {
				steps = append(steps, step)
			}
		}
	}
	return steps
}

// tracedChange matches a system call in strace's output: the number of its
// thread, its name and its arguments. The last quoted or bracketed argument is
// the path.
var tracedChange = regexp.MustCompile(`^\d+ +(\w+)\((.*)`)

// step returns a change below dir as "verb path", or nothing for another line.
func step(line, dir string) string {
	match := tracedChange.FindStringSubmatch(line)
	if match == nil {
		return ""
	}
	verbs := map[string]string{
		"mkdirat": "mkdir", "unlinkat": "unlink", "openat": "create", "write": "write", "pwrite64": "write",
		"fsync": "fsync", "ftruncate": "truncate", "renameat": "rename", "renameat2": "rename",
	}
	verb, arguments := verbs[match[1]], match[2]
	if verb == "create" && !strings.Contains(arguments, "O_CREAT") {
		return ""
	}
	i := strings.LastIndex(arguments, dir)
	if i < 0 {
		return ""
	}
	path, _, _ := strings.Cut(strings.TrimPrefix(arguments[i+len(dir):], "/"), `"`)
	path, _, _ = strings.Cut(path, ">")
	if path == "" {
		path = "."
	}
	return verb + " " + path
}
