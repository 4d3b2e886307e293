//go:build unix

package otlp

import (
	"syscall"
	"testing"
)

// Opening a pipe would wait for a writer for ever.
func TestAFileThatBecomesAPipeIsNotRead(t *testing.T) {
	spoilFiles(t, "not a regular file", func(path string) error { return syscall.Mkfifo(path, 0o600) })
}
