package pages

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"

	"netatmo-agent/auth"
)

const (
	// maxConnections leaves descriptors and memory for renewals and pushes,
	// however many clients connect.
	maxConnections = 64

	// silence is how long a connection may send nothing before it is closed.
	silence = 5 * time.Second

	// drain is how long a browser may take to receive the current page when the
	// agent stops.
	drain = 2 * time.Second
)

// Serve serves the pages on l, within limits, until ctx ends. It closes l.
func (h *Handler) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: silence,
		ReadTimeout:       2 * silence,
		WriteTimeout:      auth.LoginTimeout + 10*time.Second,
		IdleTimeout:       silence,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(h.log.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(netutil.LimitListener(l, maxConnections)) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	draining, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	if server.Shutdown(draining) != nil {
		_ = server.Close()
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
