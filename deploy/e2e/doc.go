// Package e2e runs the real agent binary between a simulated Netatmo cloud and
// real backends: the OpenTelemetry Collector, Prometheus, VictoriaMetrics and a
// browser. The package is the harness; its tests are in the same folder.
//
// It is a separate module, so that the agent does not depend on any of this.
// Nothing is mocked: every server is the program that users run, built from its
// Go modules (tools/) and started on loopback.
package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// root is the folder of the agent's source tree, two above this module's.
var root = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	return filepath.Join(strings.TrimSpace(string(out)), "..", ".."), err
})

// Source returns the path of a file of the agent's source tree.
func Source(t testing.TB, elem ...string) string {
	t.Helper()
	dir, err := root()
	if err != nil {
		t.Fatalf("find the source tree with go list: %v", err)
	}
	return filepath.Join(append([]string{dir}, elem...)...)
}
