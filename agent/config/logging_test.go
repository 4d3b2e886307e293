package config_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"unicode/utf8"

	"netatmo-agent/agent/config"
)

// A line of the log has less than 4 KiB, also if it has long texts of characters
// that take several bytes.
func TestLinesAreShort(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		for _, character := range []string{"x", "€", "𝄞", "\x00", "\u2028", `"`, "\xff"} {
			var log bytes.Buffer
			long := strings.Repeat(character, 100_000)
			config.NewLogger(&log, slog.LevelInfo, format).Warn("short", "modules", long, "error", errors.New(long), "number", 7)
			if n := log.Len(); n >= 4096 || n < 1000 || !utf8.Valid(log.Bytes()) || strings.Count(log.String(), "…") != 2 {
				t.Errorf("%s, %q: %d bytes: %.100s", format, character, n, log.String())
			}
		}
	}
}

func TestTextsOfUsualLengthAreNotCut(t *testing.T) {
	var log bytes.Buffer
	usual := strings.Repeat("word ", 300)
	config.NewLogger(&log, slog.LevelInfo, "text").Info(usual, "error", errors.New(usual))
	if strings.Count(log.String(), usual) != 2 {
		t.Error(log.String())
	}
}
