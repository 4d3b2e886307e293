package config

import (
	"encoding/base64"
	"regexp"
	"strings"
)

// LogsIn reports whether a header of this name, in whatever case, is one that
// backends log in by, so that its value is secret. It goes by what such names
// have in common ("auth", "token", "key"); a tenant's header is none.
func LogsIn(header string) bool { return logsIn.MatchString(strings.ToLower(header)) }

var logsIn = regexp.MustCompile(`auth|token|key|secret|passw|credential|cookie|dsn$|^x-honeycomb-team$`)

// judgeAuthorization says what looks wrong with a login, showing nothing of
// it: building a Basic login by hand is where most first pushes fail.
func judgeAuthorization(value Secret, grafana bool) (what, remedy string) {
	const howTo = "make it with: printf %s 'user:password' | base64 -w0"
	scheme, login, _ := strings.Cut(value.Reveal(), " ")
	login = strings.TrimSpace(login)
	if login == "" {
		return "has an authorization header of one word", "write a scheme such as Basic or Bearer before the login"
	}
	if !strings.EqualFold(scheme, "basic") {
		return "", ""
	}
	decoded, err := base64.StdEncoding.DecodeString(login)
	user, password, colon := strings.Cut(string(decoded), ":")
	switch {
	case err != nil && strings.Contains(login, ":"):
		return "has a Basic login that is not encoded", howTo
	case err != nil:
		return "has a Basic login that is not base64", howTo
	case !colon:
		return "has a Basic login without a colon between user and password", howTo
	case user == "" || password == "":
		return "has a Basic login with an empty user or password", "give it both; a variable inside it may have been empty"
	case strings.TrimSpace(string(decoded)) != string(decoded):
		return "has a Basic login with a line break or blank at an end, as echo without -n makes it", howTo
	case !printable(string(decoded)):
		return "has a Basic login with characters that are not ASCII", howTo
	case grafana && strings.Trim(user, "0123456789") != "":
		return "has a Basic login whose user is not a number, as Grafana Cloud's instance ids are", "use the instance id as the user and the access token as the password"
	}
	return "", ""
}
