package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"
)

// Victoria is a single-node VictoriaMetrics with Prometheus' names. The
// embedded Process is its current or latest run.
type Victoria struct {
	*Process
	URL string

	t    testing.TB
	args []string
}

// NewVictoria prepares a VictoriaMetrics.
func NewVictoria(t testing.TB) *Victoria {
	t.Helper()
	addr := FreeAddr(t)
	return &Victoria{URL: "http://" + addr, t: t, args: []string{
		"-httpListenAddr=" + addr,
		"-storageDataPath=" + t.TempDir(),
		"-retentionPeriod=1y",
		"-loggerLevel=WARN",
		"-opentelemetry.usePrometheusNaming",
	}}
}

// Start starts or restarts VictoriaMetrics, and waits until it answers.
func (v *Victoria) Start() *Victoria {
	v.t.Helper()
	v.Process = startProcess(v.t, Env{}, Tool(v.t, "victoria-metrics"), v.args...)
	v.Eventually("answers", func() bool {
		resp, err := http.Get(v.URL + "/health")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return v
}

// OTLP is the endpoint to push to, without /v1/metrics.
func (v *Victoria) OTLP() string { return v.URL + "/opentelemetry" }

// Raw returns the samples of a selector as they are stored.
func (v *Victoria) Raw(selector string, begin, end time.Time) []Series {
	v.t.Helper()
	v.get("/internal/force_flush", nil).Close() // else they are visible only after seconds
	body := v.get("/api/v1/export", url.Values{
		"match[]": {selector}, "start": {unixText(begin)}, "end": {unixText(end)},
	})
	defer body.Close()
	var series []Series
	for lines := json.NewDecoder(body); ; {
		var line struct {
			Metric     map[string]string
			Values     []float64
			Timestamps []int64 // milliseconds
		}
		if err := lines.Decode(&line); err == io.EOF {
			return series
		} else if err != nil {
			v.t.Fatalf("export of VictoriaMetrics: %v", err)
		}
		s := Series{Labels: line.Metric}
		for i, ms := range line.Timestamps {
			s.Samples = append(s.Samples, Sample{time.UnixMilli(ms).UTC(), line.Values[i]})
		}
		series = append(series, s)
	}
}

func (v *Victoria) get(path string, form url.Values) io.ReadCloser {
	v.t.Helper()
	resp, err := http.PostForm(v.URL+path, form)
	if err != nil {
		v.t.Fatalf("query VictoriaMetrics: %v", err)
	}
	if resp.StatusCode != http.StatusOK {
		v.t.Fatalf("VictoriaMetrics answers %s to %s", resp.Status, path)
	}
	return resp.Body
}
