package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"
)

// The README alone leads from a clone to a filled dashboard: after its commands
// for the demo, every panel has data, and the query's result is the one that it
// shows.
func TestReadmeLeadsToAFilledDashboard(t *testing.T) {
	t.Parallel()
	var run []block
	for _, b := range commands(t, "README.md") {
		if strings.Contains(b.text, "--profile demo up") {
			run = append(run, b, block{"dashboard", 1, "sh", "dashboard-is-filled\n"})
			break
		}
	}
	w := newWorld(t, t.TempDir())
	out, err := w.run(run)
	if err != nil || len(w.finished()) != 2 {
		t.Fatalf("%v, finished %v:\n%s", err, w.finished(), out)
	}
	if b := readBoard(t); !strings.Contains(prose(t, "README.md"), "<http://localhost:3000/d/"+b.UID+"?from=now-15m&") {
		t.Errorf("the README has no link to the dashboard %s and the time of the demo", b.UID)
	}
	shown := 0
	for _, b := range fenced(t, "README.md") {
		for line := range strings.Lines(b.text) {
			series, _, ok := strings.Cut(line, " => ")
			if !ok {
				continue
			}
			shown++
			if !strings.Contains(out, series+" => ") {
				t.Errorf("%s shows %s, Prometheus answers\n%s", b, series, out)
			}
		}
	}
	if shown == 0 {
		t.Error("the README shows no answer")
	}
}

// dashboardIsFilled queries the Prometheus of the world for the panels of the
// dashboard until all have data, except for daily bars, which need more time
// than a demo.
func dashboardIsFilled(*world, []string) error {
	text, err := os.ReadFile("deploy/grafana/netatmo.json")
	if err != nil {
		return err
	}
	var b board
	if err := json.Unmarshal(text, &b); err != nil {
		return err
	}
	var empty []string
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		empty = nil
		for _, p := range b.Panels {
			for _, q := range p.Targets {
				if p.Interval == "1d" {
					continue
				}
				series, err := answerOf(b.fill(q.Expr, nil), q.Instant)
				if err != nil {
					return fmt.Errorf("panel %q: %w", p.Title, err)
				}
				if series == 0 {
					empty = append(empty, fmt.Sprintf("%q has no data for %s", p.Title, q.Expr))
				}
			}
		}
		if len(b.Panels) > 0 && len(empty) == 0 {
			return nil
		}
	}
	return fmt.Errorf("of %d panels:\n%s", len(b.Panels), strings.Join(empty, "\n"))
}

// answerOf counts the series of a query's result as its panel runs it, over the
// 15 minutes that the README's link shows.
func answerOf(expr string, instant bool) (series int, err error) {
	now := time.Now()
	path, form := "query", url.Values{"query": {expr}}
	if !instant {
		path = "query_range"
		form.Set("start", unixText(now.Add(-15*time.Minute)))
		form.Set("end", unixText(now))
		form.Set("step", "60")
	}
	resp, err := http.PostForm("http://localhost:9090/api/v1/"+path, form)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	var answer struct {
		Error string
		Data  struct{ Result []any }
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return 0, err
	}
	if answer.Error != "" {
		return 0, fmt.Errorf("%s: %s", expr, answer.Error)
	}
	return len(answer.Data.Result), nil
}
