package check

import (
	"context"
	"errors"
	"net"
	"syscall"

	"netatmo-agent/agent/otlp"
)

func (d *doctor) settings() {
	const area = "settings"
	for _, p := range d.Problems {
		d.misset(area, p.Setting+" "+p.What, p.Remedy)
	}
	for _, w := range d.Config.Warnings {
		d.warn(area, w.Setting+" "+w.What, w.Remedy)
	}
	if len(d.Problems)+len(d.Config.Warnings) == 0 {
		d.ok(area, "all settings are valid")
	}
	if d.Config.Push.URL != nil {
		d.ok(area, otlp.Describe(d.Config.Push))
	}
	// The external URL's default derives from the listen address.
	if d.settled("NETATMO_EXTERNAL_URL") && d.settled("NETATMO_LISTEN_ADDR") {
		d.okNext(area, "the redirect URI is "+d.Auth.RedirectURL(),
			"register exactly this URI in your app at https://dev.netatmo.com, if you have not yet")
	}
}

// port tries the address of the login pages, unless the agent is listening
// there. With a working login the agent does not need them.
func (d *doctor) port(ctx context.Context) {
	const area, next = "login", "set NETATMO_LISTEN_ADDR to a free port, or to off and log in with: netatmo-agent login"
	if d.running || d.Config.ListenAddr == "" || !d.settled("NETATMO_LISTEN_ADDR") {
		return
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", d.Config.ListenAddr)
	if err == nil {
		l.Close()
		return
	}
	what := "the login pages cannot listen on " + d.Config.ListenAddr + ": " + err.Error()
	if errors.Is(err, syscall.EADDRINUSE) {
		what = "another program listens on " + d.Config.ListenAddr + ", the address of the login pages"
	}
	if d.source != nil && !d.source.Status().LoggedOut() {
		d.warn(area, what, next)
		return
	}
	d.misset(area, what, next)
}
