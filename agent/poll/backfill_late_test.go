package poll_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/poll"
)

// notUploaded is a source whose stations have uploaded nothing after a time.
type notUploaded struct {
	poll.Source
	after time.Time
}

func (n notUploaded) Measure(ctx context.Context, q netatmo.MeasureQuery, p netatmo.Priority) ([]netatmo.Sample, error) {
	samples, err := n.Source.Measure(ctx, q, p)
	return slices.DeleteFunc(samples, func(s netatmo.Sample) bool { return s.Time.After(n.after) }), err
}

// What had not been uploaded at the first run is delivered by the next.
func TestBackfillOfLateUploads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, cfg := backfillRig(t)
		begin := time.Now().Add(-uploadedBy)
		for _, src := range []poll.Source{notUploaded{r.source, begin.AddDate(0, 0, -2)}, r.source} {
			b, err := poll.OpenBackfill(t.Context(), cfg, src)
			if err != nil {
				t.Fatal(err)
			}
			if err := b.Run(t.Context(), r.backend, nil); err != nil {
				t.Fatal(err)
			}
		}
		r.everything(cfg.Since, begin, 0)
	})
}

// A backfill of nothing at all does not count as done.
func TestBackfillOfNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, cfg := backfillRig(t)
		cfg.Allows = func(string, string) bool { return false }
		if _, err := poll.OpenBackfill(t.Context(), cfg, r.source); err == nil {
			t.Error("opened without a module")
		}
	})
}
