package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"
)

// soakLog counts the lines of the agent's log, and keeps the last and what the
// test found wrong.
type soakLog struct {
	mu    sync.Mutex
	lines int
	last  []string
	wrong []string
}

func (l *soakLog) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// Write implements io.Writer; a handler writes a line at a time.
func (l *soakLog) Write(line []byte) (int, error) {
	l.note(string(bytes.TrimSpace(line)))
	return len(line), nil
}

func (l *soakLog) note(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines++
	l.last = append(l.last, moment(time.Now())+" "+line)
	if len(l.last) > 400 {
		l.last = l.last[200:]
	}
}

// wrongf notes what fails the test.
func (l *soakLog) wrongf(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wrong = append(l.wrong, fmt.Sprintf(format, args...))
}

// conclude ends the test if anything was wrong. What was wrong comes last,
// where a log that was cut still shows it.
func (l *soakLog) conclude(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.wrong) == 0 {
		return
	}
	t.Logf("what happened last:\n%s", strings.Join(l.last[max(0, len(l.last)-150):], "\n"))
	t.Fatalf("what was wrong:\n%s", strings.Join(l.wrong[:min(len(l.wrong), 50)], "\n"))
}
