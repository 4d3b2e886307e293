package config

import (
	"io"
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// NewLogger returns a logger that writes to w in the format "text" or "json".
// Levels are named DEBUG, INFO, WARN and ERROR. Times are RFC 3339; those that a
// line is about are given to the second.
func NewLogger(w io.Writer, level slog.Level, format string) *slog.Logger {
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: wholeSeconds}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

func wholeSeconds(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindTime && a.Key != slog.TimeKey {
		return slog.String(a.Key, a.Value.Time().Format(time.RFC3339))
	}
	return a
}

// logLevels are the names understood. The last four are those of logrus, which
// netatmo-exporter's users may have set.
var logLevels = map[string]slog.Level{
	"debug":   slog.LevelDebug,
	"info":    slog.LevelInfo,
	"warn":    slog.LevelWarn,
	"error":   slog.LevelError,
	"warning": slog.LevelWarn,
	"trace":   slog.LevelDebug,
	"fatal":   slog.LevelError,
	"panic":   slog.LevelError,
}

func (l *loader) logLevel(variable, text string) slog.Level {
	level, ok := logLevels[strings.ToLower(text)]
	if !ok {
		l.problem(variable, strconv.Quote(text)+" is not a log level", "use debug, info, warn or error")
	}
	return level
}
