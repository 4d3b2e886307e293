package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// listing is points for a golden file: one a line, those that are times moved
// back by shift seconds.
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

// The other tests judge by the oracle; this one shows what it says.
func TestOracle(t *testing.T) {
	answer, err := os.ReadFile("testdata/getstationsdata.json")
	if err != nil {
		t.Fatal(err)
	}
	moved, shift := rebase(t, answer, time.Now())
	golden(t, "getstationsdata-points.txt", listing(expected(t, moved), shift))
}
