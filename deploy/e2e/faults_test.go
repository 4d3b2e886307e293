package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"netatmo-agent/agent/simcloud"
)

// Whatever Netatmo answers, the agent logs it in a line that names the family,
// continues to push its own health, and has readings as soon as the answers are
// right again.
func TestBadAnswers(t *testing.T) {
	for name, fault := range map[string]func(c *Cloud){
		"HTML page":          inject(simcloud.HTML),
		"503 with HTML":      inject(simcloud.Unavailable),
		"empty":              inject(simcloud.Empty),
		"cut off":            inject(simcloud.Truncated),
		"100 MB":             inject(simcloud.Huge),
		"connection closed":  inject(simcloud.HangUp),
		"not an object":      answer(`[1, 2, 3]`),
		"body is a text":     withBody(`"devices"`),
		"error inside a 200": withBody(`{"errors":[{"code":6,"id":"70:ee:50:00:10:01"}]}`),
		"an error object":    answer(`{"error":{"code":4,"message":"inconsistency"}}`),
		"deep nesting":       answer(`{"body":` + strings.Repeat("[", 100_000)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cloud, collector, agent := startWithFault(t, fault)
			agent.WaitLog("level=WARN", "getstationsdata")
			cloud.Heal()
			cloud.Answer("getstationsdata", nil)
			agent.Eventually("pushes readings", func() bool { return hasReadings(collector.Points()) })
			if lines := strings.Count(agent.Log(), "level=WARN") + strings.Count(agent.Log(), "level=ERROR"); lines > 3 {
				t.Errorf("%d warnings for one fault", lines)
			}
		})
	}
}

// startWithFault starts an agent during a fault and waits until it has made
// requests and pushed its own health.
func startWithFault(t *testing.T, fault func(*Cloud)) (*Cloud, *Collector, *Agent) {
	t.Helper()
	cloud := NewCloud(t, fast)
	collector := NewCollector(t).Start()
	agent := NewAgent(t, cloud.Env().With(toCollector(collector, "grpc"), Env{"NETATMO_DEVICES": "weather"}))
	cloud.LogIn(agent, allScopes...)
	fault(cloud)
	agent.Start()
	agent.Eventually("has asked and pushes its own health", func() bool {
		return cloud.Requests()["getstationsdata"] > 0 && len(collector.Points()) > 0
	})
	if hasReadings(collector.Points()) {
		t.Error("made readings from it")
	}
	return cloud, collector, agent
}

// Answers that are complete, but contain nothing that the agent understands,
// are those of an account without devices.
func TestEmptyAnswers(t *testing.T) {
	for name, body := range map[string]string{
		"no devices":         `{"devices":[]}`,
		"devices are texts":  `{"devices":["a","b"]}`,
		"wrong types inside": `{"devices":[{"_id":7,"type":[],"modules":{},"dashboard_data":3}]}`,
		"no type":            `{"devices":[{"_id":"70:ee:50:00:00:01","dashboard_data":{"Temperature":21.5}}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, collector, agent := startWithFault(t, withBody(body))
			if left := strings.Count(agent.Log(), "a device in Netatmo's answer is left out"); (left == 0) != (name == "no devices") {
				t.Errorf("%d lines about devices that are left out", left)
			}
			agent.Eventually("continues to push its own health", func() bool { return len(collector.Points()) > 50 })
			if got := readings(collector.Latest()); len(got) > 0 {
				t.Errorf("made readings from it: %v", got)
			}
		})
	}
}

func inject(kind simcloud.Kind) func(*Cloud) {
	return func(c *Cloud) { c.Inject(simcloud.Fault{Kind: kind, Times: -1}) }
}

// withBody returns a complete, current answer.
func withBody(body string) func(*Cloud) {
	return answer(fmt.Sprintf(`{"status":"ok","time_server":%d,"body":%s}`, time.Now().Unix(), body))
}

func answer(body string) func(*Cloud) {
	return func(c *Cloud) { c.Answer("getstationsdata", []byte(body)) }
}

// One module that the agent does not understand, and one unreachable station,
// affect no other.
func TestOneBadModuleCostsNoOther(t *testing.T) {
	t.Parallel()
	now := time.Now().Unix()
	good := map[string]any{
		"_id": "70:ee:50:00:00:01", "type": "NAMain", "module_name": "Good", "reachable": true,
		"dashboard_data": map[string]any{"time_utc": now, "Temperature": 21.5},
		"modules": []any{
			"a text in the place of a module",
			map[string]any{"_id": "03:00:00:00:00:02", "type": "NAModule4", "dashboard_data": []int{1}},
			map[string]any{"_id": "03:00:00:00:00:03", "type": "NAModule4", "reachable": true,
				"dashboard_data": map[string]any{"time_utc": now, "Temperature": "warm", "Humidity": 40}},
		},
	}
	body, err := json.Marshal(map[string]any{"devices": []any{17, good}})
	if err != nil {
		t.Fatal(err)
	}
	cloud := NewCloud(t, fast)
	withBody(string(body))(cloud)
	collector := NewCollector(t).Start()
	agent := NewAgent(t, cloud.Env().With(toCollector(collector, "grpc"), Env{"NETATMO_DEVICES": "weather"}))
	cloud.LogIn(agent, allScopes...)
	agent.Start()
	agent.Eventually("pushes the good values", func() bool {
		values := map[string]float64{}
		for _, p := range collector.Points() {
			values[p.Attributes["module.id"]+" "+p.Metric] = p.Value
		}
		_, warm := values["03:00:00:00:00:03 netatmo.temperature"]
		return values["70:ee:50:00:00:01 netatmo.temperature"] == 21.5 &&
			values["03:00:00:00:00:03 netatmo.humidity"] == 40 && !warm
	})
}
