package words_test

import (
	"strings"
	"testing"
	"time"

	"netatmo-agent/agent/words"
)

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                            "0 s",
		119 * time.Second:            "119 s",
		2 * time.Minute:              "2 min",
		90*time.Minute + time.Second: "90 min",
		2 * time.Hour:                "2 h",
		48 * time.Hour:               "2 days",
		400 * 24 * time.Hour:         "400 days",
	} {
		if got := words.Span(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}

func TestAdvise(t *testing.T) {
	for width, want := range map[int]string{
		0:  "the battery of the garden's module is low\n  → have new batteries of the size AAA ready\n",
		24: "the battery of the\n  garden's module is low\n  → have new batteries\n    of the size AAA\n    ready\n",
		10: "the battery of the garden's module is low\n  → have new batteries of the size AAA ready\n", // no room to wrap in
	} {
		var b strings.Builder
		words.Advise(&b, 2, width, "the battery of the garden's module is low", "have new batteries of the size AAA ready")
		if b.String() != want {
			t.Errorf("width %d:\n%s\nwant\n%s", width, b.String(), want)
		}
	}
}

func TestWriteTable(t *testing.T) {
	var b strings.Builder
	words.WriteTable(&b, [][]string{{"CLIMATE", "TEMPERATURE"}, {"Living room", "20.8 °C"}, {"Attic", ""}})
	want := "CLIMATE      TEMPERATURE\nLiving room      20.8 °C\nAttic\n"
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}
