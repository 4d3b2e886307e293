package check

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"netatmo-agent/agent/config"
	"netatmo-agent/agent/otlp"
	"netatmo-agent/agent/record"
	"netatmo-agent/agent/telemetry"
)

// push sends one point to the backend.
func (d *doctor) push(ctx context.Context) {
	const area = "push"
	p := d.Config.Push
	switch {
	case !d.settled("OTEL_"): // a push could send a secret to the wrong place
		d.warn(area, "not tried, because its settings are wrong", "see above")
		return
	case p.Exporter == config.Console:
		d.ok(area, "nothing is pushed: the metrics are printed")
		return
	case d.offset.Abs() > record.ClockTolerance:
		d.warn(area, "not tried, because the clock is wrong: a point with a wrong time could make the backend reject correct ones", "see above")
		return
	}
	start := time.Now()
	if f := otlp.Classify(d.probe(ctx)); f != nil {
		d.fail(area, f.What, f.Remedy)
		return
	}
	d.ok(area, fmt.Sprintf("the backend accepted a point (netatmo.agent.info) within %d ms", max(1, time.Since(start).Milliseconds())))
}

func (d *doctor) probe(ctx context.Context) error {
	exporter, err := otlp.New(ctx, d.Config.Push, otlp.Options{UserAgent: d.Auth.UserAgent, Logger: silent})
	if err != nil {
		return err
	}
	defer func() { _ = exporter.Shutdown(ctx) }()
	return telemetry.Probe(ctx, telemetry.Options{
		Exporter: exporter, Push: d.Config.Push, InstanceID: cmp.Or(d.instance, "check"), Version: d.Version,
	})
}
