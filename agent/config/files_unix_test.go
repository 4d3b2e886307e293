//go:build unix

package config

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A file that a setting names cannot make the agent wait or fill its memory.
func TestFilesThatAreNotSmallRegularFilesAreRefused(t *testing.T) {
	dir := t.TempDir()
	pipe, large, link := filepath.Join(dir, "pipe"), filepath.Join(dir, "large"), filepath.Join(dir, "link")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, large, "")
	if err := os.Truncate(large, 400<<20); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(pipe, link); err != nil {
		t.Fatal(err)
	}
	cert, key := pair(t)
	const clientCert, clientKey = "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_KEY"
	for path, reason := range map[string]string{
		pipe: "a device, pipe or socket", link: "a device, pipe or socket", "/dev/zero": "a device, pipe or socket",
		dir: "is a directory", large: "is larger than 1 MiB",
	} {
		for setting, env := range map[string]map[string]string{
			"NETATMO_CLIENT_SECRET_FILE":     with("NETATMO_CLIENT_SECRET", "", "NETATMO_CLIENT_SECRET_FILE", path),
			headersFile:                      set(headersFile, path),
			"OTEL_EXPORTER_OTLP_CERTIFICATE": set(endpoint, "https://h:4317", "OTEL_EXPORTER_OTLP_CERTIFICATE", path),
			clientCert:                       set(endpoint, "https://h:4317", clientCert, path, clientKey, key),
			clientKey:                        set(endpoint, "https://h:4317", clientCert, cert, clientKey, path),
		} {
			_, problems := loadEnv(t, env, nil, Need{Login: setting == "NETATMO_CLIENT_SECRET_FILE", Push: setting != "NETATMO_CLIENT_SECRET_FILE"})
			if len(problems) != 1 || problems[0].Setting != setting || !strings.Contains(problems[0].What, reason) {
				t.Errorf("%s=%s: %v", setting, path, problems)
			}
		}
	}
}
