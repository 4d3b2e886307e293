package history

import (
	"time"

	"netatmo-agent/agent/netatmo"
)

// measureStep is how often a module measures, for estimates.
const measureStep = 5 * time.Minute

// Plan is a backfill's work. Requests and points are estimates: Netatmo does not
// say how much it keeps.
type Plan struct {
	Modules  []ModulePlan
	Requests int
	Points   int // values of sensors
}

// Duration returns how long the requests take at perHour requests an hour.
func (p Plan) Duration(perHour int) time.Duration {
	return time.Duration(p.Requests) * time.Hour / time.Duration(perHour)
}

// ModulePlan is a module with history.
type ModulePlan struct {
	netatmo.Reading
	Name    string        // for people: with what distinguishes it from others of that name
	Missing time.Duration // requested, but not delivered yet
}

// Progress is a backfill's progress.
type Progress struct {
	Done, Total time.Duration // of history, over all modules
	At          time.Time     // everything before this is delivered
	Requests    int
	Points      int // values of sensors that were delivered
}

// Plan returns what is left to do.
func (b *Backfill) Plan() Plan {
	p := Plan{Modules: b.plan}
	for _, w := range b.windows {
		step, columns := measureStep, len(b.cfg.History(w.identities[0].ModuleType))
		if w.meter != netatmo.NoMeter {
			step, columns = netatmo.Bucket, 1
		}
		samples := int(w.to.Sub(w.done)/step) + 1
		p.Points += samples * columns * len(w.identities)
		p.Requests += (samples + netatmo.PageRows - 1) / netatmo.PageRows
	}
	return p
}

// Readings returns the modules with history, as they were at the start.
func (b *Backfill) Readings() (all []netatmo.Reading) {
	for _, m := range b.plan {
		all = append(all, m.Reading)
	}
	return all
}

// now returns the progress so far.
func (b *Backfill) now() Progress {
	p := b.progress
	p.At, p.Done = b.cfg.Until, p.Total
	for _, w := range b.windows {
		if w.done.Before(w.to) {
			p.Done -= w.to.Sub(w.done)
			if w.done.Before(p.At) {
				p.At = w.done
			}
		}
	}
	return p
}
