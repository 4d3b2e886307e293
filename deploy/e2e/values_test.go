package e2e

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"netatmo-agent/agent/simcloud"
)

// toCollector pushes to a Collector every second.
func toCollector(c *Collector, protocol string) Env {
	env := Env{"OTEL_METRIC_EXPORT_INTERVAL": "1000", "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}
	env["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://" + map[string]string{"grpc": c.GRPC, "http/protobuf": c.HTTP}[protocol]
	return env
}

var allScopes = strings.Fields("read_station read_homecoach " + simcloud.ScopesInHomes)

// Every value, unit, attribute and type of what the cloud served arrives, and
// nothing else, over either protocol.
func TestEveryValueArrives(t *testing.T) {
	for _, protocol := range []string{"grpc", "http/protobuf"} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			begin := time.Now()
			cloud := NewCloud(t, simcloud.Options{})
			collector := NewCollector(t).Start()
			agent := NewAgent(t, cloud.Env().With(toCollector(collector, protocol)))
			cloud.LogIn(agent, allScopes...)
			agent.Start()

			waitForExactly(t, collector, func() []Point {
				return expectedOf(t, cloud, "getstationsdata", "gethomecoachsdata")
			})
			for _, p := range collector.Points() {
				if p.Scope != "netatmo-agent" {
					t.Errorf("%s has scope %q", p, p.Scope)
				}
				if p.Time.Before(begin) || p.Time.After(time.Now()) {
					t.Errorf("%s has the time %v, not that of its push", p, p.Time)
				}
				if p.Description == "" {
					t.Errorf("%s has no description", p)
				}
			}
			agent.Eventually("counts its pushes", func() bool {
				for _, p := range collector.Points() {
					if p.Metric == "netatmo.agent.push.points" && p.Value > 0 {
						return true
					}
				}
				return false
			})
			checkResource(t, collector.Points(), map[string]string{"service.name": "netatmo-agent"})
			checkAgentMetrics(t, cloud, collector)
			checkNoSecrets(t, cloud, agent)
		})
	}
}

var recorded = flag.String("answer", "", "serve this answer of getstationsdata instead of the one in testdata")

// An answer with what real accounts have in it: an unreachable station, a dead
// module, one without a name, one that has gone silent, one without data, a
// guest's station, null, no wind, no altitude.
func TestAnswerBecomesPoints(t *testing.T) {
	t.Parallel()
	path := "testdata/getstationsdata.json"
	if *recorded != "" {
		path = *recorded
	}
	answer, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	moved, shift := rebase(t, answer, time.Now())
	cloud := NewCloud(t, simcloud.Options{Scenario: &simcloud.Scenario{}})
	cloud.Answer("getstationsdata", moved)
	collector := NewCollector(t).Start()
	agent := NewAgent(t, cloud.Env().With(toCollector(collector, "grpc"), Env{"NETATMO_DEVICES": "weather"}))
	cloud.LogIn(agent, allScopes...)
	agent.Start()

	waitForExactly(t, collector, func() []Point { return expected(t, moved) })
	got := readings(collector.Latest())
	slices.SortFunc(got, func(a, b Point) int { return strings.Compare(a.Series(), b.Series()) })
	if *recorded == "" {
		golden(t, "getstationsdata-points.txt", listing(got, shift))
	} else {
		t.Logf("%d points:\n%s", len(got), listing(got, shift))
	}
}

// readings are the points that are not about the agent.
func readings(latest map[string]Point) []Point {
	return slices.DeleteFunc(slices.Collect(maps.Values(latest)), func(p Point) bool {
		return strings.HasPrefix(p.Metric, "netatmo.agent.")
	})
}

// waitForExactly waits until the latest points of the Collector are exactly the
// wanted ones.
func waitForExactly(t *testing.T, c *Collector, want func() []Point) {
	t.Helper()
	var diff []string
	deadline := time.Now().Add(patience)
	for {
		if diff = difference(readings(c.Latest()), want()); len(diff) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited %v; %d differences remain:\n%s", patience, len(diff), tail(strings.Join(diff, "\n"), 30))
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func difference(got, want []Point) []string {
	if len(want) == 0 {
		return []string{"nothing is expected"}
	}
	count := map[string]int{}
	for _, p := range want {
		count[p.String()]++
	}
	for _, p := range got {
		count[p.String()]--
	}
	var diff []string
	for _, s := range slices.Sorted(maps.Keys(count)) {
		switch {
		case count[s] > 0:
			diff = append(diff, "missing: "+s)
		case count[s] < 0:
			diff = append(diff, "unwanted: "+s)
		}
	}
	return diff
}

var uuid = regexp.MustCompile(`^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$`)

// checkResource checks for exactly these resource attributes and an instance
// id.
func checkResource(t *testing.T, points []Point, want map[string]string) {
	t.Helper()
	for _, p := range points {
		got := maps.Clone(p.Resource)
		instance := got["service.instance.id"]
		delete(got, "service.instance.id")
		if !uuid.MatchString(instance) || !maps.Equal(got, want) {
			t.Fatalf("resource %v, want %v and a service.instance.id", p.Resource, want)
		}
	}
}

// The agent's metrics about itself: unit, type and attributes.
var agentMetrics = map[string]string{
	"netatmo.agent.info":             `gauge "" version`,
	"netatmo.agent.authorized":       `gauge ""`,
	"netatmo.agent.token.expiry":     `gauge "s"`,
	"netatmo.agent.token.refreshes":  `counter "{refresh}" outcome`,
	"netatmo.agent.poll.success":     `gauge ""`,
	"netatmo.agent.poll.duration":    `gauge "s"`,
	"netatmo.agent.poll.time":        `gauge "s"`,
	"netatmo.agent.api.requests":     `counter "{request}" endpoint outcome`,
	"netatmo.agent.api.budget":       `gauge "{request}"`,
	"netatmo.agent.push.points":      `counter "{point}"`,
	"netatmo.agent.push.failures":    `counter "{request}" reason`,
	"netatmo.agent.backfill.points":  `counter "{point}"`,
	"netatmo.agent.backfill.refused": `counter "{point}"`,
}

func checkAgentMetrics(t *testing.T, cloud *Cloud, c *Collector) {
	t.Helper()
	values := map[string]float64{}
	for _, p := range c.Latest() {
		if !strings.HasPrefix(p.Metric, "netatmo.agent.") {
			continue
		}
		shape := strings.Join(append([]string{fmt.Sprintf("%s %q", p.Type, p.Unit)}, slices.Sorted(maps.Keys(p.Attributes))...), " ")
		if want := agentMetrics[p.Metric]; shape != want {
			t.Errorf("%s is %s, want %s", p.Metric, shape, want)
		}
		values[p.Metric] = max(values[p.Metric], p.Value) // of several outcomes
	}
	for metric, want := range map[string]float64{
		"netatmo.agent.info":         1,
		"netatmo.agent.authorized":   1,
		"netatmo.agent.token.expiry": float64(cloud.Auth().Current().Expiry.Unix()),
		"netatmo.agent.poll.success": 1,
	} {
		if got, ok := values[metric]; !ok || got != want {
			t.Errorf("%s is %v, want %v", metric, got, want)
		}
	}
	for _, metric := range []string{"netatmo.agent.poll.time", "netatmo.agent.push.points", "netatmo.agent.api.requests", "netatmo.agent.api.budget"} {
		if values[metric] <= 0 {
			t.Errorf("%s is %v, want more", metric, values[metric])
		}
	}
}

// checkNoSecrets searches the agent's output for secrets.
func checkNoSecrets(t *testing.T, cloud *Cloud, a *Agent) {
	t.Helper()
	secrets := append(a.Env.Secrets(), ClientSecret)
	for _, pair := range cloud.Auth().Stats().Issued {
		secrets = append(secrets, pair.Access, pair.Refresh)
	}
	for _, secret := range secrets {
		if secret != "" && strings.Contains(a.Log()+a.Output(), secret) {
			t.Errorf("the agent printed a secret (%d characters long)", len(secret))
		}
	}
}
