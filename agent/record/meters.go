package record

import (
	"cmp"
	"slices"
	"time"

	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/outage"
)

const (
	// Settle is how long after its end a bucket of a meter may still grow, as
	// observed, while its gateway is online.
	Settle = 2 * time.Hour
	// meterEvery is the shortest time between two requests for a meter.
	meterEvery = time.Hour
	// meterAtLeast is how much of a meter's history counts as its present, however
	// short NETATMO_BACKFILL is.
	meterAtLeast = 2*meterEvery + netatmo.Bucket
)

// meter is the state of a meter's deliveries, besides its mark: the end of the last
// bucket that the backend has. Its amounts are only in Netatmo's history, so it is
// always owed what is newer than the mark. A mark moves only to buckets that
// Netatmo gave, because a gateway that was offline uploads them late.
type meter struct {
	module   string
	kind     netatmo.Meter
	due      time.Time
	failures int // requests that failed in a row
	refusals int // requests in a row that Netatmo refused
}

// Settled returns the end of the last bucket of a meter that no longer grows.
func Settled(now time.Time) time.Time { return now.Add(-Settle).Truncate(netatmo.Bucket) }

// findMeter notes the meter of x. The history of a new one begins now. It reports
// whether the meter is new.
func (r *Record) findMeter(x netatmo.Reading) bool {
	if !r.cfg.Meters || x.Meter == netatmo.NoMeter || r.meters[x.ModuleID] != nil {
		return false
	}
	r.meters[x.ModuleID] = &meter{module: x.ModuleID, kind: x.Meter}
	if _, known := r.state.meter(x.ModuleID); !known {
		r.state.setMeter(x.ModuleID, x.Answered)
		signal(r.unsaved)
	}
	return true
}

// owedMeters returns the windows of the meters that are due, the one furthest
// behind first, and how long until another one is.
func (r *Record) owedMeters() (due []Window, wait time.Duration) {
	now, settled := time.Now(), Settled(r.clock.now())
	oldest := settled.Add(-max(r.cfg.MaxGap, meterAtLeast))
	wait = time.Hour
	for _, m := range r.meters {
		mark, _ := r.state.meter(m.module)
		if mark = later(mark, oldest); !settled.After(mark) {
			wait = min(wait, mark.Truncate(netatmo.Bucket).Add(netatmo.Bucket+Settle).Sub(r.clock.now()))
		} else if d := m.due.Sub(now); d > 0 {
			wait = min(wait, d)
		} else {
			due = append(due, Window{ID: m, Module: m.module, From: mark, To: settled, Cadence: netatmo.Bucket, Meter: m.kind})
		}
	}
	slices.SortFunc(due, func(a, b Window) int {
		return cmp.Or(cmp.Compare(a.ID.(*meter).failures, b.ID.(*meter).failures), a.From.Compare(b.From), cmp.Compare(a.Module, b.Module)) //nolint:errcheck // made above
	})
	return due, max(wait, time.Second)
}

// PaidMeter notes that the backend has taken the buckets that end at these times,
// or refused them for good. whole reports whether Netatmo has no more.
func (r *Record) PaidMeter(x Window, buckets []time.Time, whole bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m, present := r.findOwed(x)
	if !present {
		return
	}
	m.failures, m.refusals = 0, 0
	if n := len(buckets); n > 0 {
		r.state.setMeter(m.module, buckets[n-1])
		signal(r.unsaved)
	}
	if whole {
		m.due = time.Now().Add(meterEvery)
	}
}

// refusedMeter asks for a meter less and less often, once a day at last.
func (r *Record) refusedMeter(m *meter, err error) {
	m.refusals++
	m.due = time.Now().Add(max(meterEvery, outage.Backoff(m.refusals, meterEvery, 24*time.Hour)))
	if m.refusals == mostDoubts {
		r.cfg.Logger.Warn("Netatmo refuses a meter's history; asking again once a day", "module", r.name(m.module), "error", err)
	}
}

func (r *Record) findOwed(x Window) (*meter, bool) {
	m, ok := x.ID.(*meter)
	return m, ok && r.meters[x.Module] == m
}
