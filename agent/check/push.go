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
	if f := telemetry.Classify(d.probe(ctx)); f != nil {
		d.fail(area, f.What, f.Remedy)
		return
	}
	d.ok(area, fmt.Sprintf("the backend took a point (netatmo.agent.info) within %d ms", max(1, time.Since(start).Milliseconds())))
}

func (d *doctor) probe(ctx context.Context) error {
	exporter, err := telemetry.NewExporter(ctx, d.Config.Push, telemetry.ExporterOptions{UserAgent: d.Auth.UserAgent, Logger: silent})
	if err != nil {
		return err
	}
	defer func() { _ = exporter.Shutdown(ctx) }()
	return telemetry.Probe(ctx, telemetry.Options{
		Exporter: exporter, Push: d.Config.Push, InstanceID: cmp.Or(d.instance, "check"), Version: d.Version,
	})
}
