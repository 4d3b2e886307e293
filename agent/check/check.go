// Package check is the doctor behind "netatmo-agent check".
//
// Most trouble with an agent lies outside of it: in a setting, a directory, an
// app at Netatmo, a module's battery, a backend. The doctor walks the whole way
// that a reading takes, in its order, goes on past what is broken, and says of
// everything what it found and what to do. Where it and the agent could
// disagree it asks by the agent's own code. It does not renew the token, unless
// told to, since that makes the token before it useless.
package check

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"netatmo-agent/agent/config"
	"netatmo-agent/agent/netatmo"
	"netatmo-agent/auth"
)

// Setup is what is examined.
type Setup struct {
	Config   *config.Config  // as far as it could be understood
	Problems config.Problems // with the rest of the settings
	Auth     auth.Config
	Lock     string // path of what a running agent holds
	Version  string // of this program

	Client func(netatmo.TokenSource) *netatmo.Client // of the API
	Gate   *netatmo.Gate                             // of the requests that it makes

	Offline bool // make no request
	Refresh bool // renew the access token where that is due
}

// Run examines a set-up, and writes findings as they come. An error says that it
// did not come to its end.
func Run(ctx context.Context, s Setup, o Output) (Verdict, error) {
	d := &doctor{Setup: s, report: newReport(o)}
	d.examine(ctx)
	if ctx.Err() != nil {
		return Failed, errors.New("interrupted")
	}
	return d.end()
}

// doctor examines one thing after another and goes on where it can.
type doctor struct {
	Setup
	*report

	running  bool   // an agent, in this directory
	instance string // service.instance.id of that agent
	source   *auth.Source
	offset   time.Duration // of the local clock, ahead of Netatmo's
}

func (d *doctor) examine(ctx context.Context) {
	d.settings()
	files := d.tokenFile(ctx)
	if files {
		d.stateFile()
		d.agent()
	}
	online := !d.Offline && d.netatmo(ctx)
	asks := files && d.login(ctx, d.Refresh && online)
	d.port(ctx)
	if asks && online {
		d.families(ctx, d.Refresh)
	}
	if !d.Offline {
		d.push(ctx)
	}
}

// settled reports whether no problem is about the settings that are meant:
// variables, by their beginnings, and their flags.
func (d *doctor) settled(names ...string) bool {
	return !slices.ContainsFunc(d.Problems, func(p config.Problem) bool {
		return slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(p.Setting, name) })
	})
}

// silent is the log of what the doctor uses: what matters is a finding.
var silent = slog.New(slog.DiscardHandler)
