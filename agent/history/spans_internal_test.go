package history

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestSpans compares spans with a set of seconds.
func TestSpans(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	at := func(n int) time.Time { return time.Unix(int64(n), 0) }
	for range 2000 {
		var s spans
		in := [40]bool{}
		for range random.IntN(8) {
			from, to := random.IntN(40), random.IntN(40)
			s = s.add(span{at(from), at(to)})
			for n := from; n < to; n++ {
				in[n] = true
			}
		}
		for i := 1; i < len(s); i++ {
			if !s[i-1].To.Before(s[i].From) {
				t.Fatalf("not in order, or adjacent: %v", s)
			}
		}
		from, to := random.IntN(40), random.IntN(40)
		missing := [40]bool{}
		for _, x := range s.missing(span{at(from), at(to)}) {
			for n := x.From.Unix(); n < x.To.Unix(); n++ {
				missing[n] = true
			}
		}
		for n := range in {
			if want := !in[n] && n >= from && n < to; missing[n] != want {
				t.Fatalf("second %d of %d to %d in %v: missing %v, want %v", n, from, to, s, missing[n], want)
			}
		}
	}
}
