package main

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"netatmo-agent/agent/catalogue"
	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/otlp"
	"netatmo-agent/agent/simcloud"
)

// soakLive is the maximum age of live points when they arrive. Samples of
// history are older, because a station uploads them some seconds later.
const soakLive = 2 * time.Second

// soakSeries is one series of the backend: a metric with history of a module.
type soakSeries struct{ module, metric string }

// soakBackend receives the points of a year. It does not store the live ones
// but checks them as they arrive, and notes the holes between them.
type soakBackend struct {
	log   *soakLog
	cloud *simcloud.Cloud

	mu      sync.Mutex
	stamp   time.Time                        // of the live push that is arriving
	values  map[string]map[string]float64    // of that push, by module and metric
	checked map[string]time.Time             // when the values last compared were measured, by module
	live    map[string]time.Time             // newest live values with a history, by module
	holes   []hole                           // not judged yet
	history map[soakSeries]map[int64]float64 // by Unix milliseconds
	gone    string                           // a module that has left the account
	cuts    time.Time                        // the last power cut

	pushed, filled, again, compared, expected int

	measured bool                               // NETATMO_TIMESTAMPS=measured
	came     map[soakSeries]map[int64]time.Time // when history arrived
	judged   time.Time                          // until then
}

// hole is a period without live values of a module.
type hole struct {
	module   string
	from, to time.Time // of the points around it
	until    time.Time // when the first values after it were measured
}

// cadence is the time between two uploads of a station. If the first values
// after a pause were measured later than that after the last point, an upload
// is missing.
const cadence = 607 * time.Second

func newSoakBackend(log *soakLog, cloud *simcloud.Cloud) *soakBackend {
	return &soakBackend{
		log: log, cloud: cloud, values: map[string]map[string]float64{}, checked: map[string]time.Time{},
		live: map[string]time.Time{}, history: map[soakSeries]map[int64]float64{},
		came: map[soakSeries]map[int64]time.Time{}, judged: time.Now(),
	}
}

// withHistory are the metrics that Netatmo keeps a history of, with the type of
// measurement, and the metric of the time of measurement.
var withHistory, measurementTime = func() (map[string]string, string) {
	types, timeMetric := map[string]string{}, ""
	for _, m := range catalogue.Readings() {
		if m.History != "" {
			types[m.Name] = m.History
		}
		if m.Field == netatmo.MeasurementTime {
			timeMetric = m.Name
		}
	}
	return types, timeMetric
}()

// take receives a point.
func (b *soakBackend) take(p otlp.Point) {
	b.mu.Lock()
	defer b.mu.Unlock()
	module := p.Attributes["module.id"]
	if module == "" {
		return // about the agent
	}
	if time.Since(p.Time) > soakLive {
		b.takeHistory(soakSeries{module, p.Metric}, p)
		return
	}
	b.pushed++
	if !p.Time.Equal(b.stamp) {
		b.settle()
		b.stamp = p.Time
	}
	if b.values[module] == nil {
		b.values[module] = map[string]float64{}
	}
	if _, twice := b.values[module][p.Metric]; twice {
		b.log.wrongf("%s: %s of %s arrived twice", p.Time, p.Metric, module)
	}
	b.values[module][p.Metric] = p.Value
}

func (b *soakBackend) takeHistory(s soakSeries, p otlp.Point) {
	b.filled++
	if b.history[s] == nil {
		b.history[s], b.came[s] = map[int64]float64{}, map[int64]time.Time{}
	}
	if b.measured {
		b.live[s.module] = time.Now()
	}
	b.came[s][p.Time.UnixMilli()] = time.Now()
	if _, twice := b.history[s][p.Time.UnixMilli()]; twice {
		b.again++
		if time.Since(b.cuts) > 12*time.Hour {
			b.log.wrongf("%s: %v at %s arrived twice", time.Now(), s, p.Time)
		}
	}
	b.history[s][p.Time.UnixMilli()] = p.Value
	b.compare(s, withHistory[s.metric], p.Time, p.Value)
}

// settle ends a live push: its values must be those that the cloud has for
// their time of measurement, and a module that was away leaves a hole.
func (b *soakBackend) settle() {
	for module, values := range b.values {
		measured := b.stamp // if the answer has no time
		if t, ok := values[measurementTime]; ok {
			measured = time.Unix(int64(t), 0)
		}
		present := false
		if b.measured {
			b.noLive(module, values)
		}
		for metric, typ := range withHistory {
			v, ok := values[metric]
			present = present || ok
			if ok && !measured.Equal(b.stamp) && !measured.Equal(b.checked[module]) {
				b.compare(soakSeries{module, metric}, typ, measured, v)
			}
		}
		if present {
			b.checked[module] = measured
			b.seen(module, measured)
		}
	}
	b.values = map[string]map[string]float64{}
}

// seen notes live values of a module.
func (b *soakBackend) seen(module string, measured time.Time) {
	last, known := b.live[module]
	b.live[module] = b.stamp
	if known && !b.stamp.After(last) {
		b.log.wrongf("%s: live values of %s after those of %s", module, moment(b.stamp), moment(last))
	}
	if known && measured.Sub(last) > cadence {
		b.holes = append(b.holes, hole{module, last, b.stamp, measured})
	}
}

func (b *soakBackend) compare(s soakSeries, typ string, at time.Time, v float64) {
	if s.module == b.gone {
		return // the cloud no longer has it
	}
	b.compared++
	if held := b.cloud.Held(s.module, typ, at, at); len(held) != 1 || held[0].Value != v {
		b.log.wrongf("%v at %s: the backend has %v, the cloud %v", s, at, v, held)
	}
}

func (b *soakBackend) powerCut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cuts = time.Now()
}

// judge compares the received history with the cloud's samples for the holes,
// and forgets both. For a hole longer than the window, only the newest part can
// be present; filling it may begin some hours late.
func (b *soakBackend) judge(window time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	const late = 3 * time.Hour
	var lost []string
	if b.measured {
		lost = b.lostMeasurements(window - late)
	}
	for _, h := range b.holes {
		from := h.from
		if oldest := h.to.Add(late - window); oldest.After(from) {
			from = oldest
		}
		for metric, typ := range withHistory {
			for _, x := range b.cloud.Held(h.module, typ, from.Add(time.Millisecond), h.until) {
				b.expected++
				if _, ok := b.history[soakSeries{h.module, metric}][x.Time.UnixMilli()]; !ok {
					lost = append(lost, fmt.Sprintf("%s of %s at %s, in the hole from %s to %s", metric, h.module, moment(x.Time), moment(h.from), moment(h.to)))
				}
			}
		}
	}
	b.holes = nil
	b.forgetBefore(time.Now().Add(-3 * window / 2))
	if len(lost) > 0 {
		b.log.wrongf("%d samples lost, among them:\n%s", len(lost), strings.Join(lost[:min(len(lost), 30)], "\n"))
	}
}

// forgetBefore drops old history, so that the backend's memory does not hide
// the agent's.
func (b *soakBackend) forgetBefore(t time.Time) {
	for s, points := range b.history {
		kept, came := map[int64]float64{}, map[int64]time.Time{}
		for ms, v := range points {
			if ms >= t.UnixMilli() {
				kept[ms], came[ms] = v, b.came[s][ms]
			}
		}
		b.history[s], b.came[s] = kept, came
	}
}

// forget stops waiting for a module that has left the account.
func (b *soakBackend) forget(module string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gone = module
}

func moment(t time.Time) string { return t.UTC().Format("01-02 15:04:05") }

// silentModules lists the modules whose values do not arrive.
func (b *soakBackend) silentModules() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var late []string
	for module, at := range b.live {
		if module != b.gone && time.Since(at) > 2*soakPush {
			late = append(late, module)
		}
	}
	return late
}

// noLive checks that what has a history does not come live.
func (b *soakBackend) noLive(module string, values map[string]float64) {
	for metric := range withHistory {
		if _, ok := values[metric]; ok {
			b.log.wrongf("%s: %s of %s came live", moment(b.stamp), metric, module)
		}
	}
}

// lostMeasurements lists the samples that the cloud holds and that did not come,
// since the last time. A sample need not come if it was older than reach when the
// next one did.
func (b *soakBackend) lostMeasurements(reach time.Duration) (lost []string) {
	until := time.Now().Add(-3 * time.Hour)
	for s, points := range b.history {
		if s.module == b.gone {
			continue
		}
		for _, x := range b.cloud.Held(s.module, withHistory[s.metric], b.judged, until) {
			if _, ok := points[x.Time.UnixMilli()]; ok {
				b.expected++
				continue
			}
			next := time.Now()
			for ms, at := range b.came[s] {
				if ms > x.Time.UnixMilli() && at.Before(next) {
					next = at
				}
			}
			if x.Time.After(next.Add(-reach)) {
				b.expected++
				lost = append(lost, fmt.Sprintf("%s of %s at %s, though a later one came at %s", s.metric, s.module, moment(x.Time), moment(next)))
			}
		}
	}
	b.judged = until
	return lost
}
