package config

import (
	"fmt"
	"strings"
)

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

// Error returns a text of several lines for people: a header with the count,
// then a block for each problem.
func (p Problems) Error() string {
	var b strings.Builder
	if len(p) == 1 {
		b.WriteString("1 problem with the settings:")
	} else {
		fmt.Fprintf(&b, "%d problems with the settings:", len(p))
	}
	for _, problem := range p {
		b.WriteString("\n\n")
		wrap(&b, "  ", "    ", problem.Setting+" "+problem.What)
		b.WriteString("\n")
		wrap(&b, "    → ", "      ", problem.Remedy)
	}
	return b.String()
}

// wrap writes text in lines of at most 80 columns where its words allow it.
func wrap(b *strings.Builder, first, rest, text string) {
	const width = 80
	b.WriteString(first)
	column, indent := len([]rune(first)), len([]rune(first))
	for word := range strings.FieldsSeq(text) {
		size := len([]rune(word))
		switch {
		case column == indent:
		case column+1+size > width:
			b.WriteString("\n" + rest)
			column, indent = len(rest), len(rest)
		default:
			b.WriteString(" ")
			column++
		}
		b.WriteString(word)
		column += size
	}
}
