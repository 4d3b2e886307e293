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
	noPassword = ignored{"Netatmo ended logins by password", "log in with the browser, or with netatmo-agent login"}
	noMeaning  = ignored{"a setting of netatmo-exporter without a meaning here", ""}
	ofDevices  = ignored{"NETATMO_DEVICES chooses the device families", ""}
)

// foreign are variables that other Netatmo programs have and this one has not:
// those of netatmo-exporter, its first version, its forks, and what people carry
// over from elsewhere.
var foreign = map[string]ignored{
	"DEBUG_HANDLERS":            noMeaning,
	"NETATMO_CLIENT_USERNAME":   noPassword,
	"NETATMO_CLIENT_PASSWORD":   noPassword,
	"NETATMO_USERNAME":          noPassword,
	"NETATMO_PASSWORD":          noPassword,
	"NETATMO_REFRESH_TOKEN":     {"a refresh token is good for one use", "give it to: netatmo-agent login --refresh-token -"},
	"NETATMO_ENABLE_WEATHER":    ofDevices,
	"NETATMO_ENABLE_HOMECOACH":  ofDevices,
	"NETATMO_ENABLE_GO_METRICS": noMeaning,
}

// serviceLink matches the variables that Kubernetes makes for a service whose
// name begins with netatmo.
var serviceLink = regexp.MustCompile(`_SERVICE_(HOST|PORT(_.+)?)$|_PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?$`)

// otherSignal matches variables of OpenTelemetry that are about something else
// than metrics.
var otherSignal = regexp.MustCompile(`^OTEL_EXPORTER_OTLP_(TRACES|LOGS|PROFILES)_`)

// unknown warns about variables that look like settings and are none: a
// misspelt one would otherwise have no effect and nobody would say so. Values
// are never shown.
func (l *loader) unknown(environ []string) {
	known := knownVariables()
	for _, entry := range slices.Sorted(slices.Values(environ)) {
		name, value, _ := strings.Cut(entry, "=")
		if value == "" || slices.Contains(known, name) || serviceLink.MatchString(name) {
			continue
		}
		if f, ok := foreign[name]; ok {
			l.warn(name, "is ignored: "+f.why, f.remedy)
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
			l.warn(name, "is not a setting and ignored", "did you mean "+near+"?")
		case reserved:
			l.warn(name, "is not a setting and ignored", "")
		}
	}
}

// misspelt returns a variable that is set, is no setting, and is nearest to
// this one.
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
	known := []string{"NETATMO_CLIENT_SECRET", "NETATMO_EXPORTER_TOKEN_FILE", "NETATMO_EXPORTER_ADDR", "NETATMO_EXPORTER_EXTERNAL_URL",
		"OTEL_SDK_DISABLED"}
	for _, f := range Flags() {
		known = append(known, f.Variable)
	}
	for _, s := range pushSettings {
		known = append(known, s.name)
		if s.metrics {
			known = append(known, metricsForm(s.name))
		}
	}
	return known
}

// nearest returns the known name that is fewest edits away from name, or
// nothing if that takes more than limit.
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
