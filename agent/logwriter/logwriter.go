// Package logwriter prevents a log that nobody reads, such as a stopped pipe or
// a full disk, from stopping the program that writes it.
package logwriter

import (
	"bytes"
	"io"
	"log/slog"
	"sync/atomic"
	"time"
)

const (
	// patience is how long a line waits until it is written. After that, the
	// others wait only in the queue, until one of them can be written.
	patience = time.Second
	// queued is how many lines wait. At 4 KiB each, the queue needs 4 MiB.
	queued = 1000
)

// Writer writes lines to another writer. Usually it returns when a line has been
// written, so that no line is lost if the program crashes. If a write blocks, it
// queues lines and then drops them, and says how many when it can write again.
// It is safe for concurrent use.
type Writer struct {
	to      io.Writer
	lines   chan line
	blocked atomic.Bool
	dropped atomic.Int64
	closed  chan struct{}
	ended   chan struct{}
}

type line struct {
	text    []byte
	written chan struct{}
}

// New returns a Writer to w. Close ends it.
func New(w io.Writer) *Writer {
	l := &Writer{to: w, lines: make(chan line, queued), closed: make(chan struct{}), ended: make(chan struct{})}
	go l.run()
	return l
}

// Write writes or queues a line, which may be dropped. It returns no error.
func (l *Writer) Write(text []byte) (int, error) {
	next := line{bytes.Clone(text), make(chan struct{})}
	select {
	case l.lines <- next:
	default:
		l.dropped.Add(1)
		return len(text), nil
	}
	if !l.blocked.Load() && !done(next.written) {
		l.blocked.Store(true)
	}
	return len(text), nil
}

// Close waits a second at most for the lines in the queue. Lines that are written
// after it are lost.
func (l *Writer) Close() {
	close(l.closed)
	done(l.ended)
}

func done(c <-chan struct{}) bool {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-c:
		return true
	case <-timer.C:
		return false
	}
}

func (l *Writer) run() {
	defer close(l.ended)
	for {
		select {
		case next := <-l.lines:
			l.write(next)
			continue
		default:
		}
		select {
		case next := <-l.lines:
			l.write(next)
		case <-l.closed:
			return
		}
	}
}

func (l *Writer) write(next line) {
	if n := l.dropped.Swap(0); n > 0 {
		if _, err := l.to.Write(notice(next.text, n)); err != nil {
			l.dropped.Add(n)
		}
	}
	if _, err := l.to.Write(next.text); err != nil {
		l.dropped.Add(1)
	}
	l.blocked.Store(false)
	close(next.written)
}

// notice says that n lines were dropped, in the format of the given line.
func notice(like []byte, n int64) []byte {
	var b bytes.Buffer
	var handler slog.Handler = slog.NewTextHandler(&b, nil)
	if bytes.HasPrefix(like, []byte("{")) {
		handler = slog.NewJSONHandler(&b, nil)
	}
	slog.New(handler).Warn("log lines were dropped because the log could not be written", "lines", n)
	return b.Bytes()
}
