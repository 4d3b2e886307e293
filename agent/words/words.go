// Package words puts counts, times, advice and tables into words and columns for
// people, so that every command and every sentence of "check" says them alike.
package words

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// Several is "no modules", "1 module", "2 modules".
func Several(n int, what string) string {
	switch n {
	case 0:
		return "no " + what + "s"
	case 1:
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Span is a duration in words.
func Span(d time.Duration) string {
	units := []struct {
		size, until time.Duration
		name        string
	}{
		{time.Second, 2 * time.Minute, "s"},
		{time.Minute, 2 * time.Hour, "min"},
		{time.Hour, 48 * time.Hour, "h"},
	}
	for _, u := range units {
		if d < u.until {
			return fmt.Sprintf("%.0f %s", d.Round(u.size).Seconds()/u.size.Seconds(), u.name)
		}
	}
	return fmt.Sprintf("%.0f days", d.Hours()/24)
}

// Ago is the time since t in words, or what to say of a zero t.
func Ago(t time.Time, never string) string {
	if t.IsZero() {
		return never
	}
	return Span(max(0, time.Since(t))) + " ago"
}

// wrap breaks text, which begins in a column, at the width of the terminal; 0
// does not.
func wrap(text string, column, width int) string {
	if width < column+20 {
		return text
	}
	var b strings.Builder
	at := column
	for i, word := range strings.Fields(text) {
		size := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case at+1+size > width:
			b.WriteString("\n" + strings.Repeat(" ", column))
			at = column
		default:
			b.WriteString(" ")
			at++
		}
		b.WriteString(word)
		at += size
	}
	return b.String()
}

// Advise writes a sentence that begins in a column, and below it what to do.
func Advise(w io.Writer, column, width int, text, next string) {
	fmt.Fprintln(w, wrap(text, column, width))
	if next != "" {
		fmt.Fprintf(w, "%*s→ %s\n", column, "", wrap(next, column+2, width))
	}
}

// WriteTable writes rows with the first column to the left and the others,
// which are numbers, to the right.
func WriteTable(w io.Writer, rows [][]string) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				line.WriteString(cell + pad)
			} else {
				line.WriteString("  " + pad + cell)
			}
		}
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
	}
}
