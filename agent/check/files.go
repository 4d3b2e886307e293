package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"netatmo-agent/agent/config"
	"netatmo-agent/agent/heartbeat"
	"netatmo-agent/agent/humanize"
	"netatmo-agent/agent/record"
	"netatmo-agent/auth"
	"netatmo-agent/store"
)

// tokenFile loads the token file as the agent does, under the same lock, which
// proves that it can be saved. It reports whether the files can be used.
func (d *doctor) tokenFile(ctx context.Context) bool {
	const area = "files"
	if !d.settled("NETATMO_TOKEN_FILE") {
		return false
	}
	source, err := auth.New(ctx, d.Auth)
	held, isHeld := errors.AsType[*store.HeldError](err)
	switch {
	case ctx.Err() != nil:
		return false
	case isHeld:
		d.fail(area, fmt.Sprintf("%s holds the lock %s and does not release it", held.Holder(), held.Path), "check whether that process hangs")
		return false
	case err != nil:
		d.misset(area, err.Error(), config.OtherTokenFile)
		return false
	}
	d.source = source
	d.probed(source.Probe())
	if source.Status().Guessed {
		d.warn(area, "the token file does not say when its access token expires", "nothing: the agent renews it when it starts, and saves the new expiry")
	}
	return true
}

// probed reports the result of replacing the token file with a copy of itself.
func (d *doctor) probed(probe store.Probe) {
	const area = "files"
	path := d.Config.TokenFile
	switch {
	case probe.InPlaceOnly && errors.Is(probe.Why, syscall.EBUSY):
		d.warn(area, "the token file "+path+" is a mount of its own and can only be overwritten in place, which a power cut can damage", "mount its directory instead")
	case probe.InPlaceOnly:
		d.warn(area, fmt.Sprintf("the token file can only be overwritten in place, which a power cut can damage: %v", probe.Why), "free some space")
	case !exists(path):
		d.ok(area, "the token file "+path+" does not exist yet, and can be saved")
	default:
		d.ok(area, "the token file "+path+" can be saved")
	}
	if probe.Narrowed != 0 {
		d.warn(area, fmt.Sprintf("others could read the token file (mode %04o); changed its mode to 0600", probe.Narrowed), "log in again if somebody may have read it")
	}
	if probe.OtherOwner {
		d.warn(area, fmt.Sprintf("the token file belongs to a different user than this process (user id %d)", os.Geteuid()), "run the agent and its commands as the same user")
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// stateFile does not write, because the agent may be writing.
func (d *doctor) stateFile() {
	const area = "files"
	path := filepath.Join(d.Config.StateDir, record.StateName)
	state, err := record.ReadState(path)
	if _, damaged := errors.AsType[*store.CorruptError](err); damaged {
		d.warn(area, "the state file is damaged: "+err.Error(), "nothing: the agent moves it aside and starts a new one; the login is not affected, but readings missed before that start are not filled in")
		return
	}
	if errors.Is(err, fs.ErrNotExist) {
		return // before the first start
	}
	if err != nil {
		d.warn(area, "the state file cannot be used: "+err.Error()+". An agent starts without it, but does not know what was delivered before", "move "+path+" away, or let this user read it")
		return
	}
	d.instance, d.state = state.InstanceID(), state
	if modules, newest := state.Acknowledged(); !newest.IsZero() {
		d.ok(area, fmt.Sprintf("the backend has accepted values from %s, the newest %s", humanize.Count(modules, "module"), humanize.Ago(newest, "")))
	}
}

// agent looks for an agent that runs in this directory.
func (d *doctor) agent() {
	const area = "agent"
	if !exists(d.Lock) {
		d.ok(area, "no agent has run here yet")
		return
	}
	lock, err := store.TryLock(d.Lock)
	held, running := errors.AsType[*store.HeldError](err)
	switch {
	case err == nil:
		_ = lock.Unlock()
		d.ok(area, "no agent runs here now")
		return
	case !running:
		d.misset(area, "the agent could not lock its directory: "+err.Error(), "choose another directory with NETATMO_TOKEN_FILE")
		return
	}
	d.running = true
	h, err := heartbeat.Read(d.Config.TokenFile)
	switch {
	case err == nil:
		d.lately(h)
	case len(h.Hanging) > 0:
		d.fail(area, err.Error(), "restart it, and keep its log")
	default:
		d.warn(area, fmt.Sprintf("an agent runs here (%s), but %v", held.Holder(), err), "run check in the same container and with the same environment as the agent, and check whether the agent can write there")
	}
}

// startPatience is how long a new agent may take for its first poll and push.
const startPatience = time.Minute

// lately says when the running agent last polled and pushed.
func (d *doctor) lately(h heartbeat.Heartbeat) {
	text := fmt.Sprintf("an agent runs here (process %d, started %s); last successful poll: %s, last push: %s",
		h.PID, humanize.Ago(h.Started, ""), humanize.Ago(h.Polled, "none yet"), humanize.Ago(h.Pushed, "none yet"))
	late := time.Since(h.Polled) > max(30*time.Minute, 2*d.Config.RefreshInterval) || time.Since(h.Pushed) > max(5*time.Minute, 2*d.Config.Push.Interval)
	starting := time.Since(h.Started) < startPatience && !h.Failing
	if late && !starting {
		d.warn("agent", text, "look for the cause below and in the agent's log")
		return
	}
	d.ok("agent", text)
}
