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
	"netatmo-agent/agent/poll"
	"netatmo-agent/agent/words"
	"netatmo-agent/auth"
	"netatmo-agent/store"
)

// tokenFile loads the token file as the agent does, in its turn with the agent,
// which proves that it can be saved. It reports whether the files can be used.
func (d *doctor) tokenFile(ctx context.Context) bool {
	const area = "files"
	if !d.settled("NETATMO_TOKEN_FILE", "NETATMO_EXPORTER_TOKEN_FILE", "--token-file") {
		return false
	}
	source, err := auth.New(ctx, d.Auth)
	held, isHeld := errors.AsType[*store.HeldError](err)
	switch {
	case ctx.Err() != nil:
		return false
	case isHeld:
		d.fail(area, fmt.Sprintf("%s has %s and does not let go of it", held.Holder(), held.Path), "see what that process does; it may hang")
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

// probed tells what came of replacing the token file by itself.
func (d *doctor) probed(probe store.Probe) {
	const area = "files"
	path := d.Config.TokenFile
	switch {
	case probe.InPlaceOnly && errors.Is(probe.Why, syscall.EBUSY):
		d.warn(area, "the token file "+path+" is a mount of its own and can only be written over in place, where a power cut can damage it", "mount its directory instead")
	case probe.InPlaceOnly:
		d.warn(area, fmt.Sprintf("the token file can only be written over in place, where a power cut can damage it: %v", probe.Why), "free some space")
	case !exists(path):
		d.ok(area, "the token file "+path+" does not exist yet, and can be saved")
	default:
		d.ok(area, "the token file "+path+" can be saved")
	}
	if probe.Narrowed != 0 {
		d.warn(area, fmt.Sprintf("others could read the token file (mode %04o); it is 0600 now", probe.Narrowed), "log in again if somebody may have read it")
	}
	if probe.OtherOwner {
		d.warn(area, fmt.Sprintf("the token file belongs to another user than this process runs as (user id %d)", os.Geteuid()), "run the agent and its commands as the same user")
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// stateFile only reads: the agent may be writing it.
func (d *doctor) stateFile() {
	const area = "files"
	path := filepath.Join(d.Config.StateDir, poll.StateFile)
	state, err := poll.ReadState(path)
	if _, damaged := errors.AsType[*store.CorruptError](err); damaged {
		d.warn(area, "the state file is damaged: "+err.Error(), "nothing: the agent keeps it aside and begins a new one; the login is not affected, a gap before its start is not filled")
		return
	}
	if errors.Is(err, fs.ErrNotExist) {
		return // before the first start
	}
	if err != nil {
		d.warn(area, "the state file cannot be used: "+err.Error()+". An agent starts without it, but does not know what was delivered before", "move "+path+" away, or let this user read it")
		return
	}
	d.instance = state.InstanceID()
	if modules, newest := state.Acknowledged(); !newest.IsZero() {
		d.ok(area, fmt.Sprintf("the backend has taken values of %s, the newest %s", words.Several(modules, "module"), words.Ago(newest, "")))
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
		d.misset(area, "the agent could not lock its directory: "+err.Error(), "choose another directory by NETATMO_TOKEN_FILE")
		return
	}
	d.running = true
	h, err := heartbeat.Read(heartbeat.Path(d.Config.TokenFile))
	switch {
	case err == nil:
		d.lately(h)
	case len(h.Hanging) > 0:
		d.fail(area, err.Error(), "restart it, and keep its log")
	default:
		d.warn(area, fmt.Sprintf("an agent runs here (%s), but %v", held.Holder(), err), "run check in the same container and with the same environment as the agent, and see whether it can write there")
	}
}

// startPatience is for the first poll and push of an agent that has just started.
const startPatience = time.Minute

// lately says when the running agent last polled and pushed.
func (d *doctor) lately(h heartbeat.Heartbeat) {
	text := fmt.Sprintf("an agent runs here (process %d, started %s); its last poll that succeeded: %s, its last push: %s",
		h.PID, words.Ago(h.Started, ""), words.Ago(h.Polled, "none yet"), words.Ago(h.Pushed, "none yet"))
	late := time.Since(h.Polled) > max(30*time.Minute, 2*d.Config.RefreshInterval) || time.Since(h.Pushed) > max(5*time.Minute, 2*d.Config.Push.Interval)
	starting := time.Since(h.Started) < startPatience && !h.Failing
	if late && !starting {
		d.warn("agent", text, "see below and in its log for the cause")
		return
	}
	d.ok("agent", text)
}
