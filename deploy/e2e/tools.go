package e2e

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// tool is a server, or a program that belongs to one, that is built from a
// separate module below tools/.
type tool struct {
	folder  string // below tools/
	pkg     string // the package to build there
	product string // first part of the cache folder's name
	module  string // whose required version is the second part
	flags   []string
}

// noDiscovery excludes Prometheus' discovery of cloud machines, which takes a
// third of the time and memory to build it.
var noDiscovery = []string{"-tags=remove_all_sd"}

var tools = map[string]tool{
	"otelcol": {"otelcol", ".",
		"otelcol", "go.opentelemetry.io/collector/otelcol", nil},
	"prometheus": {"prometheus", "github.com/prometheus/prometheus/cmd/prometheus",
		"prometheus", "github.com/prometheus/prometheus", noDiscovery},
	"promtool": {"prometheus", "github.com/prometheus/prometheus/cmd/promtool",
		"prometheus", "github.com/prometheus/prometheus", noDiscovery},
	"victoria-metrics": {"victoriametrics", "github.com/VictoriaMetrics/VictoriaMetrics/app/victoria-metrics",
		"victoria-metrics", "github.com/VictoriaMetrics/VictoriaMetrics", nil},
}

var built struct {
	sync.Mutex
	paths map[string]string
}

// Tool returns the path of a server's binary. The first call on a machine
// builds it, which takes minutes; later ones find it in the user's cache
// directory, under its version.
func Tool(t testing.TB, name string) string {
	t.Helper()
	built.Lock()
	defer built.Unlock()
	if path, ok := built.paths[name]; ok {
		return path
	}
	path, err := tools[name].build(Source(t, "deploy", "e2e", "tools", tools[name].folder), name)
	if err != nil {
		t.Fatalf("build %s: %v", name, err)
	}
	if built.paths == nil {
		built.paths = map[string]string{}
	}
	built.paths[name] = path
	return path
}

// build builds the tool into the cache, unless the tool there was built from
// the same files. Concurrent builds do not disturb each other.
func (tl tool) build(src, name string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	version, err := requiredVersion(src, tl.module)
	if err != nil {
		return "", err
	}
	sum, err := fingerprint(src)
	if err != nil {
		return "", err
	}
	path := filepath.Join(cache, "netatmo-agent-e2e", tl.product+"-"+version, name)
	stamp := path + ".built-from"
	if have, err := os.ReadFile(stamp); err == nil && string(have) == sum {
		return path, nil
	}
	if err := goBuild(src, path, append(tl.flags, tl.pkg)...); err != nil {
		return "", err
	}
	return path, os.WriteFile(stamp, []byte(sum), 0o644)
}

// goBuild runs go build in src and places the binary at path atomically.
func goBuild(src, path string, args ...string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	temp := fmt.Sprintf("%s.%d", path, os.Getpid())
	cmd := exec.Command("go", append([]string{"build", "-buildvcs=false", "-trimpath", "-o", temp}, args...)...)
	cmd.Dir = src
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return os.Rename(temp, path)
}

// requiredVersion reads from src/go.mod the version of a module that it
// requires.
func requiredVersion(src, module string) (string, error) {
	cmd := exec.Command("go", "mod", "edit", "-json")
	cmd.Dir = src
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("read go.mod: %w", err)
	}
	var mod struct {
		Require []struct{ Path, Version string }
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		return "", fmt.Errorf("read go.mod: %w", err)
	}
	for _, r := range mod.Require {
		if r.Path == module {
			return r.Version, nil
		}
	}
	return "", fmt.Errorf("%s/go.mod does not require %s", src, module)
}

// fingerprint returns a hash of the files of a tool's module.
func fingerprint(src string) (string, error) {
	h := sha256.New()
	names, err := filepath.Glob(filepath.Join(src, "*"))
	if err != nil {
		return "", err
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s %d\n%s", filepath.Base(name), len(b), b)
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}
