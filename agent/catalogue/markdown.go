package catalogue

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Markdown writes the table of all metrics for README and terminal, its
// columns aligned.
func Markdown(w io.Writer) error {
	rows := [][]string{{"Metric", "Unit", "Type", "From", "History", "Note"}}
	for _, m := range slices.Concat(readings, agent) {
		row := []string{"`" + m.Name + "`", "", m.Kind.String(), m.From, "", m.Note}
		if m.Unit != "" {
			row[1] = "`" + m.Unit + "`"
		}
		if m.History != "" {
			row[4] = "yes"
		}
		if m.Past {
			row[4] = "yes, only"
		}
		rows = append(rows, row)
	}
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	rule := make([]string, len(widths))
	for i, n := range widths {
		rule[i] = strings.Repeat("-", n)
	}
	for _, row := range slices.Insert(rows, 1, rule) {
		for i, cell := range row {
			row[i] = cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
		}
		if _, err := fmt.Fprintln(w, "| "+strings.Join(row, " | ")+" |"); err != nil {
			return err
		}
	}
	return nil
}
