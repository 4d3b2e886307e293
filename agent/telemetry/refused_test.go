package telemetry

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	colmetricpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"netatmo-agent/agent/logtest"
	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/otlp"
)

// Several modules that the backend refuses affect no other, nor the agent's own
// points. The search for them is limited.
func TestSeveralBadModules(t *testing.T) {
	for _, tt := range []struct {
		modules  int
		bad      []int
		requests int // at most
	}{
		{1, []int{0}, 3},
		{8, []int{0, 3, 7}, 17},
		{8, []int{0, 1, 2, 3, 4, 5, 6, 7}, 17},
		{400, []int{17, 399}, 40},
	} {
		b := &backend{}
		p := newTestPusher(t, b, &logtest.Log{}, nil)
		var want, delivered []string
		var readings []netatmo.Reading
		for i := range tt.modules {
			readings = append(readings, outdoor(moduleID(i), time.Now(), float64(i)))
			if !slices.Contains(tt.bad, i) {
				want = append(want, moduleID(i))
			}
		}
		p.o.Readings = func() []netatmo.Reading { return readings }
		p.o.Delivered = func(_ time.Time, rs []netatmo.Reading) {
			for _, r := range rs {
				delivered = append(delivered, r.ModuleID)
			}
		}
		b.answer = func(r *colmetricpb.ExportMetricsServiceRequest) (*colmetricpb.ExportMetricsServiceResponse, error) {
			for _, s := range samples(r) {
				for _, i := range tt.bad {
					if strings.Contains(s.series, "module.id="+moduleID(i)+",") {
						return nil, status.Error(codes.InvalidArgument, "label value too long")
					}
				}
			}
			return nil, nil
		}
		for range 2 { // the search begins again for each push
			delivered, b.requests = nil, nil
			if f := otlp.Classify(p.PushNow(t.Context())); f == nil || f.Reason != otlp.Refused {
				t.Errorf("%d of %d: failure %v", len(tt.bad), tt.modules, f)
			}
			if slices.Sort(delivered); !slices.Equal(delivered, want) {
				t.Errorf("%d of %d: delivered %v, want %v", len(tt.bad), tt.modules, delivered, want)
			}
			if n := b.count(); n > tt.requests {
				t.Errorf("%d of %d: %d requests", len(tt.bad), tt.modules, n)
			}
		}
		if n := len(b.held("netatmo.agent.info", "")); n != 2 {
			t.Errorf("%d of %d: %d points of the agent itself, want 2", len(tt.bad), tt.modules, n)
		}
	}
}

// If a backend refuses every module, the agent does not try each of thousands.
func TestTheSearchForBadModulesEnds(t *testing.T) {
	b := &backend{answer: func(r *colmetricpb.ExportMetricsServiceRequest) (*colmetricpb.ExportMetricsServiceResponse, error) {
		if slices.ContainsFunc(samples(r), func(s sample) bool { return strings.HasPrefix(s.series, "netatmo.temperature{") }) {
			return nil, status.Error(codes.InvalidArgument, "no weather here")
		}
		return nil, nil
	}}
	p := newTestPusher(t, b, &logtest.Log{}, func(o *Options) {
		o.Readings = func() (all []netatmo.Reading) {
			for i := range 3000 {
				all = append(all, outdoor(moduleID(i), time.Now(), 4))
			}
			return all
		}
	})
	if f := otlp.Classify(p.PushNow(t.Context())); f == nil || f.Reason != otlp.Refused {
		t.Errorf("failure %v", f)
	}
	if n := b.count(); n > 80 {
		t.Errorf("%d requests", n)
	}
}

// If only history fails, the log says so once, and when it works again. If the
// backend is down altogether, the live push logs it.
func TestHistoryThatFailsAloneIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, log := &backend{}, &logtest.Log{}
		p := newTestPusher(t, b, log, nil)
		var live, history error
		b.answer = func(r *colmetricpb.ExportMetricsServiceRequest) (*colmetricpb.ExportMetricsServiceResponse, error) {
			if strings.HasPrefix(samples(r)[0].series, "netatmo.temperature{") {
				return nil, history
			}
			return nil, live
		}
		both := func() string {
			t.Helper()
			before := len(log.String())
			for range 3 {
				_, _, _ = pushHistory(t.Context(), p, past(1, time.Hour, 30*time.Minute))
				_ = p.PushNow(t.Context())
				time.Sleep(time.Minute)
			}
			return log.String()[before:]
		}
		fault, away := status.Error(codes.Internal, "boom"), status.Error(codes.Unavailable, "away")
		for _, tt := range []struct {
			live, history error
			says          []string
		}{
			{nil, nil, nil},
			{nil, fault, []string{`level=WARN msg="pushing history failed" error="the backend has a fault (Internal: boom)`}},
			{nil, fault, nil},
			{nil, nil, []string{"pushing history works again"}},
			{away, away, []string{`level=WARN msg="push failed"`}},
			{nil, nil, []string{"push works again"}},
			{nil, status.Error(codes.ResourceExhausted, "slow down"), []string{`msg="pushing history failed" error="the backend asks the agent to wait`}},
		} {
			live, history = tt.live, tt.history
			said := both()
			if n := strings.Count(strings.ReplaceAll(said, "level=DEBUG", "\x00"), "level="); n != len(tt.says) {
				t.Errorf("live %v, history %v: want %d lines\n%s", live, history, len(tt.says), said)
			}
			for _, text := range tt.says {
				if !strings.Contains(said, text) {
					t.Errorf("live %v, history %v: want %q in\n%s", live, history, text, said)
				}
			}
		}
	})
}
