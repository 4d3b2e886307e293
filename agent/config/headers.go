package config

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// headers merges the header variables, where the _METRICS_ form wins for each
// header, and validates them together with the headers of the file.
func (l *loader) headers(p *Push, general, metrics, file variable) {
	p.Headers = map[string]Secret{}
	from := map[string]variable{} // by header
	for _, v := range []variable{general, metrics} {
		headers, faults := parseHeaders(v.text)
		for _, fault := range faults {
			l.problem(v, fault.What, fault.Remedy)
		}
		for name, value := range headers {
			p.Headers[name], from[name] = value, v
		}
	}
	all := maps.Clone(p.Headers)
	p.HeadersFile = file.text
	inFile := l.headerFile(file)
	for _, name := range slices.Sorted(maps.Keys(inFile)) {
		if other, twice := from[name]; twice {
			l.problem(file, "has the header "+name+", which "+other.name+" sets too", "keep one of them")
		}
		all[name], from[name] = inFile[name], file
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if name == "authorization" {
			if what, remedy := judgeAuthorization(all[name], p.URL); what != "" {
				l.warn(from[name], what, remedy)
			}
		}
		if p.Exposes(name) {
			l.problem(from[name], "has the header "+name+", which would be sent unencrypted: the endpoint is plain http",
				"use https, or set OTEL_EXPORTER_OTLP_INSECURE=true if anyone on the network may read it")
		}
	}
}

func (l *loader) headerFile(v variable) map[string]Secret {
	if v.text == "" {
		return nil
	}
	content, ok := l.readFile(v)
	if !ok {
		return nil
	}
	headers, err := ParseHeaderFile(bytes.NewReader(content))
	if err != nil {
		l.problem(v, "names a file that cannot be used: "+err.Error(), "write one header per line, such as Authorization: Basic <base64 of user:password>, without quotes or escapes")
	}
	return headers
}

// entry is an element of a list such as OTEL_EXPORTER_OTLP_HEADERS.
type entry struct {
	number   int // from 1
	key, raw string
}

// entries reads key=value,key=value. Its faults describe the invalid entries
// without showing the text.
func entries(text string, isKey func(string) bool, colons bool) (list []entry, faults Problems) {
	number := 0
	for part := range strings.SplitSeq(bare(text), ",") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		number++
		key, raw, found := strings.Cut(part, "=")
		if key = strings.TrimSpace(key); !found || !isKey(key) {
			found = false
			if colons { // "Name: value", copied from elsewhere
				key, raw, found = strings.Cut(part, ":")
				key = strings.TrimSpace(key)
			}
		}
		if !found || !isKey(key) {
			faults = append(faults, Problem{What: fmt.Sprintf("has an entry that is not name=value (number %d)", number),
				Remedy: "write name=value, separated by commas; a comma inside a value is written %2C"})
			continue
		}
		list = append(list, entry{number, key, bare(raw)})
	}
	return list, faults
}

// value decodes the % escapes of an entry.
func (e entry) value() (string, *Problem) {
	if strings.Contains(e.raw, `"`) {
		return "", &Problem{What: fmt.Sprintf("has a quote in entry number %d", e.number), Remedy: "remove it, or write %22 if it belongs to the value"}
	}
	value, err := url.PathUnescape(e.raw)
	if err != nil {
		return "", &Problem{What: fmt.Sprintf("has a %% that is not part of an escape, in entry number %d", e.number),
			Remedy: "write %25 for a % itself; escapes are % and two hex digits, such as %20 for a blank"}
	}
	return value, nil
}

// parseHeaders reads a header list as OpenTelemetry defines it, and two other
// forms that are unambiguous: Name: value, and quoted values.
func parseHeaders(text string) (map[string]Secret, Problems) {
	list, faults := entries(text, headerName.MatchString, true)
	headers := map[string]Secret{}
	for _, e := range list {
		value, fault := e.value()
		value = strings.TrimSpace(value)
		switch {
		case fault != nil:
		case reserved.MatchString(e.key):
			fault = &Problem{What: fmt.Sprintf("has the header %s (entry number %d), which HTTP or gRPC sets itself", strings.ToLower(e.key), e.number), Remedy: "remove it; the endpoint decides the host"}
		case value == "":
			fault = &Problem{What: fmt.Sprintf("has an entry without a value (number %d)", e.number), Remedy: "give it one, or remove it; a variable inside it may have been empty"}
		case !printable(value):
			fault = &Problem{What: fmt.Sprintf("has a value with characters that a header cannot contain, in entry number %d", e.number), Remedy: "use ASCII letters, digits and punctuation on one line"}
		}
		if fault != nil {
			faults = append(faults, *fault)
			continue
		}
		headers[strings.ToLower(e.key)] = Secret(value)
	}
	return headers, faults
}

// headerName matches the names that both HTTP and gRPC accept.
var headerName = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)

// reserved matches the headers that the transport sets, or that would break it.
var reserved = regexp.MustCompile(`(?i)^(host|user-agent|content-(type|length|encoding)|transfer-encoding|connection|keep-alive|proxy-connection|te|trailer|upgrade|grpc-.*)$`)

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// ParseHeaderFile reads one "Name: value" per line, without escapes. It skips
// empty lines and lines that begin with #, and returns names in lower case. The
// error does not show the content. A file without headers is an error, because
// another program may just be writing it.
func ParseHeaderFile(r io.Reader) (map[string]Secret, error) {
	headers := map[string]Secret{}
	lines := bufio.NewScanner(r)
	for number := 1; lines.Scan(); number++ {
		line := strings.TrimSpace(strings.TrimPrefix(lines.Text(), "\uFEFF"))
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, found := strings.Cut(line, ":")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		_, again := headers[name]
		switch {
		case !found || !headerName.MatchString(name):
			return nil, fmt.Errorf("line %d does not have the form Name: value", number)
		case value == "" || bare(value) != value || !printable(value):
			return nil, fmt.Errorf("line %d has a value that is empty, in quotes, or not ASCII", number)
		case reserved.MatchString(name):
			return nil, fmt.Errorf("line %d has the header %s, which HTTP or gRPC sets itself", number, name)
		case again:
			return nil, fmt.Errorf("line %d repeats a header", number)
		}
		headers[name] = Secret(value)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(headers) == 0 {
		return nil, errors.New("it contains no header")
	}
	return headers, nil
}
