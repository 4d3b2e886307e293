package otlp

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"log/slog"
	"maps"
	"strings"

	"netatmo-agent/agent/config"
	"netatmo-agent/store"
)

// headers are sent with every request: those of the settings, overridden by
// those of a file that is read for each request, so that a renewed token is
// used at once. It is safe for concurrent use.
type headers struct {
	fixed map[string]config.Secret
	path  []string                        // the endpoint's, in its forms, if it may be a secret
	file  *file[map[string]config.Secret] // nil: none
}

func newHeaders(p config.Push, log *slog.Logger) (_ *headers, err error) {
	h := &headers{fixed: p.Headers}
	if p.URL != nil && p.Protocol == config.HTTP {
		if path := config.SecretPath(p.URL); path != "" {
			h.path = []string{path, p.URL.EscapedPath()}
		}
	}
	if p.HeadersFile != "" {
		h.file, err = newFile("OTEL_EXPORTER_OTLP_HEADERS_FILE", log, func() (map[string]config.Secret, error) {
			return readHeaders(p)
		})
	}
	return h, err
}

func readHeaders(p config.Push) (map[string]config.Secret, error) {
	content, err := store.ReadFile(p.HeadersFile)
	if err != nil {
		return nil, err
	}
	read, err := config.ParseHeaderFile(bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.HeadersFile, err)
	}
	for name := range read {
		if p.Exposes(name) {
			return nil, fmt.Errorf("%s: the header %s would be sent unencrypted, because the endpoint is plain http: use https, or set OTEL_EXPORTER_OTLP_INSECURE=true", p.HeadersFile, name)
		}
	}
	return read, nil
}

// current returns the headers for the next request, names in lower case, and what
// must not be shown.
func (h *headers) current() (all map[string]config.Secret, secret []string) {
	all = h.fixed
	if h.file != nil {
		all = maps.Clone(h.fixed)
		if all == nil {
			all = map[string]config.Secret{}
		}
		maps.Copy(all, h.file.current())
	}
	for name, value := range all {
		// Others, such as a tenant's name, may be part of the names that a
		// backend reports as wrong.
		if config.LogsIn(name) {
			secret = append(secret, secrets(value.Reveal())...)
		}
	}
	for _, path := range h.path {
		secret = append(secret, path)
		for part := range strings.SplitSeq(path, "/") {
			if len(part) >= longPart {
				secret = append(secret, part)
			}
		}
	}
	return all, secret
}

// longPart is the length from which a part of a path may be a key rather than a
// word.
const longPart = 16

// secrets returns the secret parts of a header's value: the credentials after a
// scheme such as Basic, Bearer or ApiKey, encoded and decoded, except a user's name;
// else all of it.
func secrets(value string) []string {
	scheme, credentials, found := strings.Cut(value, " ")
	if !found {
		return []string{value}
	}
	if !strings.EqualFold(scheme, "Basic") && !strings.EqualFold(scheme, "Bearer") && !strings.EqualFold(scheme, "ApiKey") {
		return []string{value, credentials}
	}
	unpadded := strings.TrimRight(credentials, "=")
	plain, err := base64.RawStdEncoding.DecodeString(unpadded)
	if err != nil {
		return []string{credentials}
	}
	_, password, colon := strings.Cut(string(plain), ":")
	if !colon {
		return []string{credentials, unpadded, string(plain)}
	}
	return []string{credentials, unpadded, password, ":" + password} // the last for a password that is too short alone
}
