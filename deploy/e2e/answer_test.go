package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// listing formats points for a golden file: one per line, times shifted back by
// shift seconds.
func listing(points []Point, shift int64) string {
	var b strings.Builder
	for _, p := range points {
		if p.Unit == "s" {
			p.Value -= float64(shift)
		}
		fmt.Fprintln(&b, p)
	}
	return b.String()
}

// The other tests compare with the oracle; this one pins what it expects.
func TestOracle(t *testing.T) {
	answer, err := os.ReadFile("testdata/getstationsdata.json")
	if err != nil {
		t.Fatal(err)
	}
	moved, shift := rebase(t, answer, time.Now())
	golden(t, "getstationsdata-points.txt", listing(expected(t, moved), shift))
}
