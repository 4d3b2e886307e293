package telemetry

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"netatmo-agent/agent/outage"
)

// patience is how long a file is waited for. Only a file system that is away,
// such as a network mount without its server, takes longer.
const patience = 2 * time.Second

// renewed is what a setting's file holds. It is read again whenever it is asked
// for, since logins and certificates are replaced in place; what cannot be read
// now counts as it last was. Safe for concurrent use.
type renewed[T any] struct {
	read func() (T, error)

	mu      sync.Mutex
	last    T
	overdue chan reading[T] // of a read that patience did not suffice for
	log     *outage.Log
}

type reading[T any] struct {
	value T
	err   error
}

// newRenewed reads for the first time; the error names the variable.
func newRenewed[T any](variable string, log *slog.Logger, read func() (T, error)) (*renewed[T], error) {
	r := &renewed[T]{read: read, log: outage.New(log, "reading the file of "+variable)}
	var err error
	if r.last, err = r.try(); err != nil {
		return nil, fmt.Errorf("%s: %w", variable, err)
	}
	return r, nil
}

func (r *renewed[T]) current() T {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now, err := r.try(); err != nil {
		r.log.Failed("unreadable", err)
	} else {
		r.log.OK()
		r.last = now
	}
	return r.last
}

var errHangs = errors.New("the file system does not answer: see that what is mounted there works")

// try reads, but does not wait for long: nothing can end a read that hangs, and
// there is never a second beside it.
func (r *renewed[T]) try() (value T, err error) {
	done := r.overdue
	if done == nil {
		done = make(chan reading[T], 1)
		go func() {
			value, err := r.read()
			done <- reading[T]{value, err}
		}()
	} else if len(done) == 0 {
		return value, errHangs
	}
	select {
	case got := <-done:
		r.overdue = nil
		return got.value, got.err
	case <-time.After(patience):
		r.overdue = done
		return value, errHangs
	}
}

// readFile is os.ReadFile for what can be read again and again: opening a pipe
// would wait for its other end.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is a directory, a device or a pipe: name a regular file, which can be read again when it changes", path)
	}
	return os.ReadFile(path)
}
