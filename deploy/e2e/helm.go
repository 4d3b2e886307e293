package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// helmVersion is the version of Helm that renders the chart.
const helmVersion = "v3.22.0"

// Helm returns the path of Helm. Like [Tool], it builds it once and keeps it by
// version in the user's cache directory.
func Helm(t testing.TB) string {
	t.Helper()
	built.Lock()
	defer built.Unlock()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "netatmo-agent-ci", "helm-"+helmVersion)
	path := filepath.Join(dir, "helm")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	fresh := fmt.Sprintf("%s.%d", dir, os.Getpid())
	cmd := exec.Command("go", "install", "helm.sh/helm/v3/cmd/helm@"+helmVersion)
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOBIN="+fresh)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build helm: %v\n%s", err, out)
	}
	if err := os.Rename(fresh, dir); err != nil {
		t.Fatal(err)
	}
	return path
}
