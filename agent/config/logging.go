package config

import (
	"io"
	"log/slog"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// NewLogger returns a logger that writes to w in the format "text" or "json".
// Times are RFC 3339; attributes that are times have whole seconds. Long texts are
// cut, so that a line has less than 4 KiB.
func NewLogger(w io.Writer, level slog.Level, format string) *slog.Logger {
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: replaceAttr}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

func replaceAttr(_ []string, a slog.Attr) slog.Attr {
	switch a.Value.Kind() {
	case slog.KindTime:
		if a.Key != slog.TimeKey {
			return slog.String(a.Key, a.Value.Time().Format(time.RFC3339))
		}
	case slog.KindString:
		return slog.String(a.Key, cut(a.Value.String()))
	case slog.KindAny:
		if err, ok := a.Value.Any().(error); ok {
			return slog.String(a.Key, cut(err.Error()))
		}
	}
	return a
}

// mostShown is how many bytes of a line a text takes at most. The longest lines
// have two such texts.
const mostShown = 1600

// cut shortens a text that would take more of a line, quoted as it is there.
func cut(text string) string {
	if len(text) <= mostShown/len(`\u0000`) {
		return text
	}
	shown := 0
	for i, r := range text {
		switch {
		case r > 0xffff && !unicode.IsPrint(r):
			shown += len(`\U00000000`)
		case r == '"', r == '\\', r == utf8.RuneError, !unicode.IsPrint(r):
			shown += len(`\u0000`)
		default:
			shown += utf8.RuneLen(r)
		}
		if shown > mostShown {
			return text[:i] + "…"
		}
	}
	return text
}

// logLevels maps names to levels. The last four are names of logrus, which users
// of netatmo-exporter may have set.
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

func (l *loader) logLevel(v variable) slog.Level {
	level, ok := logLevels[strings.ToLower(v.text)]
	if !ok {
		l.problem(v, strconv.Quote(v.text)+" is not a log level", "use "+oneOf(v.Values))
	}
	return level
}
