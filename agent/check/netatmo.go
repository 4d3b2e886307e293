package check

import (
	"context"
	"errors"
	"fmt"
	"time"

	"netatmo-agent/agent/humanize"
	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/record"
)

const (
	answerPatience = 20 * time.Second
	// A clock synchronised by NTP is never this far off.
	clockDoubt = 20 * time.Second
)

const howToSetClock = "set the time, or let NTP set it (timedatectl set-ntp true)"

// netatmo requests the time from Netatmo, which needs no login. It reports
// whether there was an answer.
func (d *doctor) netatmo(ctx context.Context) bool {
	const area = "netatmo"
	if !d.settled("NETATMO_API_URL") {
		return false
	}
	limited, cancel := context.WithTimeout(ctx, answerPatience)
	defer cancel()
	status, sent, local, err := d.Client(nil).Time(limited)
	if failed, ok := errors.AsType[*netatmo.Error](err); ok {
		d.fail(area, failed.What(), failed.Remedy())
		return false
	}
	if status >= 500 {
		d.warn(area, fmt.Sprintf("%s answers, but with HTTP %d", d.Config.APIURL, status), "wait; this is usually temporary")
	} else {
		d.ok(area, d.Config.APIURL+" answers")
	}
	d.clock(sent, local)
	return true
}

func (d *doctor) clock(sent, local time.Time) {
	const area = "clock"
	if sent.IsZero() {
		d.warn(area, "Netatmo's answer has no time", "check whether a proxy answers instead of Netatmo, and whether this machine's clock is right")
		return
	}
	d.offset = local.Sub(sent)
	off := d.offset.Abs().Round(time.Second)
	direction := "ahead of"
	if d.offset < 0 {
		direction = "behind"
	}
	switch text := fmt.Sprintf("this machine's clock is %s %s Netatmo's", humanize.Duration(off), direction); {
	case off > record.ClockTolerance:
		d.fail(area, text+", so nothing is pushed", howToSetClock)
	case off > clockDoubt:
		d.warn(area, text, howToSetClock)
	default:
		d.ok(area, "this machine's clock agrees with Netatmo's")
	}
}
