// Package terminal recognises terminals and lays out text for them: wrapped
// sentences with advice, tables, and a bar that shows progress.
package terminal

import (
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// FD returns the file descriptor of an input or output that is a terminal.
func FD(stream any) (fd int, ok bool) {
	f, ok := stream.(interface{ Fd() uintptr })
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	return int(f.Fd()), true
}

// Screen returns the width of a terminal and whether to use colours. Both are
// zero if out is not a terminal. See https://no-color.org for NO_COLOR.
func Screen(out io.Writer) (width int, colour bool) {
	fd, ok := FD(out)
	if !ok {
		return 0, false
	}
	return Width(fd), os.Getenv("NO_COLOR") == "" && Escapes(out)
}

// Escapes reports whether out is a terminal that interprets escape sequences, for
// example to clear the screen. On Windows it first asks the console to do so.
func Escapes(out io.Writer) bool {
	fd, ok := FD(out)
	return ok && os.Getenv("TERM") != "dumb" && escapes(fd)
}

// Width returns the width of a terminal, 0 if it is unknown.
func Width(fd int) int {
	width, _, _ := term.GetSize(fd)
	return width
}

// Bar replaces the line that the cursor is in by a percentage, a bar and a text. It
// leaves the last column free, where some terminals begin a new line.
func Bar(w io.Writer, width int, done float64, text string) {
	const bar = 30
	if math.IsNaN(done) { // of nothing to do
		done = 1
	}
	done = min(max(done, 0), 1)
	full := int(done * bar)
	line := []rune(fmt.Sprintf("%3.0f %% [%s%s] %s", 100*done, strings.Repeat("█", full), strings.Repeat(" ", bar-full), text))
	columns := max(width-1, 0)
	if width == 0 {
		columns = len(line)
	}
	fmt.Fprintf(w, "\r%-*s", columns, string(line[:min(len(line), columns)]))
}

// Wrap breaks text that starts in the given column into lines of at most width
// characters. It leaves the text alone if width is 0 or too small.
func Wrap(text string, column, width int) string {
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

// Advise writes a sentence that starts in the given column, and on the next line
// what to do about it. It wraps both at width characters; 0 does not wrap.
func Advise(w io.Writer, column, width int, text, next string) {
	fmt.Fprintln(w, Wrap(text, column, width))
	if next != "" {
		fmt.Fprintf(w, "%*s→ %s\n", column, "", Wrap(next, column+2, width))
	}
}

// WriteTable writes rows in columns. It aligns the first column to the left and
// the others, which hold numbers, to the right.
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
