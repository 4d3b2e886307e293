package config

import "strings"

// Problem is one setting that cannot be used or, as a warning, one that
// deserves a look. Setting and What read as a sentence ("NETATMO_CLIENT_ID is
// not set"). None of the three holds a secret.
type Problem struct {
	Setting string // variable or flag, as the user wrote it, or what it names
	What    string // what is wrong with it
	Remedy  string // what to do; empty only in a warning that leaves nothing to do
}

// String returns the parts as one sentence, for a log.
func (p Problem) String() string {
	if p.Remedy == "" {
		return p.Setting + " " + p.What
	}
	return p.Setting + " " + p.What + "; " + p.Remedy
}

// Problems is everything wrong with the settings, as one error.
type Problems []Problem

// Error returns one problem a line.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.String()
	}
	return strings.Join(lines, "\n")
}
