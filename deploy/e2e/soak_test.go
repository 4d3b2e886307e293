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

// twentyfold is one home at twenty times the pace: as fast as an agent can
// follow for an hour within the requests that Netatmo allows.
func twentyfold() simcloud.Options {
	return simcloud.Options{Measure: 15 * time.Second, Upload: 30 * time.Second, TokenLife: 2 * time.Minute, Scenario: oneHome()}
}

// TestSoak has the real processes live through one trouble after another, for
// a real hour with E2E_SOAK=1h. At the end the backend has every sample
// that live values do not cover, the login is whole, and the agent holds no more
// than at the start. A year of troubles, in fake time, is a test of agent/.
func TestSoak(t *testing.T) {
	t.Parallel()
	length := duration(t, "E2E_SOAK", 35*time.Second) // which is one trouble, a power cut of two minutes
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
	calm := 3 * twentyfold().Upload // enough to fill a gap and to look at it again
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
	t.Logf("at the end: %d files, %.1f MiB anonymous, %.1f MiB at most; %d samples had to be filled in, %d are there",
		len(dirEntries(t, r.agent.proc("fd"))), mib(anonymous), mib(r.agent.memory("VmHWM")), res.expected, res.present)
	if now := len(dirEntries(t, r.agent.proc("fd"))); now > files+2 || anonymous > 8*mebibyte {
		t.Errorf("%d files, at the start %d; want at most 8 MiB anonymous", now, files)
	}
}

// troubles are what can happen; each lasts about as long as it is told.
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

// lack has somebody away.
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

// beforeRenewal waits until no renewal of the token is due for some seconds: a
// process that is killed while the answer is on its way loses the login, whoever
// wrote it.
func (r *chain) beforeRenewal() {
	r.eventually("has a token for a while", time.Minute, func() bool {
		return time.Until(r.cloud.Auth().Current().Expiry) > twentyfold().TokenLife/4
	})
}

// checkLogin compares the token file with what Netatmo takes.
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

// duration reads how long a test is to look at something.
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
