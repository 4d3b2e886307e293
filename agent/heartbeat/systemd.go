package heartbeat

import (
	"net"
	"os"
	"time"
)

// notify sends state to systemd, as sd_notify(3) specifies. It does nothing if
// systemd has not started this process with Type=notify.
func notify(state string) error {
	socket := os.Getenv("NOTIFY_SOCKET")
	if socket == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	_, err = conn.Write([]byte(state))
	return err
}

// systemdState is the message for each heartbeat. systemd restarts an agent that
// does not send WATCHDOG=1 within WatchdogSec, which should be a few intervals.
func (h Heartbeat) systemdState(login bool) string {
	state := "READY=1\nSTATUS=" + h.status(login)
	if len(h.Hanging) == 0 {
		state += "\nWATCHDOG=1"
	}
	return state
}

// status is a line for "systemctl status".
func (h Heartbeat) status(login bool) string {
	text := "logged in"
	if !login {
		text = "waiting for a login"
	}
	for _, last := range []struct {
		what string
		at   time.Time
	}{{"poll", h.Polled}, {"push", h.Pushed}} {
		if last.at.IsZero() {
			text += "; no " + last.what + " yet"
		} else {
			text += "; last " + last.what + " " + last.at.Format(time.DateTime)
		}
	}
	for _, loop := range h.Hanging {
		text += "; " + loop
	}
	return text
}
