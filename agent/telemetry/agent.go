package telemetry

import (
	"context"
	"errors"
	"maps"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"netatmo-agent/agent/catalogue"
	"netatmo-agent/agent/otlp"
)

// AgentValues is what the agent reports about itself. The Pusher adds its own
// counts.
type AgentValues struct {
	Authorized  bool
	TokenExpiry time.Time        // zero where there is no token
	Refreshes   map[string]int64 // by outcome

	PollTime        time.Time // of the last poll, zero before the first
	PollSuccess     bool
	PollDuration    time.Duration
	LastSuccess     time.Time     // of the last poll that succeeded
	RefreshInterval time.Duration // between polls; shown under netatmo-exporter's names only

	Requests map[APIRequest]int64
	Budget   int // requests to Netatmo left in the hour
}

// APIRequest is a kind of request to Netatmo.
type APIRequest struct{ Endpoint, Outcome string }

// maxAgentPoints is more points than the agent ever has about itself: endpoints
// × outcomes and a few dozen others.
const maxAgentPoints = 250

// outages are the reasons why pushes fail during a backend's outage. Their counts
// are reported from zero on: the counts of an outage arrive after it, all at once,
// and a series that starts with them shows no increase.
var outages = []otlp.Reason{otlp.Unreachable, otlp.Unavailable, otlp.Timeout, otlp.Throttled}

// agentMetrics are the agent's metrics about itself.
type agentMetrics struct {
	version  string
	values   func() AgentValues
	stats    func() PushStats
	shown    bool // whether the next collection observes them
	gauges   map[string]metric.Float64Observable
	counters map[string]metric.Int64Observable
}

func (a *agentMetrics) register(meter metric.Meter, rows []catalogue.Metric) error {
	a.gauges, a.counters = map[string]metric.Float64Observable{}, map[string]metric.Int64Observable{}
	var all []metric.Observable
	var errs []error
	for _, m := range rows {
		var o metric.Observable
		var err error
		if m.Kind == catalogue.Counter {
			var c metric.Int64ObservableCounter
			c, err = meter.Int64ObservableCounter(m.Name, metric.WithUnit(m.Unit), metric.WithDescription(m.Description))
			o, a.counters[m.Name] = c, c
		} else {
			var g metric.Float64ObservableGauge
			g, err = meter.Float64ObservableGauge(m.Name, metric.WithUnit(m.Unit), metric.WithDescription(m.Description))
			o, a.gauges[m.Name] = g, g
		}
		all, errs = append(all, o), append(errs, err)
	}
	_, err := meter.RegisterCallback(a.observe, all...)
	return errors.Join(append(errs, err)...)
}

func (a *agentMetrics) observe(_ context.Context, o metric.Observer) error {
	if !a.shown {
		return nil
	}
	gauge := func(name string, value float64, attributes ...attribute.KeyValue) {
		if g, ok := a.gauges[name]; ok { // else a name in the other naming
			o.ObserveFloat64(g, value, metric.WithAttributes(attributes...))
		}
	}
	at := func(name string, t time.Time) {
		if !t.IsZero() {
			gauge(name, float64(t.Unix()))
		}
	}
	count := func(name string, value int64, attributes ...attribute.KeyValue) {
		o.ObserveInt64(a.counters[name], value, metric.WithAttributes(attributes...))
	}

	v := a.values()
	gauge(catalogue.AgentInfo, 1, attribute.String("version", a.version))
	gauge(catalogue.AgentAuthorized, flag(v.Authorized))
	at(catalogue.AgentTokenExpiry, v.TokenExpiry)
	for outcome, n := range v.Refreshes {
		count(catalogue.AgentTokenRefreshes, n, attribute.String("outcome", outcome))
	}
	if !v.PollTime.IsZero() {
		gauge(catalogue.AgentPollSuccess, flag(v.PollSuccess))
		gauge(catalogue.AgentPollDuration, v.PollDuration.Seconds())
		gauge(catalogue.ExporterRefreshDuration, v.PollDuration.Seconds())
	}
	at(catalogue.AgentPollTime, v.PollTime)
	for r, n := range v.Requests {
		count(catalogue.AgentAPIRequests, n, attribute.String("endpoint", r.Endpoint), attribute.String("outcome", r.Outcome))
	}
	gauge(catalogue.AgentAPIBudget, float64(v.Budget))

	s := a.stats()
	count(catalogue.AgentPushPoints, s.Points)
	failures := map[otlp.Reason]int64{}
	for _, reason := range outages {
		failures[reason] = 0
	}
	maps.Copy(failures, s.Failures)
	for reason, n := range failures {
		count(catalogue.AgentPushFailures, n, attribute.String("reason", string(reason)))
	}
	count(catalogue.AgentBackfillPoints, s.BackfillPoints)
	count(catalogue.AgentBackfillRefused, s.BackfillRefused)

	gauge(catalogue.ExporterUp, flag(v.PollSuccess))
	gauge(catalogue.ExporterRefreshInterval, v.RefreshInterval.Seconds())
	at(catalogue.ExporterRefreshTime, v.PollTime)
	at(catalogue.ExporterCacheUpdated, v.LastSuccess)
	gauge(catalogue.ExporterTokenValid, flag(v.Authorized))
	if v.TokenExpiry.IsZero() {
		gauge(catalogue.ExporterTokenExpiry, 0)
	}
	at(catalogue.ExporterTokenExpiry, v.TokenExpiry)
	return nil
}

func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
