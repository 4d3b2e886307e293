package check

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"netatmo-agent/agent/config"
	"netatmo-agent/agent/poll"
	"netatmo-agent/agent/telemetry"
)

// push sends one point to the backend.
func (d *doctor) push(ctx context.Context) {
	const area = "push"
	p := d.Config.Push
	switch {
	case !d.settled("OTEL_"): // it might send a secret where it must not go
		d.warn(area, "not tried, because its settings are wrong", "see above")
		return
	case p.Exporter == config.Console:
		d.ok(area, "nothing is pushed: the metrics are printed")
		return
	case d.offset.Abs() > poll.ClockTolerance:
		d.warn(area, "not tried, because the clock is wrong: a point of another time could keep the right ones out", "see above")
		return
	}
	start := time.Now()
	err := telemetry.Probe(ctx, p, cmp.Or(d.instance, "check"), d.Version, silent)
	if f := telemetry.Classify(err); f != nil {
		d.fail(area, f.What, f.Remedy)
		return
	}
	d.ok(area, fmt.Sprintf("the backend took a point (netatmo.agent.info) within %d ms", max(1, time.Since(start).Milliseconds())))
}
