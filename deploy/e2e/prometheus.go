package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Prometheus is a Prometheus server with deploy/prometheus.yaml. The embedded
// Process is its current or latest run; it can be restarted with the same data.
type Prometheus struct {
	*Process
	URL string

	t    testing.TB
	args []string
}

// AsShipped is the out-of-order window of deploy/prometheus.yaml.
const AsShipped time.Duration = -1

var windowSetting = regexp.MustCompile(`(out_of_order_time_window): \w+`)

// NewPrometheus prepares a Prometheus with an out-of-order window; 0 is
// Prometheus' own default. It scrapes itself, as is usual, so that the newest
// sample of its database is never older than a second.
func NewPrometheus(t testing.TB, window time.Duration) *Prometheus {
	t.Helper()
	addr, dir := FreeAddr(t), t.TempDir()
	b, err := os.ReadFile(Source(t, "deploy", "prometheus.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	config := replaceOnce(t, string(b), "localhost:9090", addr)
	config = replaceOnce(t, config, "scrape_interval: 30s", "scrape_interval: 1s")
	if window != AsShipped {
		setting := windowSetting.FindString(config)
		config = replaceOnce(t, config, setting, fmt.Sprintf("out_of_order_time_window: %ds", int(window.Seconds())))
	}
	file := filepath.Join(dir, "prometheus.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return &Prometheus{URL: "http://" + addr, t: t, args: []string{
		"--config.file=" + file,
		"--storage.tsdb.path=" + filepath.Join(dir, "data"),
		"--web.listen-address=" + addr,
		"--web.enable-otlp-receiver",
		"--log.level=warn",
	}}
}

func replaceOnce(t testing.TB, s, old, replacement string) string {
	t.Helper()
	if old == "" || strings.Count(s, old) != 1 {
		t.Fatalf("%q is not exactly once in a shipped file", old)
	}
	return strings.Replace(s, old, replacement, 1)
}

// Promote makes a label of a resource attribute.
func (p *Prometheus) Promote(attribute string) {
	p.t.Helper()
	file := strings.TrimPrefix(p.args[0], "--config.file=")
	b, err := os.ReadFile(file)
	if err != nil {
		p.t.Fatal(err)
	}
	config := replaceOnce(p.t, string(b), "otlp:\n", "otlp:\n  promote_resource_attributes: ["+attribute+"]\n")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// Start starts or restarts Prometheus, and waits until it is ready.
func (p *Prometheus) Start() *Prometheus {
	p.t.Helper()
	p.Process = startProcess(p.t, Env{}, Tool(p.t, "prometheus"), p.args...)
	p.Eventually("is ready", func() bool {
		resp, err := http.Get(p.URL + "/-/ready")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return p
}

// WaitScraped waits until Prometheus has scraped itself, because that decides
// which points are too old for it.
func (p *Prometheus) WaitScraped() {
	p.t.Helper()
	p.Eventually("has scraped itself", func() bool { return len(p.Query("up == 1", time.Time{})) > 0 })
}

// OTLP is the endpoint to push to, without /v1/metrics.
func (p *Prometheus) OTLP() string { return p.URL + "/api/v1/otlp" }

// Series is one series of an answer, with its samples in time order.
type Series struct {
	Labels  map[string]string
	Samples []Sample
}

// Sample is one value at one time.
type Sample struct {
	Time  time.Time
	Value float64
}

// Query evaluates an instant query at a time (zero: now). Each series has one
// sample or, for a range like m[1h], all stored samples.
func (p *Prometheus) Query(query string, at time.Time) []Series {
	p.t.Helper()
	form := url.Values{"query": {query}}
	if !at.IsZero() {
		form.Set("time", unixText(at))
	}
	return p.get("/api/v1/query", form)
}

// QueryRange evaluates a query at every step from begin to end.
func (p *Prometheus) QueryRange(query string, begin, end time.Time, step time.Duration) []Series {
	p.t.Helper()
	return p.get("/api/v1/query_range", url.Values{
		"query": {query}, "start": {unixText(begin)}, "end": {unixText(end)}, "step": {step.String()},
	})
}

// Raw returns the stored samples of a selector after begin and up to end.
func (p *Prometheus) Raw(selector string, begin, end time.Time) []Series {
	p.t.Helper()
	return p.Query(fmt.Sprintf("%s[%dms]", selector, end.Sub(begin).Milliseconds()), end)
}

func unixText(t time.Time) string {
	return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64)
}

// get makes a request to one of the query endpoints; an invalid query fails the
// test.
func (p *Prometheus) get(path string, form url.Values) []Series {
	p.t.Helper()
	resp, err := http.PostForm(p.URL+path, form)
	if err != nil {
		p.t.Fatalf("query Prometheus: %v", err)
	}
	defer resp.Body.Close()
	var answer struct {
		Error string
		Data  struct{ Result []promSeries }
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		p.t.Fatalf("query Prometheus: %v", err)
	}
	if answer.Error != "" {
		p.t.Fatalf("query %s: %s", form.Get("query"), answer.Error)
	}
	var series []Series
	for _, r := range answer.Data.Result {
		series = append(series, r.series())
	}
	return series
}

// promSeries is one element of a vector or matrix.
type promSeries struct {
	Metric map[string]string
	Value  *promSample
	Values []promSample
}

func (r promSeries) series() Series {
	s := Series{Labels: r.Metric}
	if r.Value != nil {
		s.Samples = append(s.Samples, Sample(*r.Value))
	}
	for _, v := range r.Values {
		s.Samples = append(s.Samples, Sample(v))
	}
	return s
}

// promSample is [seconds, "value"] in JSON.
type promSample Sample

// UnmarshalJSON implements json.Unmarshaler.
func (s *promSample) UnmarshalJSON(b []byte) error {
	var seconds float64
	var text string
	if err := json.Unmarshal(b, &[]any{&seconds, &text}); err != nil {
		return err
	}
	v, err := strconv.ParseFloat(text, 64)
	s.Time, s.Value = time.UnixMilli(int64(seconds*1000+0.5)).UTC(), v
	return err
}
