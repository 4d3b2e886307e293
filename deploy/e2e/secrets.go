package e2e

import (
	"encoding/base64"
	"net/url"
	"strings"
)

// Secrets returns what an agent with this environment must not show of its push: the
// credentials in headers, encoded and decoded, and parts of an address that are as
// long as a key.
func (e Env) Secrets() (all []string) {
	const long = 16 // characters
	for name, value := range e {
		switch {
		case strings.HasSuffix(name, "_HEADERS"):
			for entry := range strings.SplitSeq(value, ",") {
				_, raw, _ := strings.Cut(entry, "=")
				text, err := url.PathUnescape(raw)
				if err != nil {
					continue
				}
				if _, after, ok := strings.Cut(text, " "); ok { // a scheme
					text = after
				}
				decoded, _ := base64.StdEncoding.DecodeString(text)
				_, password, _ := strings.Cut(string(decoded), ":")
				for _, secret := range []string{text, password} {
					if len(secret) >= long {
						all = append(all, secret)
					}
				}
			}
		case strings.HasSuffix(name, "_ENDPOINT"):
			u, err := url.Parse(value)
			if err != nil {
				continue
			}
			for part := range strings.SplitSeq(u.Path, "/") {
				if len(part) >= long {
					all = append(all, part)
				}
			}
		}
	}
	return all
}
