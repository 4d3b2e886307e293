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

// entry is one of a list such as OTEL_EXPORTER_OTLP_HEADERS.
type entry struct {
	number   int // from 1
	key, raw string
}

// entries reads key=value,key=value. What it returns beside them says what is
// wrong with the others and shows nothing of the text.
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
		return "", &Problem{What: fmt.Sprintf("has a %% that begins no escape, in entry number %d", e.number),
			Remedy: "write %25 for a % itself; escapes are % and two hex digits, such as %20 for a blank"}
	}
	return value, nil
}

// parseHeaders reads a header list as OpenTelemetry defines it, and two forms
// that people use and mean one thing only: Name: value, and values in quotes.
func parseHeaders(text string) (map[string]Secret, Problems) {
	list, faults := entries(text, headerName.MatchString, true)
	headers := map[string]Secret{}
	for _, e := range list {
		value, fault := e.value()
		value = strings.TrimSpace(value)
		switch {
		case fault != nil:
		case value == "":
			fault = &Problem{What: fmt.Sprintf("has an entry without a value (number %d)", e.number), Remedy: "give it one, or remove it; a variable inside it may have been empty"}
		case !printable(value):
			fault = &Problem{What: fmt.Sprintf("has a value with characters that no header can carry, in entry number %d", e.number), Remedy: "use ASCII letters, digits and punctuation on one line"}
		}
		if fault != nil {
			faults = append(faults, *fault)
			continue
		}
		headers[strings.ToLower(e.key)] = Secret(value)
	}
	return headers, faults
}

// headerName matches the names that HTTP and gRPC both take.
var headerName = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// ParseHeaderFile reads one "Name: value" a line, without escapes; empty lines
// and lines that begin with # are skipped. Names come back in lower case. The
// error shows nothing of the content; a file without any header is an error
// too, because it may just be being written.
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
			return nil, fmt.Errorf("line %d is not Name: value", number)
		case value == "" || bare(value) != value || !printable(value):
			return nil, fmt.Errorf("line %d has a value that is empty, in quotes, or not ASCII", number)
		case again:
			return nil, fmt.Errorf("line %d has a header that was there before", number)
		}
		headers[name] = Secret(value)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(headers) == 0 {
		return nil, errors.New("there is no header in it")
	}
	return headers, nil
}
