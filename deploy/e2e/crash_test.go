package e2e

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"netatmo-agent/agent/simcloud"
)

const (
	// kills is how often the agent is killed, unless killsVariable is set.
	kills         = 240
	killsVariable = "E2E_KILLS"

	crashLanes = 6           // concurrent agents, each with its own directory and cloud
	crashLife  = time.Second // of an access token, so that most starts have to renew one
)

// The agent is killed at random moments and restarted in the same directory.
// This must lose no login unless nothing could prevent it: Netatmo has made a
// new pair and so invalidated the old one, and the new one had not yet reached
// the disk. Then nobody has used the new one, since the agent saves before it
// uses a pair.
func TestKilledAtRandomMoments(t *testing.T) {
	t.Parallel()
	total := kills
	if text := os.Getenv(killsVariable); text != "" {
		n, err := strconv.Atoi(text)
		must(t, err)
		total = n
	}
	lanes := make([]*lane, crashLanes)
	var running sync.WaitGroup
	for i := range lanes {
		l := newLane(t)
		lanes[i] = l
		running.Go(func() {
			for n := i; n < total && l.err == nil; n += crashLanes {
				l.err = l.round()
			}
		})
	}
	running.Wait()

	var sum fates
	for _, l := range lanes {
		if l.err != nil {
			t.Errorf("%v; the agent printed last:\n%s", l.err, tail(l.output.String(), 20))
			continue
		}
		l.finish()
		sum.add(l.fates)
	}
	t.Logf("%d kills: %d logins lost; %d more kills came between Netatmo's new pair and its save (%d before Netatmo had answered, %d at most %v after).",
		sum.kills, sum.lost, sum.unsent+sum.unsaved, sum.unsent, sum.unsaved, sum.latest.Round(time.Microsecond))
	t.Logf("%d kills came after a refresh of the same run, %d before or without one.", sum.renewed, sum.kills-sum.renewed-sum.unsent-sum.unsaved)
	if sum.kills != total || sum.lost > 0 {
		t.Errorf("%d logins lost by %d kills, want none by %d", sum.lost, sum.kills, total)
	}
}

// fates counts what happened to the login at each kill.
type fates struct {
	kills   int
	lost    int           // although it could have been kept
	unsent  int           // lost with an answer that was not sent yet
	unsaved int           // lost with an answer that was sent, but not saved yet
	latest  time.Duration // from sending such an answer to the kill
	renewed int           // kept, after it was renewed
}

func (f *fates) add(o fates) {
	f.kills += o.kills
	f.lost += o.lost
	f.unsent += o.unsent
	f.unsaved += o.unsaved
	f.latest = max(f.latest, o.latest)
	f.renewed += o.renewed
}

// lane is an agent that is killed repeatedly.
type lane struct {
	*rig
	fates
	output bytes.Buffer // of the latest run
	killed time.Time
	err    error
}

func newLane(t *testing.T) *lane {
	t.Helper()
	r := newRig(t, simcloud.Options{TokenLife: crashLife})
	r.put(r.grant(crashLife))
	return &lane{rig: r}
}

// round starts the agent, kills it, and determines what happened to the login.
// It replaces a lost one.
func (l *lane) round() error {
	time.Sleep(rand.N(crashLife)) // the token may or may not have expired
	if rand.N(4) == 0 {
		l.cloud.Inject(simcloud.Fault{Kind: simcloud.TokenExpired})
	}
	before := len(l.cloud.Auth().Stats().Issued)
	if err := l.runAndKill(); err != nil {
		return err
	}
	l.cloud.Heal()
	if err := l.door.settle(); err != nil {
		return err
	}
	l.kills++
	return l.judge(before)
}

// runAndKill kills the agent some time after its start, or just after Netatmo
// has answered a refresh, when the agent is about to save. Both times are
// random within the period in which something happens.
func (l *lane) runAndKill() error {
	const whole, saving = 250 * time.Millisecond, 12 * time.Millisecond
	select {
	case <-l.door.answered: // from the previous round
	default:
	}
	l.output.Reset()
	cmd := exec.Command(AgentBinary(l.t), l.args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = l.Env.list(), &l.output, &l.output
	if err := cmd.Start(); err != nil {
		return err
	}
	if rand.N(3) == 0 {
		time.Sleep(rand.N(whole))
	} else {
		select {
		case <-l.door.answered:
			time.Sleep(rand.N(1 + rand.N(saving))) // sooner is more likely
		case <-time.After(2 * whole):
		}
	}
	l.killed = time.Now()
	err := cmd.Process.Kill()
	_ = cmd.Wait() // killed
	return err
}

// judge compares what is on the disk with the pairs that the cloud has made;
// before is their number before the latest run.
func (l *lane) judge(before int) error {
	issued := l.cloud.Auth().Stats().Issued
	newest := issued[len(issued)-1]
	content, err := os.ReadFile(l.TokenFile())
	if err != nil {
		return err
	}
	switch disk := parse(string(content)); {
	case disk.holds(newest.Pair):
		if len(issued) > before {
			l.renewed++
		}
		return nil
	case len(issued) == before || !disk.holds(issued[len(issued)-2].Pair) || l.door.wasUsed(newest.Access):
		l.lost++
		l.t.Errorf("a login was lost: %d pairs made by the latest run, the newest one used already: %v, the one before on the disk: %v. The file holds %d bytes, the agent printed last:\n%s",
			len(issued)-before, l.door.wasUsed(newest.Access), len(issued) > 1 && disk.holds(issued[len(issued)-2].Pair), len(content), tail(l.output.String(), 20))
	case l.killed.Before(l.door.lastAnswer()):
		l.unsent++
	default:
		l.unsaved++
		l.latest = max(l.latest, l.killed.Sub(l.door.lastAnswer()))
	}
	l.put(l.grant(crashLife))
	return nil
}

// finish checks that the login still works, and that no files are left over.
func (l *lane) finish() {
	l.t.Helper()
	l.start()
	l.works()
	l.stop()
	if !l.saved() || l.refused() != 0 {
		l.t.Errorf("the valid login is on the disk: %v; %d refreshes with a dead token, want none", l.saved(), l.refused())
	}
	entries, err := os.ReadDir(filepath.Dir(l.TokenFile()))
	must(l.t, err)
	for _, e := range entries {
		switch e.Name() {
		case "token.json", "token.lock", "agent.lock", "state.json":
		default:
			l.t.Errorf("%s is left over", e.Name())
		}
	}
}
