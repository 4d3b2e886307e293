//go:build unix

package heartbeat

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// An agent with Type=notify is ready once it works, feeds the watchdog while no
// loop hangs, and says how it is doing.
func TestSystemdIsNotified(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	t.Setenv("NOTIFY_SOCKET", socket)
	t.Setenv("RUNTIME_DIRECTORY", dir)
	next := func() string {
		t.Helper()
		if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		buffer := make([]byte, 4096)
		n, err := conn.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		return string(buffer[:n])
	}

	l := loops(t, world{outside{taken, station, true}, nil}, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(t.Context())
	var ended sync.WaitGroup
	ended.Go(func() { l.Beat(ctx, "token.json", slog.New(slog.DiscardHandler)) })
	if got, want := next(), "READY=1\nSTATUS=logged in; no poll yet; no push yet\nWATCHDOG=1"; got != want {
		t.Errorf("at the start: %q, want %q", got, want)
	}
	ended.Go(func() { l.Pusher.Run(ctx) })
	ended.Go(func() { l.Poller.Run(ctx) })
	for got := ""; !strings.Contains(got, "last poll "+time.Now().Format(time.DateOnly)) || !strings.Contains(got, "last push "); {
		got = next()
		if !strings.Contains(got, "WATCHDOG=1") {
			t.Errorf("the watchdog is not fed: %q", got)
		}
	}
	stop()
	if got := next(); got != "STOPPING=1" {
		t.Errorf("at the end: %q", got)
	}
	ended.Wait()
}

func TestSystemdGetsTheHangingLoops(t *testing.T) {
	h := Heartbeat{Hanging: []string{"the push is late by 6 min"}}
	if got, want := h.systemdState(false), "READY=1\nSTATUS=waiting for a login; no poll yet; no push yet; the push is late by 6 min"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
