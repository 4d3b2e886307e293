package auth

import (
	"context"
	"fmt"
	"testing"
	"time"

	"netatmo-agent/auth/authtest"
)

// storeFault is how the disk behaves around a refresh of the pair old.
type storeFault struct {
	name   string
	fails  func(d, old document) bool
	effect bool
}

func isOld(d, old document) bool { return d.Refresh == old.Refresh }
func isNew(d, old document) bool { return d.Refresh != old.Refresh }

var storeFaults = []storeFault{
	{name: "store ok"},
	{name: "proof fails", fails: isOld},
	{name: "proof fails but takes effect", fails: isOld, effect: true},
	{name: "save fails", fails: isNew},
	{name: "save fails but takes effect", fails: isNew, effect: true},
}

var serverFaults = map[string]*authtest.Fault{
	"server ok":          nil,
	"slow":               {Kind: authtest.Slow, Delay: 20 * time.Second},
	"slower than we are": {Kind: authtest.Slow, Delay: 40 * time.Second},
	"403":                {Kind: authtest.Refuse},
	"429":                {Kind: authtest.HTML429},
	"500":                {Kind: authtest.HTML500},
	"503":                {Kind: authtest.HTML503, Delay: 5 * time.Second},
	"504":                {Kind: authtest.HTML504},
	"hangs up":           {Kind: authtest.HangUp},
	"answer lost":        {Kind: authtest.LostAnswer},
	"answer cut off":     {Kind: authtest.Truncated},
	"invalid_grant":      {Kind: authtest.InvalidGrant},
	"invalid_request":    {Kind: authtest.InvalidRequest},
	"invalid_client":     {Kind: authtest.InvalidClient},
	"too many":           {Kind: authtest.TooManyConnections},
	"more scopes":        {Kind: authtest.ScopeSuperset},
}

// Combines faults of Netatmo, of the disk and of the caller: every pair that
// the agent received is on the disk or reported as unsaved, and after a restart
// the login works if and only if the pair on the disk is the valid one.
func TestFaultTable(t *testing.T) {
	for name, fault := range serverFaults {
		for _, disk := range storeFaults {
			for _, cancelled := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %s, cancelled %v", name, disk.name, cancelled), func(t *testing.T) {
					inBubble(t, authtest.Options{}, func(r *rig) { faultCell(r, fault, disk, cancelled) })
				})
			}
		}
	}
}

func faultCell(r *rig, fault *authtest.Fault, disk storeFault, cancelled bool) {
	p := r.server.Grant()
	r.putPair(p, -time.Minute)
	old := document{Access: p.Access, Refresh: p.Refresh}
	r.faults = &faultyFile{effect: disk.effect}
	if disk.fails != nil {
		r.faults.fails = func(d document) bool { return disk.fails(d, old) }
	}
	if fault != nil {
		r.server.Inject(*fault)
	}

	s := r.open()
	ctx, cancel := context.WithCancel(r.Context())
	if cancelled {
		ctx, cancel = context.WithTimeout(ctx, time.Second)
	}
	access, err := s.Token(ctx)
	cancel()
	if err == nil && access != r.server.Current().Access {
		r.Errorf("Token returned an invalid token")
	}
	received := r.receivedIsSafe(s, 1)
	if disk.name == "proof fails" && r.asked() > 0 {
		r.Error("requested a pair that could not be saved")
	}
	if received && err != nil {
		r.Errorf("a new pair arrived, but Token returned %v", err)
	}

	// The process crashes here, and the next one reads the file as it is.
	time.Sleep(time.Second)
	r.faults = nil
	r.server.Heal()
	before := len(r.server.Stats().Issued)
	living := r.onDisk(r.server.Current())
	next := r.open()
	stop := r.run(next)
	time.Sleep(15 * time.Minute)
	if st := next.Status(); st.Authorized != living {
		r.Errorf("the valid pair is on the disk: %v, but the login works: %v", living, st.Authorized)
	} else if living {
		r.token(next)
	}
	r.receivedIsSafe(next, before)
	stop()
}

// receivedIsSafe checks that the newest pair is on the disk or reported as
// unsaved, if its answer arrived and it is not one of the first known pairs.
func (r *rig) receivedIsSafe(s *Source, known int) (received bool) {
	r.Helper()
	issued := r.server.Stats().Issued
	newest := issued[len(issued)-1]
	if len(issued) == known || !newest.Answered {
		return false
	}
	st := s.Status()
	switch {
	case r.onDisk(newest.Pair):
	case !st.Unsaved || s.current().Access != newest.Access:
		r.Errorf("a pair was received, but it is neither on the disk nor reported: %+v", st)
	default:
		r.wantLogged("ERROR", "exists only in memory")
	}
	return true
}
