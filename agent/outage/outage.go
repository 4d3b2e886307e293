// Package outage keeps logs quiet: one line when something breaks, a reminder
// every hour while it stays broken, one line when it works again. A loop that
// fails every minute for a night would otherwise bury the line that matters.
package outage

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"
)

const reminder = time.Hour

// Log follows one thing that can break, such as "push". It is for use by one
// goroutine.
type Log struct {
	logger *slog.Logger
	what   string

	since    time.Time            // zero while there is no outage
	said     map[string]time.Time // when each reason was last logged
	failures int
}

// New returns a Log for what, which starts the lines that it writes.
func New(logger *slog.Logger, what string) *Log {
	return &Log{logger: logger, what: what}
}

// Failed reports a failure. The first of each reason (a word from a small set,
// such as an error class) in an outage, and then one an hour, are logged as
// warnings; the others at debug level.
func (l *Log) Failed(reason string, err error, attrs ...any) {
	l.FailedAt(slog.LevelWarn, reason, err, attrs...)
}

// FailedAt is Failed with another level instead of warning.
func (l *Log) FailedAt(level slog.Level, reason string, err error, attrs ...any) {
	now := time.Now()
	if l.since.IsZero() {
		l.since, l.said = now, map[string]time.Time{}
	}
	l.failures++
	attrs = append([]any{"error", err}, attrs...)
	switch last := l.said[reason]; {
	case last.IsZero():
		l.logger.Log(context.Background(), level, l.what+" failed", attrs...)
	case now.Sub(last) >= reminder:
		l.logger.Log(context.Background(), level, l.what+" still failing", append(attrs, "since", l.since.Format(time.RFC3339), "failures", l.failures)...)
	default:
		l.logger.Debug(l.what+" failed again", attrs...)
		return
	}
	l.said[reason] = now
}

// OK reports a success. The first one after an outage is logged.
func (l *Log) OK() {
	if l.since.IsZero() {
		return
	}
	l.logger.Info(l.what+" works again", "after", time.Since(l.since).Round(time.Second).String(), "failures", l.failures)
	*l = Log{logger: l.logger, what: l.what}
}

// Failing reports whether the last report was a failure.
func (l *Log) Failing() bool { return !l.since.IsZero() }

// Backoff returns how long to wait after the n-th failure in a row: it doubles
// from first to most. It is up to a fifth less, at random, so that clients that
// failed together do not retry together.
func Backoff(n int, first, most time.Duration) time.Duration {
	d := max(first, min(first<<min(max(n-1, 0), 16), most))
	return d - time.Duration(rand.Float64()*float64(d)/5) //nolint:gosec // not a secret
}
