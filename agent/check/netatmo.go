package check

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"netatmo-agent/agent/poll"
	"netatmo-agent/agent/words"
)

const (
	answerPatience = 20 * time.Second
	// A clock that is kept by NTP is never this far off.
	clockDoubt = 20 * time.Second
)

const howToSetClock = "set the time, or let NTP do so (timedatectl set-ntp true)"

// netatmo asks Netatmo for the time, which needs no login. It reports whether
// there was an answer.
func (d *doctor) netatmo(ctx context.Context) bool {
	const area = "netatmo"
	if !d.settled("NETATMO_API_URL", "--api-url") {
		return false
	}
	status, sent, local, err := dateOf(ctx, d.Config.APIURL, d.Auth.UserAgent)
	if certificate, ok := errors.AsType[x509.CertificateInvalidError](err); ok && certificate.Reason == x509.Expired {
		d.fail("clock", "the clock of this machine is wrong, or somebody else answers in Netatmo's place: "+err.Error(), howToSetClock)
		return false
	}
	if err != nil {
		d.fail(area, fmt.Sprintf("no answer from %s: %v", d.Config.APIURL, err), "check network, DNS, proxy and firewall; once Netatmo is there again the agent fetches what it missed")
		return false
	}
	if status >= 500 {
		d.warn(area, fmt.Sprintf("%s answers, but with HTTP %d", d.Config.APIURL, status), "wait: that passes")
	} else {
		d.ok(area, d.Config.APIURL+" answers")
	}
	d.clock(sent, local)
	return true
}

// dateOf returns the status and the time of an answer of base, and the local
// time at that moment.
func dateOf(ctx context.Context, base, userAgent string) (status int, sent, local time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerPatience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/", nil)
	if err != nil {
		return 0, sent, local, err
	}
	req.Header.Set("User-Agent", userAgent)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	start := time.Now()
	resp, err := client.Do(req)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err
		}
		return 0, sent, local, err
	}
	defer resp.Body.Close()
	local = start.Add(time.Since(start) / 2)
	_, _ = io.CopyN(io.Discard, resp.Body, 4096)
	if sent, err = http.ParseTime(resp.Header.Get("Date")); err == nil {
		sent = sent.Add(time.Second / 2) // it comes in whole seconds
	}
	return resp.StatusCode, sent, local, nil
}

func (d *doctor) clock(sent, local time.Time) {
	const area = "clock"
	if sent.IsZero() {
		d.warn(area, "Netatmo's answer has no time", "see whether a proxy answers in its place, and whether the clock of this machine is right")
		return
	}
	d.offset = local.Sub(sent)
	off := d.offset.Abs().Round(time.Second)
	direction := "ahead of"
	if d.offset < 0 {
		direction = "behind"
	}
	switch text := fmt.Sprintf("the clock of this machine is %s %s Netatmo's", words.Span(off), direction); {
	case off > poll.ClockTolerance:
		d.fail(area, text+", so nothing is pushed", howToSetClock)
	case off > clockDoubt:
		d.warn(area, text, howToSetClock)
	default:
		d.ok(area, "the clock of this machine agrees with Netatmo's")
	}
}
