package config

import (
	"os"
	"regexp"
	"slices"
	"strings"
)

// ignored says why a variable has no effect, and what to do.
type ignored struct{ why, remedy string }

var (
	noPassword = ignored{"Netatmo no longer supports password logins", "log in with the browser, or with netatmo-agent login"}
	noMeaning  = ignored{"a netatmo-exporter setting that has no meaning here", ""}
	ofDevices  = ignored{"NETATMO_DEVICES chooses the device families", ""}
)

// foreign are variables of other Netatmo programs that this one does not have:
// netatmo-exporter, its first version and its forks.
var foreign = map[string]ignored{
	"DEBUG_HANDLERS":            noMeaning,
	"NETATMO_CLIENT_USERNAME":   noPassword,
	"NETATMO_CLIENT_PASSWORD":   noPassword,
	"NETATMO_USERNAME":          noPassword,
	"NETATMO_PASSWORD":          noPassword,
	"NETATMO_REFRESH_TOKEN":     {"a refresh token can be used only once", "pass it to: netatmo-agent login --refresh-token -"},
	"NETATMO_ENABLE_WEATHER":    ofDevices,
	"NETATMO_ENABLE_HOMECOACH":  ofDevices,
	"NETATMO_ENABLE_GO_METRICS": noMeaning,
}

// serviceLink matches the variables that Kubernetes sets for a service whose name
// begins with netatmo.
var serviceLink = regexp.MustCompile(`_SERVICE_(HOST|PORT(_.+)?)$|_PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?$`)

// otherSignal matches OpenTelemetry's variables for signals other than metrics.
var otherSignal = regexp.MustCompile(`^OTEL_EXPORTER_OTLP_(TRACES|LOGS|PROFILES)_`)

// unknown warns about variables that look like settings but are not, because a
// misspelt variable would otherwise silently have no effect. It never shows
// values.
func (l *loader) unknown(environ []string) {
	known := knownVariables()
	warn := func(name, what, remedy string) {
		l.warnings = append(l.warnings, Problem{Setting: name, What: what, Remedy: remedy})
	}
	for _, entry := range slices.Sorted(slices.Values(environ)) {
		name, value, _ := strings.Cut(entry, "=")
		if why := withoutEffect(name); why != "" && value != "" {
			warn(name, "has no effect: "+why, "")
			continue
		}
		if value == "" || slices.Contains(known, name) || serviceLink.MatchString(name) {
			continue
		}
		if f, ok := foreign[name]; ok {
			warn(name, "is ignored: "+f.why, f.remedy)
			continue
		}
		near := ""
		reserved := strings.HasPrefix(name, "NETATMO_")
		switch {
		case reserved:
			near = nearest(name, known, 3)
		case strings.HasPrefix(name, "OTEL_"):
			near = nearest(name, known, 2)
			reserved = strings.HasPrefix(name, "OTEL_EXPORTER_OTLP_") && !otherSignal.MatchString(name)
		}
		switch {
		case near != "":
			warn(name, "is not a known setting and is ignored", "did you mean "+near+"?")
		case reserved:
			warn(name, "is not a known setting and is ignored", "")
		}
	}
}

// misspelt returns a variable that is set, is not a setting, and looks like the
// given one.
func misspelt(variable string) string {
	known := knownVariables()
	for _, entry := range os.Environ() {
		name, value, _ := strings.Cut(entry, "=")
		if value != "" && strings.HasPrefix(name, "NETATMO_") && !slices.Contains(known, name) && nearest(name, known, 3) == variable {
			return name
		}
	}
	return ""
}

func knownVariables() []string {
	var known []string
	for _, s := range declared {
		known = append(known, s.names()...)
	}
	return known
}

// nearest returns the known name with the fewest edits from name, or nothing if
// that takes more than limit edits.
func nearest(name string, known []string, limit int) string {
	best, least := "", limit+1
	for _, k := range known {
		if d := distance(name, k); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is the Levenshtein distance of two ASCII strings.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			edit := diagonal
			if a[i] != b[j] {
				edit++
			}
			diagonal = row[j+1]
			row[j+1] = min(edit, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
