package e2e

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"netatmo-agent/agent/simcloud"
)

// backfillCase is a backfill of 30 days into a backend.
type backfillCase struct {
	setup
	// beside: an agent runs during the backfill, else one starts afterwards.
	// Without an out-of-order window, its live points would make the backend
	// refuse all history.
	beside      bool
	interrupted bool
}

var backfillCases = []backfillCase{
	{setup{way: grpcCollector, backend: prometheusShipped}, true, false},
	{setup{way: httpsGateway, backend: prometheusShipped, attributes: attributes[1]}, true, true},
	{setup{way: httpDirect, backend: victoria}, true, true},
	{setup{way: httpDirect, backend: prometheusNoWindow}, false, false},
	{setup{way: httpCollector, backend: prometheusNoWindow}, false, true},
}

func (c backfillCase) String() string { return "30d/" + c.setup.String() }

// backfillTime is much longer than a backfill of 30 days takes: about 60 pages,
// at most one in five seconds.
const backfillTime = 10 * time.Minute

// TestBackfill checks what a backend has after a backfill of 30 days, at the
// real cadence. An interrupted backfill resumes where it stopped.
func TestBackfill(t *testing.T) {
	t.Parallel()
	var results table
	atOnceEach(t, backfillCases, len(backfillCases), func(t *testing.T, c backfillCase) {
		t.Helper()
		results.add(c.String(), runBackfill(t, c))
	})
	t.Logf("\n%s", &results)
}

func runBackfill(t *testing.T, c backfillCase) result {
	t.Helper()
	r := newChain(t, c.setup, simcloud.Options{}, Env{"NETATMO_DEVICES": "weather,homecoach,energy", "OTEL_METRIC_EXPORT_INTERVAL": "2000"})
	sensors := sensorsOf(t, r.cloud)
	begin, newest := time.Now(), r.newest(sensors)
	startAgent := func() {
		started := time.Now()
		r.agent.Start()
		r.eventually("pushes every sensor", time.Minute, func() bool { return pushedAfter(r.stored(), sensors, started) })
	}
	if c.beside {
		startAgent()
	}
	delivered, refused := 0, 0
	for _, interrupt := range map[bool][]bool{false: {false}, true: {true, false}}[c.interrupted] {
		d, f := r.backfill(interrupt)
		delivered, refused = delivered+d, refused+f
	}
	if !c.beside {
		startAgent()
	}

	stored := r.stored()
	x := r.truth()
	x.mark, x.hole = begin.Add(-30*24*time.Hour+time.Minute), time.Hour
	res := result{firstPush: firstAfter(stored, begin)}
	for i, s := range sensors {
		x.until = newest[i]
		v := x.judge(s, stored)
		if want := int(min(30*24*time.Hour, r.horizon()) / (5 * time.Minute)); v.expected < want*49/50-3 {
			v.fault("%s: %d samples, want about %d", s, v.expected, want)
		}
		res.add(v)
	}
	if window := c.backend != prometheusNoWindow; window && (refused > 0 || delivered < res.expected) || !window && refused == 0 {
		res.fault("%d points delivered and %d refused, of %d", delivered, refused, res.expected)
	}
	var which string
	if res.silence, which = (outageCase{setup: c.setup}).silence(stored, begin, time.Now()); c.beside && res.silence > atOnce {
		res.fault("silent for %v: %s", res.silence, which)
	}
	r.check(res, len(sensors))
	return res
}

var backfillSummary = regexp.MustCompile(`(\d+) points delivered, (\d+) refused by the backend`)

// backfill runs the command until it exits, or interrupts it, and returns the
// counts that it prints.
func (r *chain) backfill(interrupt bool) (delivered, refused int) {
	r.t.Helper()
	p := startProcess(r.t, r.agent.Env, AgentBinary(r.t), "backfill", "--since", "30d")
	if interrupt {
		p.WaitLog(" to go")
		p.Signal(syscall.SIGINT)
	}
	for deadline := time.Now().Add(backfillTime); p.Running(); time.Sleep(time.Second) {
		if time.Now().After(deadline) {
			r.t.Fatalf("backfill did not end within %v", backfillTime)
		}
	}
	want := map[bool]int{false: 0, true: 1}[interrupt]
	if code := p.Wait(); code != want || strings.Contains(p.Log(), "interrupted; run the same command again") != interrupt {
		r.t.Errorf("backfill: exit code %d, interrupted: %t; it says:\n%s", code, interrupt, p.Output()+p.Log())
	}
	m := backfillSummary.FindStringSubmatch(p.Output())
	if m == nil {
		r.t.Fatalf("backfill does not say what was delivered:\n%s", p.Output()+p.Log())
	}
	number := func(s string) int {
		n, err := strconv.Atoi(s)
		if err != nil {
			r.t.Fatal(fmt.Errorf("backfill's summary: %w", err))
		}
		return n
	}
	return number(m[1]), number(m[2])
}
