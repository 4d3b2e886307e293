package e2e

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"testing"
	"time"

	"netatmo-agent/agent/simcloud"
)

// chain is an agent between a simulated cloud and a real backend.
type chain struct {
	t testing.TB
	setup
	cloud *Cloud
	agent *Agent
	store store
	began time.Time

	backendDown func(down bool)
}

// store is a backend that can be queried.
type store interface {
	OTLP() string
	Raw(selector string, begin, end time.Time) []Series
}

const gatewayUser, gatewayPassword = "123456", "glc_TheTokenOfTheStack"

// newChain starts a cloud and a backend, and prepares a logged-in agent.
func newChain(t testing.TB, s setup, o simcloud.Options, env Env) *chain {
	t.Helper()
	AgentBinary(t) // so that the time to build it does not count as the agent's
	r := &chain{t: t, setup: s, cloud: NewCloud(t, o), began: time.Now()}
	push := r.startBackend()
	if s.attributes != "" {
		push["OTEL_RESOURCE_ATTRIBUTES"] = s.attributes
	}
	r.agent = NewAgent(t, r.cloud.Env().With(push, env))
	r.cloud.LogIn(r.agent, allScopes...)
	return r
}

// startBackend starts the backend and what is in front of it, and returns the
// agent's settings for it.
func (r *chain) startBackend() Env {
	r.t.Helper()
	storeDown := r.startStore()
	switch r.way {
	case grpcCollector, httpCollector:
		c := NewForwarder(r.t, r.store.OTLP()).Start()
		if r.way == httpCollector {
			r.backendDown = storeDown
			return Env{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + c.HTTP, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
		}
		r.backendDown = func(down bool) {
			if down {
				c.Kill()
			} else {
				c.Start()
			}
		}
		return Env{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + c.GRPC}
	case httpsGateway:
		g := NewGateway(r.t, gatewayUser, gatewayPassword, r.store.OTLP())
		r.backendDown = g.Down
		login := base64.StdEncoding.EncodeToString([]byte(gatewayUser + ":" + gatewayPassword))
		return Env{
			"OTEL_EXPORTER_OTLP_ENDPOINT":    g.URL,
			"OTEL_EXPORTER_OTLP_HEADERS":     "Authorization=Basic%20" + login,
			"OTEL_EXPORTER_OTLP_CERTIFICATE": g.CAFile,
		}
	}
	r.backendDown = storeDown
	return Env{"OTEL_EXPORTER_OTLP_ENDPOINT": r.store.OTLP()}
}

// startStore starts the backend that stores points. SIGTERM stops it, because
// VictoriaMetrics acknowledges points that a SIGKILL would lose.
func (r *chain) startStore() (down func(bool)) {
	r.t.Helper()
	if r.backend == victoria {
		v := NewVictoria(r.t).Start()
		r.store = v
		return func(down bool) {
			if down {
				v.Terminate()
			} else {
				v.Start()
			}
		}
	}
	window := AsShipped
	switch r.backend {
	case prometheusNoWindow:
		window = 0
	case prometheusHour:
		window = time.Hour
	}
	p := NewPrometheus(r.t, window)
	if r.promoted != "" {
		p.Promote(r.promoted)
	}
	p.Start()
	p.WaitScraped()
	r.store = p
	return func(down bool) {
		if down {
			p.Terminate()
		} else {
			p.Start()
		}
	}
}

// stored returns everything that the agent's pushes have left in the backend.
func (r *chain) stored() []Series {
	r.t.Helper()
	const oldest = 31 * 24 * time.Hour // more than any test queries
	return r.store.Raw(`{__name__=~"netatmo_.*"}`, r.began.Add(-oldest), time.Now().Add(time.Minute))
}

// eventually waits until the condition holds, with pauses, because backend
// queries are expensive.
func (r *chain) eventually(what string, patience time.Duration, cond func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(patience); !cond(); time.Sleep(2 * time.Second) {
		if time.Now().After(deadline) {
			r.t.Fatalf("after %v, the agent still has not reached this state: %s", patience, what)
		}
	}
}

// state is the part of the agent's state file that the tests read.
type state struct {
	Instance string               `json:"instance_id"`
	Marks    map[string]time.Time `json:"marks"`
	Cadences map[string]float64   `json:"cadences"`
}

func (a *Agent) readState() (s state, ok bool) {
	a.t.Helper()
	b, err := os.ReadFile(a.StateFile())
	if err != nil {
		return s, false
	}
	if err := json.Unmarshal(b, &s); err != nil {
		a.t.Fatalf("the state file: %v", err)
	}
	return s, true
}

func (a *Agent) writeState(s state) {
	a.t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		a.t.Fatal(err)
	}
	if err := os.WriteFile(a.StateFile(), b, 0o600); err != nil {
		a.t.Fatal(err)
	}
}
