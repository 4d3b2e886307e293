package otlp

import (
	"fmt"
	"log/slog"
	"sync"

	"netatmo-agent/agent/outage"
)

// file is a file that a setting names. It is read each time it is needed,
// because credentials and certificates are replaced in place. While it cannot
// be read, its last content is used. It is safe for concurrent use.
type file[T any] struct {
	read func() (T, error)

	mu   sync.Mutex
	last T
	log  *outage.Log
}

// newFile reads the file for the first time. The error names the variable.
func newFile[T any](variable string, log *slog.Logger, read func() (T, error)) (*file[T], error) {
	f := &file[T]{read: read, log: outage.New(log, "reading the file of "+variable)}
	var err error
	if f.last, err = read(); err != nil {
		return nil, fmt.Errorf("%s: %w", variable, err)
	}
	return f, nil
}

func (f *file[T]) current() T {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now, err := f.read(); err != nil {
		f.log.Failed("unreadable", err)
	} else {
		f.log.OK()
		f.last = now
	}
	return f.last
}
