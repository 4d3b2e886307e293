package e2e

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// atOnceEach runs the cases as subtests, atATime of them concurrently, whatever
// the number of processors.
func atOnceEach[C fmt.Stringer](t *testing.T, cases []C, atATime int, run func(*testing.T, C)) {
	t.Helper()
	turn := make(chan struct{}, atATime)
	var wg sync.WaitGroup
	for _, c := range cases {
		turn <- struct{}{}
		wg.Go(func() {
			defer func() { <-turn }()
			t.Run(c.String(), func(t *testing.T) { run(t, c) })
		})
	}
	wg.Wait()
}

// result is a line of the table.
type result struct {
	verdict
	firstPush time.Duration // from the end of the outage
	silence   time.Duration // longest of a series without a gap, while it could be pushed
}

func (r *chain) check(res result, sensors int) {
	r.t.Helper()
	for _, f := range res.faults {
		r.t.Error(f)
	}
	if res.present != res.expected || res.duplicated > 0 || res.outOfPlace > 0 {
		r.t.Errorf("of %d samples %d are present; %d points are duplicates, %d are misplaced",
			res.expected, res.present, res.duplicated, res.outOfPlace)
	}
	if res.series != sensors {
		r.t.Errorf("%d series of %d sensors", res.series, sensors)
	}
}

// firstAfter is how long after t the first point arrived.
func firstAfter(stored []Series, t time.Time) time.Duration {
	first := time.Duration(-1)
	for _, s := range stored {
		if s.Labels["__name__"] != "netatmo_agent_info" {
			continue
		}
		for _, p := range s.Samples {
			if d := p.Time.Sub(t); d >= 0 && (first < 0 || d < first) {
				first = d
			}
		}
	}
	return first
}

// table collects the results of cases.
type table struct {
	mu   sync.Mutex
	rows []string
}

func (x *table) add(name string, r result) {
	x.mu.Lock()
	defer x.mu.Unlock()
	seconds := func(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
	x.rows = append(x.rows, fmt.Sprintf("%-60s %8d %8d %6d %6d %9s %10s %9s", name, r.expected, r.present, r.duplicated, r.outOfPlace,
		seconds(r.heldBack), seconds(r.firstPush), seconds(r.silence)))
}

// String has a line for each case.
func (x *table) String() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	slices.Sort(x.rows)
	head := fmt.Sprintf("%-60s %8s %8s %6s %6s %9s %10s %9s", "case", "expected", "present", "twice", "astray", "held back", "first push", "silence")
	return strings.Join(append([]string{head}, x.rows...), "\n")
}
