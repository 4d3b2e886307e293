package history

import (
	"slices"
	"time"
)

// span is the time after From up to To.
type span struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// spans are ascending and do not touch each other.
type spans []span

// add returns the union of s and x.
func (s spans) add(x span) spans {
	if !x.From.Before(x.To) {
		return s
	}
	var union spans
	for _, y := range s {
		if y.To.Before(x.From) || x.To.Before(y.From) {
			union = append(union, y)
			continue
		}
		if y.From.Before(x.From) {
			x.From = y.From
		}
		x.To = later(x.To, y.To)
	}
	union = append(union, x)
	slices.SortFunc(union, func(a, b span) int { return a.From.Compare(b.From) })
	return union
}

// missing returns the parts of x that are not in s.
func (s spans) missing(x span) spans {
	var missing spans
	for _, y := range s {
		if !y.To.After(x.From) || !y.From.Before(x.To) {
			continue
		}
		if x.From.Before(y.From) {
			missing = append(missing, span{x.From, y.From})
		}
		x.From = y.To
	}
	if x.From.Before(x.To) {
		missing = append(missing, x)
	}
	return missing
}
