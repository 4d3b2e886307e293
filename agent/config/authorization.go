package config

import (
	"bytes"
	"encoding/base64"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// headers merges the header variables, for each header the metrics form first,
// and judges them together with those of the file.
func (l *loader) headers(p *Push, general, metrics, file variable) {
	p.Headers = map[string]Secret{}
	from := map[string]string{} // header -> variable
	for _, v := range []variable{general, metrics} {
		headers, faults := parseHeaders(v.text)
		for _, fault := range faults {
			l.problem(v.name, fault.What, fault.Remedy)
		}
		for name, value := range headers {
			p.Headers[name], from[name] = value, v.name
		}
	}
	all := maps.Clone(p.Headers)
	p.HeadersFile = file.text
	inFile := l.headerFile(file)
	for _, name := range slices.Sorted(maps.Keys(inFile)) {
		if other, twice := from[name]; twice {
			l.problem(file.name, "has the header "+name+", which "+other+" sets too", "keep one of them")
		}
		all[name], from[name] = inFile[name], file.name
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if name == "authorization" {
			if what, remedy := judgeAuthorization(all[name], p.URL != nil && grafanaCloud(p.URL)); what != "" {
				l.warn(from[name], what, remedy)
			}
		}
		if p.Exposes(name) {
			l.problem(from[name], "has the header "+name+", which would travel readable: the endpoint is plain http",
				"use https, or set OTEL_EXPORTER_OTLP_INSECURE=true if everybody on the way may read it")
		}
	}
}

// logsIn matches the headers that backends log in by.
var logsIn = regexp.MustCompile(`auth|token|key|secret|passw|credential|cookie|dsn$|^x-honeycomb-team$`)

func (l *loader) headerFile(v variable) map[string]Secret {
	if v.text == "" {
		return nil
	}
	content, ok := l.readFile(v.name, v.text)
	if !ok {
		return nil
	}
	headers, err := ParseHeaderFile(bytes.NewReader(content))
	if err != nil {
		l.problem(v.name, "names a file that cannot be used: "+err.Error(), "write one header a line, such as Authorization: Basic <base64 of user:password>, without quotes and escapes")
	}
	return headers
}

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
