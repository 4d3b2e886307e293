package e2e

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"netatmo-agent/agent/simcloud"
)

// Whatever Netatmo answers, the agent says so once, in words that name it,
// goes on pushing its own health, and has the readings as soon as the answers
// are good again.
func TestBadAnswers(t *testing.T) {
	const endpoint = "getstationsdata"
	for name, fault := range map[string]func(c *Cloud){
		"HTML page":          inject(simcloud.HTML),
		"503 with HTML":      inject(simcloud.Unavailable),
		"empty":              inject(simcloud.Empty),
		"cut off":            inject(simcloud.Truncated),
		"100 MB":             inject(simcloud.Huge),
		"connection closed":  inject(simcloud.HangUp),
		"not an object":      answer(endpoint, `[1, 2, 3]`),
		"body is a text":     answer(endpoint, `{"status":"ok","time_server":1,"body":"devices"}`),
		"devices are texts":  answer(endpoint, `{"status":"ok","time_server":1,"body":{"devices":["a","b"]}}`),
		"wrong types inside": answer(endpoint, `{"status":"ok","time_server":"x","body":{"devices":[{"_id":7,"type":[],"modules":{},"dashboard_data":3}]}}`),
		"error inside a 200": answer(endpoint, `{"status":"ok","time_server":1,"body":{"errors":[{"code":6,"id":"70:ee:50:00:10:01"}]}}`),
		"an error object":    answer(endpoint, `{"error":{"code":4,"message":"inconsistency"}}`),
		"deep nesting":       answer(endpoint, `{"body":`+strings.Repeat("[", 100_000)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cloud := NewCloud(t, fast)
			collector := NewCollector(t).Start()
			agent := NewAgent(t, cloud.Env().With(toCollector(collector, "grpc"), Env{"NETATMO_DEVICES": "weather"}))
			cloud.LogIn(agent, allScopes...)
			fault(cloud)
			agent.Start()

			agent.Eventually("has asked and pushes its own health", func() bool {
				for _, p := range collector.Points() {
					if p.Metric == "netatmo.agent.poll.success" && p.Value == 0 {
						return true
					}
				}
				return false
			})
			if hasReadings(collector.Points()) {
				t.Error("made readings of it")
			}
			if !strings.Contains(agent.Log(), endpoint) {
				t.Errorf("no line names %s", endpoint)
			}
			cloud.Heal()
			cloud.Answer(endpoint, nil)
			agent.Eventually("pushes readings", func() bool { return hasReadings(collector.Points()) })
			if lines := strings.Count(agent.Log(), "level=WARN") + strings.Count(agent.Log(), "level=ERROR"); lines > 3 {
				t.Errorf("%d warnings for one fault", lines)
			}
		})
	}
}

func inject(kind simcloud.Kind) func(*Cloud) {
	return func(c *Cloud) { c.Inject(simcloud.Fault{Kind: kind, Times: -1}) }
}

func answer(endpoint, body string) func(*Cloud) {
	return func(c *Cloud) { c.Answer(endpoint, []byte(body)) }
}

// One module that cannot be understood, and one station that is unreachable,
// cost nothing but themselves.
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
	body, err := json.Marshal(map[string]any{
		"status": "ok", "time_server": now, "body": map[string]any{"devices": []any{17, good}},
	})
	if err != nil {
		t.Fatal(err)
	}
	cloud := NewCloud(t, fast)
	cloud.Answer("getstationsdata", body)
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
