package check

import (
	"bytes"
	"strings"
	"testing"
)

// TestReportOnATerminal wraps and colours.
func TestReportOnATerminal(t *testing.T) {
	var out bytes.Buffer
	r := newReport(Output{Out: &out, Colour: true, Width: 48})
	r.warn("module", "Garden (outdoor): measured 4 min ago, battery low (16 %)", "have new batteries ready")
	if verdict, err := r.end(); verdict != Fine || err != nil {
		t.Errorf("verdict %d, %v", verdict, err)
	}
	want := "\x1b[33mwarn \x1b[0m module     Garden (outdoor): measured 4\n" +
		"                 min ago, battery low (16 %)\n" +
		"                 → have new batteries ready\n" +
		"\nIt works: no failures, 1 warning, 0 ok.\n"
	if out.String() != want {
		t.Errorf("got\n%q\nwant\n%q", out.String(), want)
	}
}

func TestJSONIsAnArrayEvenWithoutFindings(t *testing.T) {
	var out bytes.Buffer
	if _, err := newReport(Output{Out: &out, JSON: true}).end(); err != nil || strings.TrimSpace(out.String()) != "[]" {
		t.Errorf("%q, %v", out.String(), err)
	}
}
