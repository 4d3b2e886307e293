// Package attack tests the real agent binary against hostile servers, proxies,
// visitors of the login pages, disks and clocks. Each attack starts its own
// agent, waits for readings, attacks, stops, and measures memory, log, lost
// logins and the time until the next reading. To run all attacks and print the
// table of results, in deploy/e2e:
//
//	go test -count=1 -v -timeout 20m ./attack
//
// All traffic stays on loopback. The tests need root and strace.
package attack

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// The bounds that every attack must respect.
const (
	mostMemory = 40 << 20         // bytes, resident, at its peak
	mostLog    = 64 << 10         // bytes, of the whole run
	longest    = 4 << 10          // bytes, of one line of log
	silence    = 60 * time.Second // from the end of an attack to the next reading
)

// TestMain runs more attacks in parallel than there are cores, since they mostly
// wait.
func TestMain(m *testing.M) {
	flag.Parse()
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if !chosen {
		if err := flag.Set("test.parallel", "12"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	}
	os.Exit(m.Run())
}

// attack is one way to attack an agent.
type attack struct {
	way  string // what it attacks, such as "polls"
	name string
	run  func(s *scene)
}

func attacks() []attack {
	return slices.Concat(
		talkAttacks(), grpcAttacks(), floodAttacks(), proxyAttacks(), flapAttacks(),
		answerAttacks(), sizeAttacks(), clockAttacks(), fileAttacks(), diskAttacks(), faultAttacks(),
		signalAttacks(), pageAttacks(), logAttacks(),
	)
}

// TestAttacks runs every attack, checks the bounds and prints the table.
func TestAttacks(t *testing.T) {
	begin := time.Now()
	tab := &table{}
	t.Cleanup(func() { t.Logf("%d attacks in %v\n%s", len(tab.rows), time.Since(begin).Round(time.Second), tab) })
	t.Run("crowds", func(t *testing.T) { // one after another: each takes half of the descriptors
		t.Parallel()
		for _, a := range crowdAttacks() {
			t.Run(a.name, func(t *testing.T) { tab.run(t, a) })
		}
	})
	for _, a := range attacks() {
		t.Run(a.way+": "+a.name, func(t *testing.T) {
			t.Parallel()
			tab.run(t, a)
		})
	}
}

// row is the result of an attack.
type row struct {
	attack   string
	memory   int64 // bytes, at the peak
	log      int   // bytes
	line     int   // bytes, of the longest
	lost     int   // logins
	recovery time.Duration
}

// check reports every bound that r breaks. mostMemory is the bound of most
// attacks.
func (r row) check(t *testing.T, mostMemory int64) {
	t.Helper()
	if r.memory > mostMemory {
		t.Errorf("peak memory is %.1f MiB, want at most %.0f", mib(r.memory), mib(mostMemory))
	}
	if r.log > mostLog {
		t.Errorf("the log is %d bytes long, want at most %d", r.log, mostLog)
	}
	if r.line >= longest {
		t.Errorf("a line of the log is %d bytes long, want less than %d", r.line, longest)
	}
	if r.lost > 0 {
		t.Errorf("%d logins are lost, want none", r.lost)
	}
	if r.recovery > silence {
		t.Errorf("the next reading comes %v after the attack, want at most %v", r.recovery, silence)
	}
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

// table collects the rows of attacks that run concurrently.
type table struct {
	mu   sync.Mutex
	rows []row
}

// run runs an attack and adds its result.
func (tab *table) run(t *testing.T, a attack) {
	t.Helper()
	s := newScene(t)
	a.run(s)
	r := s.judge()
	r.attack = a.way + ": " + a.name
	tab.add(r)
}

func (tab *table) add(r row) {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	tab.rows = append(tab.rows, r)
}

// String lists the rows by name.
func (tab *table) String() string {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	slices.SortFunc(tab.rows, func(a, b row) int { return strings.Compare(a.attack, b.attack) })
	var b strings.Builder
	const format = "| %-72s | %12s | %9s | %12s | %11s | %19s |\n"
	fmt.Fprintf(&b, format, "attack", "peak memory", "log bytes", "longest line", "lost logins", "s until next reading")
	fmt.Fprintf(&b, format, strings.Repeat("-", 72), "---", "---", "---", "---", "---")
	for _, r := range tab.rows {
		next := "-"
		if r.recovery > 0 {
			next = fmt.Sprintf("%.1f", r.recovery.Seconds())
		}
		fmt.Fprintf(&b, format, r.attack, fmt.Sprintf("%.1f MiB", mib(r.memory)), fmt.Sprint(r.log), fmt.Sprint(r.line), fmt.Sprint(r.lost), next)
	}
	return b.String()
}
