package history

import (
	"log/slog"
	"slices"
	"strings"
)

// odd counts malformed rows of history, for one line in the log. A module is
// reported again only after a page without such rows.
type odd struct {
	rows  map[string]int    // by module id, not reported yet
	names map[string]string // of these modules
	said  map[string]bool   // by module id
}

// note counts the rows of a page that was delivered.
func (o *odd) note(module, name string, d delivery) {
	switch {
	case d.odd > 0 && !o.said[module]:
		if o.rows == nil {
			o.rows, o.names = map[string]int{}, map[string]string{}
		}
		o.rows[module] += d.odd
		o.names[module] = name
	case d.odd == 0 && !d.last.IsZero():
		delete(o.said, module)
	}
}

// report logs what was counted since the last report.
func (o *odd) report(log *slog.Logger) {
	if len(o.rows) == 0 {
		return
	}
	if o.said == nil {
		o.said = map[string]bool{}
	}
	rows := 0
	var names []string
	for module, n := range o.rows {
		rows += n
		names = append(names, o.names[module])
		o.said[module] = true
	}
	slices.Sort(names)
	log.Warn("rows of Netatmo's history are malformed; their values are skipped; if this lasts, report it",
		"rows", rows, "modules", strings.Join(names, ", "))
	o.rows, o.names = nil, nil
}
