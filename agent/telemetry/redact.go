package telemetry

import (
	"encoding/base64"
	"strings"

	"netatmo-agent/agent/config"
	"netatmo-agent/agent/redact"
)

// hide takes the logins among the headers sent out of what a server said.
func hide(text string, sent map[string]config.Secret) string {
	if text == "" {
		return ""
	}
	return redact.Text(text, logins(sent)...)
}

// logins returns what is secret of the headers sent. Those that do not log in,
// such as a tenant's name, may be part of the names that a backend complains of.
func logins(sent map[string]config.Secret) []string {
	var all []string
	for name, value := range sent {
		if config.LogsIn(name) {
			all = append(all, secrets(value.Reveal())...)
		}
	}
	return all
}

// secrets returns what is secret of a header's value: of a Basic or Bearer
// login the credentials and what is inside of them, except a user's name.
func secrets(value string) []string {
	scheme, credentials, _ := strings.Cut(value, " ")
	if !strings.EqualFold(scheme, "Basic") && !strings.EqualFold(scheme, "Bearer") {
		return []string{value}
	}
	plain, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(credentials, "="))
	if err != nil {
		return []string{credentials}
	}
	_, password, colon := strings.Cut(string(plain), ":")
	if !colon {
		return []string{credentials, string(plain)}
	}
	return []string{credentials, password, ":" + password} // the last for a password that is too short alone
}
