package config

import "strings"

// Problem is a setting that cannot be used or, as a warning, one that deserves
// attention. Setting and What form a sentence ("NETATMO_CLIENT_ID is not set").
// No field contains a secret.
type Problem struct {
	Variable string // of the setting; empty in a warning about a variable that is not a setting
	Setting  string // what the user set: that variable, another one that counts for it, or a flag
	What     string // what is wrong with it
	Remedy   string // what to do; may be empty in a warning
}

// String returns the problem as one sentence, for the log.
func (p Problem) String() string {
	if p.Remedy == "" {
		return p.Setting + " " + p.What
	}
	return p.Setting + " " + p.What + "; " + p.Remedy
}

// Problems is everything wrong with the settings, as one error.
type Problems []Problem

// Error returns one problem per line.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.String()
	}
	return strings.Join(lines, "\n")
}
