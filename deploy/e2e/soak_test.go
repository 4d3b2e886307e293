package e2e

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"netatmo-agent/agent/simcloud"
	"netatmo-agent/auth/authtest"
)

// twentyfold is one home at twenty times the real pace, the fastest that an
// agent can follow for an hour within Netatmo's request limits.
func twentyfold() simcloud.Options {
	return simcloud.Options{Measure: 15 * time.Second, Upload: 30 * time.Second, TokenLife: 2 * time.Minute, Scenario: oneHome()}
}

// TestSoak exposes the real processes to one fault after another, for a real
// hour with E2E_SOAK=1h. At the end the backend has every sample that live
// values do not cover, the login works, and the agent uses no more memory and
// files than at the start. A test in agent/ does the same for a year of faults,
// in fake time.
func TestSoak(t *testing.T) {
	t.Parallel()
	length := duration(t, "E2E_SOAK", 35*time.Second) // that is one fault, a power cut of two minutes
	stale := 2 * twentyfold().Upload
	r := newChain(t, setup{way: grpcCollector, backend: prometheusShipped}, twentyfold(), Env{
		"NETATMO_DEVICES": "weather", "NETATMO_AGE_STALE": stale.String(), "OTEL_METRIC_EXPORT_INTERVAL": "5000",
	})
	sensors := sensorsOf(t, r.cloud)
	r.agent.Start()
	r.eventually("knows the station", 3*time.Minute, func() bool {
		s, _ := r.agent.readState()
		return len(s.Cadences) > 0 && pushedAfter(r.stored(), sensors, r.began)
	})
	files := len(dirEntries(t, r.agent.proc("fd")))
	t.Logf("at the start: %d files, %.1f MiB anonymous", files, mib(r.agent.memory("RssAnon")))

	random := rand.New(rand.NewPCG(uint64(length), 0))
	calm := 3 * twentyfold().Upload // enough to fill a gap and to reread it
	for end := r.began.Add(length); time.Now().Before(end); time.Sleep(calm) {
		x := troubles[random.IntN(len(troubles))]
		t.Logf("after %v: %s", time.Since(r.began).Round(time.Second), x.name)
		x.strike(r, time.Duration(float64(time.Minute)*(1+2*random.Float64())))
	}
	r.eventually("pushes every sensor again", 3*time.Minute, func() bool { return pushedAfter(r.stored(), sensors, time.Now().Add(-stale)) })

	x := r.truth()
	x.stale, x.hole = stale, 3*twentyfold().Upload
	stored, res := r.stored(), result{}
	for _, s := range sensors {
		res.add(x.judge(s, stored))
	}
	r.check(res, len(sensors))
	r.checkLogin()
	anonymous := r.agent.memory("RssAnon")
	t.Logf("at the end: %d files, %.1f MiB anonymous, %.1f MiB at most; %d samples had to be filled in, %d are present",
		len(dirEntries(t, r.agent.proc("fd"))), mib(anonymous), mib(r.agent.memory("VmHWM")), res.expected, res.present)
	if now := len(dirEntries(t, r.agent.proc("fd"))); now > files+2 || anonymous > 8*mebibyte {
		t.Errorf("%d files, at the start %d; want at most 8 MiB anonymous", now, files)
	}
}

// troubles are the possible faults; each lasts about as long as requested.
var troubles = []struct {
	name   string
	strike func(r *chain, d time.Duration)
}{
	{"restart", func(r *chain, _ time.Duration) {
		if code, took := r.agent.Terminate(); code != 0 || took > stopsInTime {
			r.t.Errorf("SIGTERM: exit code %d after %v", code, took)
		}
		r.agent.Start()
	}},
	{"power cut", func(r *chain, d time.Duration) {
		r.beforeRenewal()
		r.agent.Kill()
		time.Sleep(d)
		r.agent.Start()
	}},
	{"Netatmo away", func(r *chain, d time.Duration) { r.lack(netatmoAway, d) }},
	{"Collector away", func(r *chain, d time.Duration) { r.lack(backendAway, d) }},
	{"station away", func(r *chain, d time.Duration) { r.lack(stationAway, d) }},
	{"answers of a gateway", func(r *chain, d time.Duration) { r.disturb(simcloud.Unavailable, d) }},
	{"answers that break off", func(r *chain, d time.Duration) { r.disturb(simcloud.Cut, d) }},
	{"connections that hang up", func(r *chain, d time.Duration) { r.disturb(simcloud.HangUp, d) }},
	{"tokens refused by the API", func(r *chain, d time.Duration) { r.disturb(simcloud.TokenUnknown, d) }},
	{"renewals refused for a while", func(r *chain, d time.Duration) { r.refuse(authtest.InvalidGrant, d) }},
	{"renewals answered by a gateway", func(r *chain, d time.Duration) { r.refuse(authtest.HTML503, d) }},
}

// lack takes a part down.
func (r *chain) lack(p part, d time.Duration) {
	r.switchOff(p, offline["weather"], true)
	time.Sleep(d)
	r.switchOff(p, offline["weather"], false)
}

func (r *chain) disturb(kind simcloud.Kind, d time.Duration) {
	r.cloud.Inject(simcloud.Fault{Kind: kind, Times: 3})
	time.Sleep(d)
	r.cloud.Heal()
}

func (r *chain) refuse(kind authtest.FaultKind, d time.Duration) {
	r.cloud.Auth().Inject(authtest.Fault{Kind: kind, Times: 2})
	time.Sleep(d)
	r.cloud.Auth().Heal()
}

// beforeRenewal waits until no token renewal is due for some seconds: a process
// that is killed while the answer is on its way loses the login, whatever its
// code.
func (r *chain) beforeRenewal() {
	r.eventually("has a token for a while", time.Minute, func() bool {
		return time.Until(r.cloud.Auth().Current().Expiry) > twentyfold().TokenLife/4
	})
}

// checkLogin compares the token file with the tokens that Netatmo accepts.
func (r *chain) checkLogin() {
	r.t.Helper()
	content, err := os.ReadFile(r.agent.TokenFile())
	if err != nil {
		r.t.Fatal(err)
	}
	var file struct {
		Refresh string `json:"refresh_token"`
	}
	if err := json.Unmarshal(content, &file); err != nil {
		r.t.Fatal(err)
	}
	if file.Refresh != r.cloud.Auth().Current().Refresh {
		r.t.Error("the login is lost")
	}
}

// duration reads how long a test runs.
func duration(t testing.TB, variable string, short time.Duration) time.Duration {
	t.Helper()
	value := os.Getenv(variable)
	if value == "" {
		return short
	}
	d, err := time.ParseDuration(value)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return d
}
