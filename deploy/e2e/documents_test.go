package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// block is a fenced block of a page.
type block struct {
	page     string
	line     int // of its first line
	language string
	text     string
}

func (b block) String() string { return fmt.Sprintf("%s:%d", b.page, b.line) }

var fence = regexp.MustCompile("^( *)```(.*)$")

// fenced reads the fenced blocks of a page, also within lists.
func fenced(t *testing.T, page string) (all []block) {
	t.Helper()
	b, err := os.ReadFile(Source(t, page))
	if err != nil {
		t.Fatal(err)
	}
	indent, open := "", false
	for i, line := range strings.Split(string(b), "\n") {
		m := fence.FindStringSubmatch(line)
		switch {
		case m == nil && open:
			last := &all[len(all)-1]
			last.text += strings.TrimPrefix(line, indent) + "\n"
		case m == nil:
		case open:
			open = false
		default:
			indent, open = m[1], true
			all = append(all, block{page, i + 2, m[2], ""})
		}
	}
	if open {
		t.Fatalf("%s: a block is not closed", page)
	}
	return all
}

// pages are the documents whose commands are run.
func pages(t *testing.T) []string {
	t.Helper()
	guides, err := filepath.Glob(Source(t, "deploy", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	all := []string{"README.md", "CONTRIBUTING.md"}
	for _, guide := range guides {
		all = append(all, "deploy/"+filepath.Base(guide))
	}
	return all
}

// noCommands are the languages of blocks without commands.
var noCommands = []string{"", "nginx", "yaml"}

// Every command of the documentation works, in the order of its page, for a
// reader who begins with a clone. Pages in deploy/ begin with the commands of
// deploy/README.md, as they say.
//
// The commands run as root in separate namespaces (see enterWorld): with no
// network but loopback, and with empty system folders. The agent, the
// Collector, Prometheus and VictoriaMetrics are the real ones. Stand-ins
// replace what no test machine has, such as docker or a running systemd; they
// check their input with the parsers of the real programs (see standIns).
// Servers run until the end of the page, as if in another terminal; the agent
// is stopped as soon as it serves.
func TestDocuments(t *testing.T) {
	shared := t.TempDir()
	for _, page := range pages(t) {
		if slices.Contains(installedPages, page) {
			continue
		}
		t.Run(page, func(t *testing.T) {
			t.Parallel()
			var run []block
			if strings.HasPrefix(page, "deploy/") && page != "deploy/README.md" {
				run = commands(t, "deploy/README.md")
			}
			run = append(run, commands(t, page)...)
			w := newWorld(t, shared)
			if out, err := w.run(run); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
			for _, b := range run {
				if !slices.Contains(w.finished(), b.String()) {
					t.Errorf("the block at %s was not run to its end:\n%s", b, b.text)
				}
			}
		})
	}
}

// commands are the blocks of a page that a reader would run.
func commands(t *testing.T, page string) (run []block) {
	t.Helper()
	for _, b := range fenced(t, page) {
		switch {
		case b.language == "sh":
			run = append(run, b)
		case !slices.Contains(noCommands, b.language):
			t.Errorf("%s: a block of %q; commands are marked sh", b, b.language)
		}
	}
	return run
}

// world is the machine that a page is read on.
type world struct {
	t       *testing.T
	Project string // a clone
	Home    string
	StandIn string // folder of the stand-ins, first in the PATH
	State   string // state that the stand-ins keep for this page
	Lib     string // /var/lib
	Shared  string // what the stand-ins have built, for all pages
	Source  string // the tree under test
	Go      string
	GoEnv   []string // the caches of this machine
	Tools   map[string]string
}

func newWorld(t *testing.T, shared string) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{
		t: t, Shared: shared, Source: Source(t),
		Project: filepath.Join(dir, "netatmo-agent"), Home: filepath.Join(dir, "home"),
		StandIn: filepath.Join(dir, "bin"), State: filepath.Join(dir, "state"), Lib: filepath.Join(dir, "lib"),
		Go:    filepath.Join(run(t, "go", "env", "GOROOT"), "bin", "go"),
		Tools: map[string]string{},
	}
	for name := range tools {
		w.Tools[name] = Tool(t, name)
	}
	w.Tools["helm"] = Helm(t)
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPATH"} {
		w.GoEnv = append(w.GoEnv, name+"="+run(t, "go", "env", name))
	}
	for _, d := range []string{w.Project, w.Home, w.StandIn, w.State, w.Lib} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	w.clone()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name := range standIns {
		link := filepath.Join(w.StandIn, name)
		switch name {
		case "run": // in .ci/
			link = filepath.Join(w.Project, ".ci", name)
			_ = os.Remove(link)
		case "netatmo-agent": // where a page builds it
			continue
		}
		if err := os.Symlink(self, link); err != nil {
			t.Fatal(err)
		}
	}
	b, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.file(), b, 0o600); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) file() string { return filepath.Join(w.State, "world.json") }

// clone copies what git knows of the tree, or would know after git add.
func (w *world) clone() {
	w.t.Helper()
	files := run(w.t, "git", "-C", w.Source, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	for name := range strings.SplitSeq(strings.Trim(files, "\x00"), "\x00") {
		content, err := os.ReadFile(filepath.Join(w.Source, name))
		if os.IsNotExist(err) {
			continue // deleted, but not in git yet
		} else if err != nil {
			w.t.Fatal(err)
		}
		to := filepath.Join(w.Project, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			w.t.Fatal(err)
		}
		if err := os.WriteFile(to, content, 0o644); err != nil {
			w.t.Fatal(err)
		}
	}
}

const trace = "finished"

// finished lists the blocks that ran to their end.
func (w *world) finished() []string {
	b, _ := os.ReadFile(filepath.Join(w.State, trace))
	return strings.Fields(string(b))
}

// run runs blocks with bash, one after another in one shell.
func (w *world) run(blocks []block) (output string, err error) {
	script := "set -euo pipefail\n"
	for _, b := range blocks {
		script += fmt.Sprintf("echo '## %s' >&2\n%secho %s >>%s\n", b, b.text, b, filepath.Join(w.State, trace))
	}
	var out bytes.Buffer
	cmd := exec.Command(filepath.Join(w.StandIn, "world"), "bash", "-c", script)
	cmd.Dir = w.Project
	cmd.Env = []string{"HOME=" + w.Home, "PATH=" + w.StandIn + ":/usr/sbin:/usr/bin:/sbin:/bin", "E2E_WORLD=" + w.file()}
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	// When the first process of the world ends, all others in it end.
	late := time.AfterFunc(5*patience, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	err = cmd.Wait()
	return tail(out.String(), 60), err
}

// The test above proves something only if it finds mistakes.
func TestDocumentsWithMistakes(t *testing.T) {
	shared := t.TempDir()
	const app = `printf 'NETATMO_CLIENT_ID=id\nNETATMO_CLIENT_SECRET=secret\n' > `
	for name, text := range map[string]string{
		"flag of the agent":             "netatmo-agent check --ofline",
		"command of the agent":          "netatmo-agent chek",
		"setting of the agent":          "NETATMO_DEVICES=wether netatmo-agent run",
		"command that fails in a pipe":  "netatmo-agent chek | cat",
		"variable that is not set":      "echo $NETATMO_TOKEN_FILE",
		"package":                       "go build -o netatmo-agent ./cmd/agent",
		"step of CI":                    ".ci/run linters",
		"flag of the Collector":         "otelcol validate --file deploy/otelcol.yaml",
		"file of the Collector":         "otelcol --config deploy/collector.yaml",
		"flag of Prometheus":            "prometheus --config.file=deploy/prometheus.yaml --web.enable-otlp",
		"flag of VictoriaMetrics":       "victoria-metrics -retentionPeriod=5years",
		"compose file":                  "docker compose -f deploy/docker-compose.yaml --profile demo up",
		"compose command":               "docker compose -f deploy/compose.yaml --profile demo start",
		"compose without its .env":      "docker compose -f deploy/compose.yaml --profile real up",
		"service of another profile":    "docker compose -f deploy/compose.yaml --profile demo up\ndocker compose -f deploy/compose.yaml --profile demo logs agent",
		"profile that is left behind":   "docker compose -f deploy/compose.yaml --profile demo up\ndocker compose -f deploy/compose.yaml down",
		"name of another project":       "docker compose -f deploy/compose.yaml -p one up\ndocker compose -f deploy/compose.yaml exec prometheus promtool query instant http://localhost:9090 1",
		"image that nobody has built":   "docker push netatmo-agent",
		"folder of a kustomization":     "kubectl apply -k deploy/kustomize",
		"kustomization without secret":  "kubectl apply -k deploy/kubernetes",
		"secret that is empty":          "echo NETATMO_CLIENT_ID= > deploy/kubernetes/secret.env\nkubectl apply -k deploy/kubernetes",
		"object that is not there":      app + "deploy/kubernetes/secret.env\nkubectl apply -k deploy/kubernetes\nkubectl logs deployment/netatmo-agent",
		"unit that is not installed":    "systemctl enable --now netatmo-agent@home",
		"unit without its settings":     "install netatmo-agent /usr/local/bin\ninstall -m 644 deploy/systemd/*.service /etc/systemd/system/\nsystemctl enable --now netatmo-agent@home",
		"program that is not installed": "netatmo-exporter",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, shared)
			run := append(commands(t, "deploy/README.md"), block{"mistake", 1, "sh", text + "\n"})
			if out, err := w.run(run); err == nil {
				t.Errorf("no mistake was found:\n%s", out)
			}
			if got := w.finished(); len(got) != len(run)-1 {
				t.Errorf("finished %v, want all but the mistake", got)
			}
		})
	}
}
