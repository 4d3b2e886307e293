package check

import (
	"context"
	"errors"
	"net"
	"syscall"

	"netatmo-agent/agent/telemetry"
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
		d.ok(area, "every setting can be used")
	}
	if d.Config.Push.URL != nil {
		d.ok(area, telemetry.DescribePush(d.Config.Push))
	}
	// Where the browser reaches the pages follows from where they listen, if it is not set.
	if d.settled("NETATMO_EXTERNAL_URL", "NETATMO_EXPORTER_EXTERNAL_URL", "--external-url") && d.settled(listenSettings...) {
		d.okNext(area, "the redirect URI is "+d.Auth.RedirectURL(),
			"register exactly this one at your app at https://dev.netatmo.com, if that is not done yet")
	}
}

// listenSettings name the address of the login pages.
var listenSettings = []string{"NETATMO_LISTEN_ADDR", "NETATMO_EXPORTER_ADDR", "--addr"}

// port tries the address of the login pages, unless the agent is listening
// there. With a login that works the agent does without them.
func (d *doctor) port(ctx context.Context) {
	const area, next = "login", "set NETATMO_LISTEN_ADDR to a free port, or to off and log in by: netatmo-agent login"
	if d.running || d.Config.ListenAddr == "" || !d.settled(listenSettings...) {
		return
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", d.Config.ListenAddr)
	if err == nil {
		l.Close()
		return
	}
	what := "the login pages cannot listen on " + d.Config.ListenAddr + ": " + err.Error()
	if errors.Is(err, syscall.EADDRINUSE) {
		what = "another program listens on " + d.Config.ListenAddr + ", where the login pages belong"
	}
	if d.source != nil && d.source.Status().Authorized {
		d.warn(area, what, next)
		return
	}
	d.misset(area, what, next)
}
