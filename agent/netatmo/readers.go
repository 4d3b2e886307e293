package netatmo

import (
	"math"
	"strings"
)

// sensible is the largest plausible measurement. A larger number is an error
// and would spoil every graph.
const sensible = 1e9

func plain(raw []byte) (float64, verdict) {
	if n, ok := number(raw); ok && math.Abs(n) <= sensible {
		return n, said
	}
	return 0, unsaid
}

// except reads a number and returns the verdict v for the sentinel.
func except(sentinel float64, v verdict) func([]byte) (float64, verdict) {
	return func(raw []byte) (float64, verdict) {
		n, is := plain(raw)
		if is == said && n == sentinel {
			return 0, v
		}
		return n, is
	}
}

func flag(raw []byte) (float64, verdict) {
	switch value, ok := truth(raw); {
	case !ok:
		return 0, unsaid
	case value:
		return 1, said
	}
	return 0, said
}

func trend(raw []byte) (float64, verdict) {
	switch text(raw) {
	case "up":
		return 1, said
	case "down":
		return -1, said
	case "stable":
		return 0, said
	}
	return 0, unsaid
}

// named reads the name of a state, see [Reading.State].
func named(raw []byte) (float64, verdict) {
	if firstName(text(raw)) != "" {
		return 1, said
	}
	return 0, unsaid
}

// bearing reads an angle; without wind Netatmo sends −1 (observed).
func bearing(raw []byte) (float64, verdict) {
	if n, is := plain(raw); is == said && n >= 0 {
		return n, said
	}
	return 0, unsaid
}

// maxInstant is a Unix time far beyond any plausible one.
const maxInstant = 1 << 40

// instant reads Unix seconds.
func instant(raw []byte) (float64, verdict) {
	switch n, ok := number(raw); {
	case ok && n == 0:
		return 0, lifeless
	case ok && 0 < n && n < maxInstant:
		return n, said
	}
	return 0, unsaid
}

// attenuation reads the loss of a radio link and returns its negative, the RSSI.
func attenuation(raw []byte) (float64, verdict) {
	n, is := except(255, lifeless)(raw)
	return 0 - n, is
}

func millivolts(raw []byte) (float64, verdict) {
	switch n, is := except(65535, lifeless)(raw); {
	case is != said:
		return 0, is
	case n > 0:
		return n / 1000, said // the nearest double to the decimal: 5738 is 5.738
	}
	return 0, unsaid
}

// words reads a word of the table; other words are not values.
func words(table map[string]float64) reader {
	return func(raw []byte) (float64, verdict) {
		if n, known := table[strings.ToLower(text(raw))]; known {
			return n, said
		}
		return 0, unsaid
	}
}

// percent reads a number from 0 to 100; others are sentinels.
func percent(raw []byte) (float64, verdict) {
	if n, is := plain(raw); is == said && 0 <= n && n <= 100 {
		return n, said
	}
	return 0, unsaid
}

// tenths reads tenths of a unit.
func tenths(raw []byte) (float64, verdict) {
	n, is := plain(raw)
	return n / 10, is
}

// contact is instant for homes, where 0 does not mean a dead battery (observed
// with Legrand remotes).
func contact(raw []byte) (float64, verdict) {
	if n, is := instant(raw); is == said {
		return n, said
	}
	return 0, unsaid
}

// faulty reads a list of faults, a boolean or the name of a fault.
func faulty(raw []byte) (float64, verdict) {
	switch value, ok := truth(raw); {
	case ok && value:
		return 1, said
	case ok:
		return 0, said
	case len(raw) == 0 || string(raw) == "null":
		return 0, unsaid
	case raw[0] == '"' && firstName(text(raw)) != "":
		return 1, said
	}
	for range elements(raw) {
		return 1, said
	}
	return 0, said
}
