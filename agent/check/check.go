// Package check is the doctor behind "netatmo-agent check".
//
// Most of an agent's problems have their cause outside it: in a setting, a
// directory, an app at Netatmo, a module's battery, a backend. The doctor
// examines everything that a reading passes through, in order. It continues
// after a failure, and says what it found and what to do. It uses the agent's
// own code, so that the two cannot disagree. It renews an expired access token
// only if no agent runs or if told to, because each renewal invalidates the
// previous token.
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
	"netatmo-agent/agent/record"
	"netatmo-agent/auth"
)

// Setup is the setup to examine.
type Setup struct {
	Config   *config.Config  // without the settings that have problems
	Problems config.Problems // of the other settings
	Auth     auth.Config
	Lock     string // path of the lock that a running agent holds
	Version  string // of this program

	Client func(netatmo.TokenSource) *netatmo.Client // of the API
	Gate   *netatmo.Gate                             // of that client

	Offline bool // make no request
	Refresh bool // renew the access token if it is due
}

// Run examines a setup and writes each finding at once. It returns an error if it
// did not finish.
func Run(ctx context.Context, s Setup, o Output) (Verdict, error) {
	d := &doctor{Setup: s, report: newReport(o)}
	d.examine(ctx)
	if ctx.Err() != nil {
		return Failed, errors.New("interrupted")
	}
	return d.end()
}

// doctor examines one thing after another and continues where it can.
type doctor struct {
	Setup
	*report

	running  bool              // an agent runs in this directory
	instance string            // service.instance.id of that agent
	state    *record.StateFile // what it has delivered; nil if unknown
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
	asks := files && d.login(ctx, online)
	d.port(ctx)
	if asks && online {
		d.families(ctx, d.Refresh)
	}
	if !d.Offline {
		d.push(ctx)
	}
}

// settled reports whether none of the settings that begin with prefix has a problem.
func (d *doctor) settled(prefix string) bool {
	return !slices.ContainsFunc(d.Problems, func(p config.Problem) bool { return strings.HasPrefix(p.Variable, prefix) })
}

// silent discards the logs of the packages that the doctor uses: anything that
// matters is a finding.
var silent = slog.New(slog.DiscardHandler)
