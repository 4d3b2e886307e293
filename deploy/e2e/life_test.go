package e2e

import (
	"strings"
	"testing"
	"time"

	"netatmo-agent/agent/simcloud"
	"netatmo-agent/auth/authtest"
)

// fast is a cloud whose stations measure and upload like real ones, but sixty
// times as often.
var fast = simcloud.Options{Measure: 5 * time.Second, Upload: 10 * time.Second}

// stopsInTime is how long the agent may take to stop while no token refresh is
// under way.
const stopsInTime = 8 * time.Second

// A restart needs neither a login nor a token request while the access token is
// valid, keeps the identity, and continues to push; so does one after a power
// cut.
func TestRestart(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, a *Agent){
		"after SIGTERM": func(t *testing.T, a *Agent) {
			t.Helper()
			if code, took := a.Terminate(); code != 0 || took > stopsInTime {
				t.Errorf("SIGTERM: exit code %d after %v, want 0 within %v", code, took, stopsInTime)
			}
		},
		"after SIGKILL": func(_ *testing.T, a *Agent) { a.Kill() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cloud := NewCloud(t, fast)
			collector := NewCollector(t).Start()
			agent := NewAgent(t, cloud.Env().With(toCollector(collector, "grpc")))
			agent.Start()
			agent.Authorise()
			agent.Eventually("pushes readings", func() bool { return hasReadings(collector.Points()) })
			end(t, agent)

			before := collector.Points()
			agent.Start()
			agent.Eventually("pushes readings again", func() bool { return hasReadings(collector.Points()[len(before):]) })
			if loginLink.MatchString(agent.Log()) {
				t.Error("needs a login again")
			}
			if stats := cloud.Auth().Stats(); stats.Requests[authtest.Request{Grant: "authorization_code", Outcome: "ok"}] != 1 || len(stats.Requests) != 1 {
				t.Errorf("token requests %v, want the one of the login", stats.Requests)
			}
			instances := map[string]bool{}
			for _, p := range collector.Points() {
				instances[p.Resource["service.instance.id"]] = true
			}
			if len(instances) != 1 {
				t.Errorf("instance ids %v, want the same before and after", instances)
			}
			checkNoSecrets(t, cloud, agent)
		})
	}
}

// SIGTERM stops an agent in any state, in time and with code 0.
func TestTerminateAtAnyTime(t *testing.T) {
	for name, tt := range map[string]struct {
		prepare func(cloud *Cloud)
		login   bool
		until   func(a *Agent, cloud *Cloud) bool
	}{
		"waiting for a login": {
			until: func(a *Agent, _ *Cloud) bool { return loginLink.MatchString(a.Log()) },
		},
		"waiting for Netatmo's answer": {
			prepare: func(cloud *Cloud) { cloud.Inject(simcloud.Fault{Kind: simcloud.Hang, Times: -1}) },
			login:   true,
			until:   func(_ *Agent, cloud *Cloud) bool { return cloud.Requests()["getstationsdata"] > 0 },
		},
		"backend away": {
			login: true,
			until: func(a *Agent, _ *Cloud) bool { return strings.Contains(a.Log(), "level=WARN") },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cloud := NewCloud(t, fast)
			if tt.prepare != nil {
				tt.prepare(cloud)
			}
			agent := NewAgent(t, cloud.Env().With(Env{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + FreeAddr(t)}))
			if tt.login {
				cloud.LogIn(agent, allScopes...)
			}
			agent.Start()
			agent.Eventually("is "+name, func() bool { return tt.until(agent, cloud) })
			if code, took := agent.Terminate(); code != 0 || took > stopsInTime {
				t.Errorf("exit code %d after %v, want 0 within %v", code, took, stopsInTime)
			}
		})
	}
}

// A module that leaves the account disappears from the backend; the others
// continue.
func TestRemovedModule(t *testing.T) {
	t.Parallel()
	cloud := NewCloud(t, fast)
	collector := NewCollector(t).Start()
	agent := NewAgent(t, cloud.Env().With(toCollector(collector, "grpc")))
	cloud.LogIn(agent, allScopes...)
	agent.Start()
	const removed, stays = "02:00:00:00:10:02", "70:ee:50:00:10:01"
	newest := func(module string) time.Time {
		var at time.Time
		for _, p := range collector.Points() {
			if p.Metric == "netatmo.temperature" && p.Attributes["module.id"] == module && p.Time.After(at) {
				at = p.Time
			}
		}
		return at
	}
	agent.Eventually("pushes the module", func() bool { return !newest(removed).IsZero() })
	cloud.RemoveModule(removed)
	// Twice as long as the agent needs to notice by its next poll.
	agent.Eventually("pushes the others but not the removed one", func() bool {
		return newest(stays).Sub(newest(removed)) > 2*fast.Upload
	})
}
