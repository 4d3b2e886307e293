package telemetry

import (
	"encoding/base64"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"strings"
	"sync"

	"netatmo-agent/agent/config"
	"netatmo-agent/agent/outage"
)

// headers are what is sent along with every request: those of the settings and,
// over them, those of a file that is read again for each request, so that a
// renewed token counts at once. Safe for concurrent use.
type headers struct {
	fixed map[string]config.Secret
	file  string
	push  config.Push

	mu   sync.Mutex
	last map[string]config.Secret // as the file was when it could last be read
	log  *outage.Log
}

func newHeaders(p config.Push, log *slog.Logger) (*headers, error) {
	h := &headers{fixed: p.Headers, file: p.HeadersFile, push: p, log: outage.New(log, "reading the headers file")}
	if h.file == "" {
		return h, nil
	}
	var err error
	if h.last, err = h.read(); err != nil {
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_HEADERS_FILE: %w", err)
	}
	return h, nil
}

func (h *headers) read() (map[string]config.Secret, error) {
	f, err := os.Open(h.file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	read, err := config.ParseHeaderFile(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", h.file, err)
	}
	for name := range read {
		if h.push.Exposes(name) {
			return nil, fmt.Errorf("%s: the header %s would travel readable, since the endpoint is plain http: use https, or set OTEL_EXPORTER_OTLP_INSECURE=true", h.file, name)
		}
	}
	return read, nil
}

// current returns the headers of the moment, names in lower case. A file that
// cannot be read now counts as it last was.
func (h *headers) current() map[string]config.Secret {
	if h.file == "" {
		return h.fixed
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if read, err := h.read(); err != nil {
		h.log.Failed("unreadable", err)
	} else {
		h.log.OK()
		h.last = read
	}
	all := maps.Clone(h.fixed)
	if all == nil {
		all = map[string]config.Secret{}
	}
	maps.Copy(all, h.last)
	return all
}

// redact takes the values of the headers sent out of what a server said, and
// with them the credentials inside of a Basic or Bearer login.
func redact(text string, sent map[string]config.Secret) string {
	for _, value := range sent {
		v := value.Reveal()
		secrets := []string{v}
		if _, credentials, ok := strings.Cut(v, " "); ok {
			secrets = append(secrets, credentials)
			if plain, err := base64.StdEncoding.DecodeString(credentials); err == nil {
				user, password, _ := strings.Cut(string(plain), ":")
				secrets = append(secrets, string(plain), password, user)
			}
		}
		for _, s := range secrets {
			// Shorter ones (a tenant's number) are no secrets, and would
			// make holes in words.
			if len(s) >= 6 {
				text = strings.ReplaceAll(text, s, "[redacted]")
			}
		}
	}
	return text
}
