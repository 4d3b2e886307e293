// Package outage keeps logs quiet: one line when something breaks, a reminder
// an hour while it stays broken, one line when it works again. A loop that
// fails every minute for a night would otherwise bury the line that matters.
package outage

import (
	"log/slog"
	"time"
)

const reminder = time.Hour

// Log follows one thing that can break, such as "push". It is for use by one
// goroutine.
type Log struct {
	logger *slog.Logger
	what   string

	since    time.Time            // zero while all is well
	said     map[string]time.Time // when each reason was last said
	failures int
}

// New returns a Log for the thing called what; what starts the lines it writes.
func New(logger *slog.Logger, what string) *Log {
	return &Log{logger: logger, what: what}
}

// Failed reports a failure. The first of each reason (a word from a small set,
// such as an error class) in an outage, and one an hour of each, are written as
// warnings; the others at debug level.
func (l *Log) Failed(reason string, err error, attrs ...any) {
	now := time.Now()
	if l.since.IsZero() {
		l.since, l.said = now, map[string]time.Time{}
	}
	l.failures++
	attrs = append([]any{"error", err}, attrs...)
	switch last := l.said[reason]; {
	case last.IsZero():
		l.logger.Warn(l.what+" failed", attrs...)
	case now.Sub(last) >= reminder:
		l.logger.Warn(l.what+" still failing", append(attrs, "since", l.since.Format(time.RFC3339), "failures", l.failures)...)
	default:
		l.logger.Debug(l.what+" failed again", attrs...)
		return
	}
	l.said[reason] = now
}

// OK reports a success. The first after an outage is written.
func (l *Log) OK() {
	if l.since.IsZero() {
		return
	}
	l.logger.Info(l.what+" works again", "after", time.Since(l.since).Round(time.Second).String(), "failures", l.failures)
	*l = Log{logger: l.logger, what: l.what}
}

// Failing reports whether the last thing reported was a failure.
func (l *Log) Failing() bool { return !l.since.IsZero() }
