package logwriter_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"netatmo-agent/agent/logwriter"
)

// output is a pipe or a disk. While it is stopped, writes block; while it is full,
// they fail.
type output struct {
	mu      sync.Mutex
	stopped chan struct{} // closed when it continues
	full    bool
	text    bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	stopped, full := o.stopped, o.full
	o.mu.Unlock()
	if stopped != nil {
		<-stopped
	}
	if full {
		return 0, errors.New("no space left on device")
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) set(stopped chan struct{}, full bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stopped, o.full = stopped, full
}

func (o *output) lines() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Split(strings.TrimSuffix(o.text.String(), "\n"), "\n")
}

func TestALineIsWrittenAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := new(output)
		w := logwriter.New(o)
		defer w.Close()
		fmt.Fprintln(w, "one")
		if got := o.lines(); got[0] != "one" {
			t.Errorf("%q", got)
		}
	})
}

// A stopped reader delays the program by one second, once. Afterwards the log
// has what the queue kept, and the number of dropped lines.
func TestAStoppedReaderDoesNotBlockWriters(t *testing.T) {
	for _, format := range []string{"line=%d\n", `{"line":%d}` + "\n"} {
		synctest.Test(t, func(t *testing.T) {
			o := new(output)
			goOn := make(chan struct{})
			o.set(goOn, false)
			w := logwriter.New(o)
			start := time.Now()
			for i := range 1500 {
				fmt.Fprintf(w, format, i)
			}
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("1500 lines took %s", took)
			}
			o.set(nil, false)
			close(goOn)
			synctest.Wait()
			fmt.Fprintf(w, format, 1500)
			w.Close()
			lines := o.lines()
			at := slices.IndexFunc(lines, func(line string) bool {
				return strings.Contains(line, "log lines were dropped because the log could not be written")
			})
			if at < 0 || strings.HasPrefix(format, "{") != strings.HasPrefix(lines[at], "{") {
				t.Fatal("the loss is not reported in the log's format")
			}
			if len(lines) > 1003 || lines[0] != strings.TrimSpace(fmt.Sprintf(format, 0)) || lines[len(lines)-1] != strings.TrimSpace(fmt.Sprintf(format, 1500)) {
				t.Errorf("%d lines, from %s to %s", len(lines), lines[0], lines[len(lines)-1])
			}
		})
	}
}

func TestAStoppedReaderDoesNotBlockTheExit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := new(output)
		goOn := make(chan struct{})
		defer close(goOn)
		o.set(goOn, false)
		w := logwriter.New(o)
		start := time.Now()
		fmt.Fprintln(w, "stopping")
		fmt.Fprintln(w, "stopped")
		w.Close()
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("the end took %s", took)
		}
	})
}

func TestAFullDiskIsReportedOnceThereIsSpace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := new(output)
		o.set(nil, true)
		w := logwriter.New(o)
		for i := range 7 {
			fmt.Fprintln(w, "lost", i)
		}
		o.set(nil, false)
		fmt.Fprintln(w, "kept")
		w.Close()
		if got := o.lines(); len(got) != 2 || !strings.Contains(got[0], "lines=7") || got[1] != "kept" {
			t.Errorf("%q", got)
		}
	})
}
