package config

import (
	"encoding/base64"
	"net/url"
	"regexp"
	"strings"
)

// LogsIn reports whether a header with this name, in any case, contains
// credentials. It looks for what such names have in common ("auth", "token",
// "key"). A tenant's header does not count.
func LogsIn(header string) bool { return logsIn.MatchString(strings.ToLower(header)) }

var logsIn = regexp.MustCompile(`auth|token|key|secret|passw|credential|cookie|dsn$|^x-honeycomb-team$`)

// judgeAuthorization says what looks wrong with credentials for an endpoint (nil:
// not known), without showing them. Most first pushes fail because of hand-made
// Basic credentials.
func judgeAuthorization(value Secret, endpoint *url.URL) (what, remedy string) {
	const howTo = "make it with: printf %s 'user:password' | base64 -w0"
	scheme, login, _ := strings.Cut(value.Reveal(), " ")
	login = strings.TrimSpace(login)
	if login == "" && endpoint != nil && bareToken(endpoint) {
		return "", ""
	}
	if login == "" {
		return "has an authorization header without a scheme", "write a scheme such as Basic or Bearer before the credentials"
	}
	if !strings.EqualFold(scheme, "basic") {
		return "", ""
	}
	decoded, err := base64.StdEncoding.DecodeString(login)
	user, password, colon := strings.Cut(string(decoded), ":")
	switch {
	case err != nil && strings.Contains(login, ":"):
		return "has Basic credentials that are not encoded", howTo
	case err != nil:
		return "has Basic credentials that are not base64", howTo
	case !colon:
		return "has Basic credentials without a colon between user and password", howTo
	case user == "" || password == "":
		return "has Basic credentials with an empty user or password", "set both; a variable inside it may have been empty"
	case strings.TrimSpace(string(decoded)) != string(decoded):
		return "has Basic credentials that begin or end with a line break or space, as echo without -n adds", howTo
	case !printable(string(decoded)):
		return "has Basic credentials with characters that are not ASCII", howTo
	case endpoint != nil && grafanaCloud(endpoint) && strings.Trim(user, "0123456789") != "":
		return "has Basic credentials whose user is not a number, but Grafana Cloud's instance IDs are numbers", "use the instance ID as the user and the access token as the password"
	}
	return "", ""
}

// bareToken reports whether a backend takes a token without a scheme, as Logfire
// does.
func bareToken(u *url.URL) bool {
	return strings.HasSuffix(strings.ToLower(u.Hostname()), ".pydantic.dev")
}
