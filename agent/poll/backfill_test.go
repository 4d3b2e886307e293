package poll_test

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"netatmo-agent/agent/catalogue"
	"netatmo-agent/agent/history"
	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/record"
	"netatmo-agent/agent/simcloud"
)

// uploadedBy is the age at which every measurement has been uploaded.
const uploadedBy = 12 * time.Minute

// backfillRig is a cloud with 30 days of history, of which nothing has been
// pushed.
func backfillRig(t *testing.T) (*rig, history.BackfillConfig) {
	t.Helper()
	r := newRig(t, simcloud.Options{Start: time.Now().AddDate(0, 0, -30)})
	return r, history.BackfillConfig{
		Families: []netatmo.Family{netatmo.Weather, netatmo.HomeCoach, netatmo.Energy}, History: catalogue.History,
		Since: time.Now().AddDate(0, 0, -30), File: filepath.Join(filepath.Dir(r.state), "backfill.json"),
		Logger: slog.New(slog.NewTextHandler(r.log, nil)),
	}
}

// everything checks that the backend has each of the cloud's samples between
// the times, once.
func (r *rig) everything(since, until time.Time, twice int) {
	r.t.Helper()
	expected := 0
	for _, m := range r.cloud.Modules() {
		for _, c := range moduleHistory(m) {
			for _, x := range r.cloud.Held(m.ID, c.Type, since, until) {
				expected++
				if !r.backend.has(series{stationOf(m), m.ID, c.Field}, x.Time, x.Value) {
					r.t.Fatalf("%s %s at %s is missing", m.Name, c.Type, x.Time)
				}
			}
		}
	}
	if expected < 10000 || r.backend.twice > twice {
		r.t.Errorf("%d samples expected, %d arrived twice", expected, r.backend.twice)
	}
	r.checkValues()
}

func TestBackfill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, cfg := backfillRig(t)
		begin := time.Now().Add(-uploadedBy)
		b, err := history.OpenBackfill(t.Context(), cfg, r.source)
		if err != nil {
			t.Fatal(err)
		}
		plan := b.Plan()
		if len(plan.Modules) != 8 || plan.Requests != 8*9 {
			t.Errorf("plan: %d modules, %d requests, %d points", len(plan.Modules), plan.Requests, plan.Points)
		}
		if d := plan.Duration(300); d != time.Duration(72)*12*time.Second {
			t.Errorf("duration %s", d)
		}
		var last history.Progress
		err = b.Run(t.Context(), r.backend, func(p history.Progress) {
			if p.Done < last.Done || p.Done > p.Total || p.At.Before(last.At) || p.Points < last.Points {
				t.Errorf("progress from %+v to %+v", last, p)
			}
			last = p
		})
		if err != nil || last.Done != last.Total || last.Requests < 72 || last.Requests > 90 {
			t.Errorf("%v, %+v", err, last)
		}
		r.everything(cfg.Since, begin, 0)

		again, err := history.OpenBackfill(t.Context(), cfg, r.source)
		if err != nil {
			t.Fatal(err)
		}
		if p := again.Plan(); p.Requests > 8 {
			t.Errorf("%d requests planned for delivered history", p.Requests)
		}
	})
}

// heldBack is a cloud to which nothing measured later has been uploaded yet.
type heldBack struct {
	history.API
	until time.Time
}

func (h *heldBack) Measure(ctx context.Context, q netatmo.MeasureQuery, p netatmo.Priority) (netatmo.Page, error) {
	page, err := h.API.Measure(ctx, q, p)
	page.Samples = slices.DeleteFunc(page.Samples, func(s netatmo.Sample) bool { return s.Time.After(h.until) })
	return page, err
}

// The next backfill delivers what is uploaded after a backfill.
func TestBackfillOfLateUploads(t *testing.T) {
	for name, ago := range map[string]time.Duration{"two days": 48 * time.Hour, "all of it": 31 * 24 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			r, cfg := backfillRig(t)
			begin := time.Now().Add(-uploadedBy)
			cloud := &heldBack{r.source, time.Now().Add(-ago)}
			for range 2 {
				b, err := history.OpenBackfill(t.Context(), cfg, cloud)
				if err != nil {
					t.Fatal(err)
				}
				if err := b.Run(t.Context(), r.backend, nil); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				cloud.until = time.Now()
			}
			r.everything(cfg.Since, begin, 0)
		})
	}
}

// A backfill that is interrupted repeatedly, while requests and pushes fail,
// delivers everything, and repeats nothing that was acknowledged.
func TestBackfillInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, cfg := backfillRig(t)
		since, begin := cfg.Since, time.Now().Add(-uploadedBy)
		sink := &moody{backend: r.backend}
		for run := range 40 {
			for _, kind := range []simcloud.Kind{simcloud.Internal, simcloud.Busy, simcloud.Truncated, simcloud.Unavailable} {
				r.cloud.Inject(simcloud.Fault{Endpoint: "getmeasure", Kind: kind})
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(3+run)*time.Minute)
			cfg.Since = since.Add(time.Duration(run) * time.Second) // like "--since 30d" on each run
			b, err := history.OpenBackfill(ctx, cfg, r.source)
			if err != nil {
				t.Fatal(err)
			}
			err = b.Run(ctx, sink, nil)
			cancel()
			if err == nil {
				t.Logf("done in run %d; %d points arrived twice, %d of them because the answer was lost", run+1, r.backend.twice, sink.lost)
				break
			}
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
		}
		const lastHour = 3 * 13 * 12 // values of all sensors; the last hour is never noted as done, and up to three runs reach it
		r.everything(since.Add(time.Minute), begin, sink.lost+lastHour)
	})
}

// moody is a sink that sometimes fails, in part, and sometimes after it took
// effect.
type moody struct {
	*backend
	n, lost int
}

func (m *moody) PushHistory(ctx context.Context, module netatmo.Reading, samples []netatmo.Sample) (record.Delivery, error) {
	m.n++
	switch m.n % 60 {
	case 20:
		return record.Delivery{}, errors.New("connection refused")
	case 40:
		d, _ := m.backend.PushHistory(ctx, module, samples[:len(samples)/3])
		return d, errors.New("throttled")
	case 50:
		_, _ = m.backend.PushHistory(ctx, module, samples)
		for _, s := range samples {
			m.lost += len(s.Values)
		}
		return record.Delivery{}, errors.New("timeout")
	}
	return m.backend.PushHistory(ctx, module, samples)
}

// Refused history is retried, so that it arrives after the backend's window has
// been lengthened, as the advice promises.
func TestBackfillTriesRefusedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, cfg := backfillRig(t)
		limit := time.Now().AddDate(0, 0, -10)
		for _, sink := range []history.Sink{&shortSighted{r.backend, limit}, r.backend} {
			b, err := history.OpenBackfill(t.Context(), cfg, r.source)
			if err != nil {
				t.Fatal(err)
			}
			if err := b.Run(t.Context(), sink, nil); err != nil {
				t.Fatal(err)
			}
		}
		const day, modules = 2 * 13 * 288, 3 // the samples in the same push as the last refused one
		r.everything(cfg.Since.Add(time.Minute), time.Now().Add(-uploadedBy), day*modules)
		b, err := history.OpenBackfill(t.Context(), cfg, r.source)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range b.Plan().Modules {
			if m.Missing > 2*time.Hour {
				t.Errorf("%s: %s is left", m.ModuleName, m.Missing)
			}
		}
	})
}

// shortSighted refuses points that are older than its limit.
type shortSighted struct {
	*backend
	limit time.Time
}

func (s *shortSighted) PushHistory(ctx context.Context, module netatmo.Reading, samples []netatmo.Sample) (record.Delivery, error) {
	n, _ := slices.BinarySearchFunc(samples, s.limit, func(x netatmo.Sample, t time.Time) int { return x.Time.Compare(t) })
	d, err := s.backend.PushHistory(ctx, module, samples[n:])
	d.Refused += n
	return d, err
}

// An error about one family or module excludes only that one; an error about
// everything ends the backfill.
func TestBackfillErrors(t *testing.T) {
	tests := map[string]struct {
		endpoint string
		kind     simcloud.Kind
		opens    bool
		runs     bool
		said     string
	}{
		"scope of a family":      {"gethomecoachsdata", simcloud.ScopeMissing, true, true, "family is left out"},
		"scope of a module":      {"getmeasure", simcloud.ScopeMissing, true, true, "module is left out"},
		"app deactivated":        {"getmeasure", simcloud.AppDeactivated, true, false, ""},
		"no answer at the start": {"getstationsdata", simcloud.Unavailable, false, false, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, cfg := backfillRig(t)
				r.cloud.Inject(simcloud.Fault{Endpoint: test.endpoint, Kind: test.kind, Times: -1})
				b, err := history.OpenBackfill(t.Context(), cfg, r.source)
				if (err == nil) != test.opens {
					t.Fatalf("opened: %v", err)
				}
				if !test.opens {
					return
				}
				if err := b.Run(t.Context(), r.backend, nil); (err == nil) != test.runs {
					t.Errorf("ran: %v", err)
				}
				if test.said != "" && !strings.Contains(r.log.String(), test.said) {
					t.Errorf("log: %s", r.log)
				}
			})
		})
	}
}

// History that is noted as done is not planned again, whatever the order in the
// file.
func TestBackfillPlan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now().Truncate(time.Second)
		day := func(n int) string { return begin.AddDate(0, 0, -30+n).UTC().Format(time.RFC3339) }
		done := map[string]float64{
			`[]`: 30, `null`: 30,
			`[{"from":"` + day(0) + `","to":"` + day(30) + `"}]`:                                                   0,
			`[{"from":"` + day(20) + `","to":"` + day(40) + `"},{"from":"` + day(-5) + `","to":"` + day(3) + `"}]`: 17,
			`[{"from":"` + day(5) + `","to":"` + day(6) + `"},{"from":"` + day(2) + `","to":"` + day(9) + `"}]`:    23,
			`[{"from":"` + day(9) + `","to":"` + day(1) + `"}]`:                                                    30,
		}
		for spans, days := range done {
			r, cfg := backfillRig(t)
			write(t, cfg.File, `{"done":{"70:ee:50:00:10:01":`+spans+`}}`)
			b, err := history.OpenBackfill(t.Context(), cfg, r.source)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range b.Plan().Modules {
				if m.ModuleID == "70:ee:50:00:10:01" && math.Abs(m.Missing.Hours()-24*days) > 0.001 {
					t.Errorf("%s: %s missing, want %v days", spans, m.Missing, days)
				}
			}
		}
	})
}

// A progress file that is damaged is not overwritten.
func TestBackfillDamagedProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, cfg := backfillRig(t)
		write(t, cfg.File, "{")
		if _, err := history.OpenBackfill(t.Context(), cfg, r.source); err == nil || !strings.Contains(err.Error(), cfg.File) {
			t.Errorf("opened: %v", err)
		}
		if read(t, cfg.File) != "{" {
			t.Error("the file changed")
		}
		if err := os.Remove(cfg.File); err != nil {
			t.Fatal(err)
		}
	})
}

// A token endpoint that is down for a while does not end the work; only a
// needed login does.
func TestBackfillWaitsForATokenEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, cfg := backfillRig(t)
		tokens := &gaping{token: r.cloud.Auth().Grant("read_station", "read_homecoach", "read_thermostat").Access}
		client := netatmo.NewClient(netatmo.Options{BaseURL: "http://cloud", HTTP: &http.Client{Transport: serveInMemory(t, r.cloud)}, Tokens: tokens, Gate: netatmo.NewGate(400)})
		b, err := history.OpenBackfill(t.Context(), cfg, client)
		if err != nil {
			t.Fatal(err)
		}
		tokens.fails = map[int]error{tokens.asked + 2: errors.New("the token endpoint answers 503"), tokens.asked + 3: errors.New("still")}
		if err := b.Run(t.Context(), r.backend, nil); err != nil {
			t.Error("gave up:", err)
		}
		needed := loginNeeded{errors.New("log in")}
		tokens.fails = map[int]error{tokens.asked + 1: needed}
		cfg.Since, cfg.File = cfg.Since.Add(time.Hour), cfg.File+"2"
		if _, err := history.OpenBackfill(t.Context(), cfg, client); !errors.Is(err, needed) {
			t.Error("did not give up:", err)
		}
	})
}

// gaping is a token source that fails at the n-th call.
type gaping struct {
	token string
	asked int
	fails map[int]error
}

func (g *gaping) Token(context.Context) (string, error) { g.asked++; return g.token, g.fails[g.asked] }
func (g *gaping) Reject(string)                         {}

type loginNeeded struct{ error }

func (loginNeeded) NeedsLogin() bool { return true }

// A home that Netatmo does not answer for affects no other.
func TestBackfillWithoutAHome(t *testing.T) {
	for _, class := range []netatmo.Class{netatmo.ClassNotFound, netatmo.ClassInvalid} {
		a := newAgent(t, &fake{
			homes: func() ([]netatmo.Home, error) { return []netatmo.Home{{ID: "other"}, {ID: "mine"}}, nil },
			status: func(h netatmo.Home) (netatmo.Answer, error) {
				if h.ID == "other" {
					return netatmo.Answer{}, failure(class)
				}
				return answer(room("hall", "Hall", 20)), nil
			},
		}, netatmo.Energy)
		a.fake.world.Unlock()
		b, err := history.OpenBackfill(t.Context(), history.BackfillConfig{
			Families: []netatmo.Family{netatmo.Energy}, History: catalogue.History, Since: time.Now().Add(-24 * time.Hour),
			File: filepath.Join(t.TempDir(), "backfill.json"), Logger: a.cfg.Logger,
		}, a.fake)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(b.Plan().Modules); n != 1 {
			t.Errorf("%s: %d modules\n%s", class, n, a.log)
		}
	}
}

// A backfill without modules does not count as done.
func TestBackfillOfNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, cfg := backfillRig(t)
		cfg.Allows = func(string, string) bool { return false }
		if _, err := history.OpenBackfill(t.Context(), cfg, r.source); err == nil {
			t.Error("opened without a module")
		}
	})
}
