package otlp

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"netatmo-agent/agent/config"
	"netatmo-agent/agent/logtest"
)

// Credentials that are added to the headers file later are not sent
// unencrypted, either.
func TestHeadersFileThatWouldExposeCredentials(t *testing.T) {
	file := filepath.Join(t.TempDir(), "headers")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("X-Scope-OrgID: home\n")
	p, log := testPush(), &logtest.Log{}
	p.URL, p.HeadersFile = &url.URL{Scheme: "http", Host: "collector.example:4318"}, file
	h, err := newHeaders(p, log.Logger())
	if err != nil {
		t.Fatal(err)
	}
	write("X-Scope-OrgID: work\nAuthorization: Bearer very-secret\n")
	for range 2 {
		if got, _ := h.current(); got["authorization"] != "" || got["x-scope-orgid"] != config.Secret("home") {
			t.Error("the new headers are sent")
		}
	}
	if log.Count("level=WARN") != 1 || strings.Contains(log.String(), "very-secret") {
		t.Errorf("log:\n%s", log)
	}
	if _, err := newHeaders(p, log.Logger()); err == nil || !strings.Contains(err.Error(), "OTEL_EXPORTER_OTLP_INSECURE") {
		t.Errorf("at the start: %v", err)
	}
}
