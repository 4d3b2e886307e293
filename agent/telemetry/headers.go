package telemetry

import (
	"bytes"
	"fmt"
	"log/slog"
	"maps"

	"netatmo-agent/agent/config"
)

// headers are what is sent along with every request: those of the settings and,
// over them, those of a file that is read again for each request, so that a
// renewed token counts at once. Safe for concurrent use.
type headers struct {
	fixed map[string]config.Secret
	file  *renewed[map[string]config.Secret] // nil: none
}

func newHeaders(p config.Push, log *slog.Logger) (_ *headers, err error) {
	h := &headers{fixed: p.Headers}
	if p.HeadersFile != "" {
		h.file, err = newRenewed("OTEL_EXPORTER_OTLP_HEADERS_FILE", log, func() (map[string]config.Secret, error) {
			return readHeaders(p)
		})
	}
	return h, err
}

func readHeaders(p config.Push) (map[string]config.Secret, error) {
	content, err := readFile(p.HeadersFile)
	if err != nil {
		return nil, err
	}
	read, err := config.ParseHeaderFile(bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.HeadersFile, err)
	}
	for name := range read {
		if p.Exposes(name) {
			return nil, fmt.Errorf("%s: the header %s would travel readable, since the endpoint is plain http: use https, or set OTEL_EXPORTER_OTLP_INSECURE=true", p.HeadersFile, name)
		}
	}
	return read, nil
}

// current returns the headers of the moment, names in lower case.
func (h *headers) current() map[string]config.Secret {
	if h.file == nil {
		return h.fixed
	}
	all := map[string]config.Secret{}
	maps.Copy(all, h.fixed)
	maps.Copy(all, h.file.current())
	return all
}
