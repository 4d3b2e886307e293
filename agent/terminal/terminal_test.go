package terminal_test

import (
	"math"
	"strings"
	"testing"

	"netatmo-agent/agent/terminal"
)

func TestAdvise(t *testing.T) {
	for width, want := range map[int]string{
		0:  "the battery of the garden's module is low\n  → have new batteries of the size AAA ready\n",
		24: "the battery of the\n  garden's module is low\n  → have new batteries\n    of the size AAA\n    ready\n",
		10: "the battery of the garden's module is low\n  → have new batteries of the size AAA ready\n", // no room to wrap in
	} {
		var b strings.Builder
		terminal.Advise(&b, 2, width, "the battery of the garden's module is low", "have new batteries of the size AAA ready")
		if b.String() != want {
			t.Errorf("width %d:\n%s\nwant\n%s", width, b.String(), want)
		}
	}
}

func TestWriteTable(t *testing.T) {
	var b strings.Builder
	terminal.WriteTable(&b, [][]string{{"CLIMATE", "TEMPERATURE"}, {"Living room", "20.8 °C"}, {"Attic", ""}})
	want := "CLIMATE      TEMPERATURE\nLiving room      20.8 °C\nAttic\n"
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestBar(t *testing.T) {
	for _, tc := range []struct {
		width int
		done  float64
		want  string
	}{
		{60, 0.5, "\r 50 % [" + strings.Repeat("█", 15) + strings.Repeat(" ", 15) + "] 2026-01-31" + strings.Repeat(" ", 10)},
		{20, 1, "\r100 % [" + strings.Repeat("█", 12)},
		{0, 2, "\r100 % [" + strings.Repeat("█", 30) + "] 2026-01-31"},
		{60, math.NaN(), "\r100 % [" + strings.Repeat("█", 30) + "] 2026-01-31" + strings.Repeat(" ", 10)},
		{1, 0, "\r"},
	} {
		var b strings.Builder
		terminal.Bar(&b, tc.width, tc.done, "2026-01-31")
		if b.String() != tc.want {
			t.Errorf("width %d: %q, want %q", tc.width, b.String(), tc.want)
		}
	}
}
