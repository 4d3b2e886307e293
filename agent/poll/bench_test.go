package poll_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"netatmo-agent/agent/catalogue"
	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/poll"
	"netatmo-agent/agent/record"
)

// BenchmarkPoll is the cost of an answer per device, from the Source to the
// push and its acknowledgement: merge, gap check, snapshot, marks.
func BenchmarkPoll(b *testing.B) {
	for _, devices := range []int{10, 100, 1000, 10000} {
		b.Run(fmt.Sprint(devices, " devices"), func(b *testing.B) {
			state, err := record.OpenState(filepath.Join(b.TempDir(), "state.json"), slog.New(slog.DiscardHandler))
			if err != nil {
				b.Fatal(err)
			}
			answers := make(chan netatmo.Answer)
			r := record.New(record.Config{Stale: 20 * time.Minute, MaxGap: 24 * time.Hour, History: catalogue.History, Logger: slog.New(slog.DiscardHandler)}, state)
			p := poll.New(poll.Config{
				Families: []netatmo.Family{netatmo.Weather}, Interval: time.Nanosecond, Logger: slog.New(slog.DiscardHandler),
			}, &stream{answers: answers}, r)
			ctx, cancel := context.WithCancel(b.Context())
			done := make(chan struct{})
			go func() { p.Run(ctx); close(done) }()

			measured := time.Now().Add(-time.Minute)
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				n++
				b.StopTimer()
				readings := make([]netatmo.Reading, devices)
				for i := range readings {
					readings[i] = outdoor(fmt.Sprint("s", i/7), fmt.Sprint("m", i), measured.Add(time.Duration(n)*time.Millisecond), 20)
				}
				a := answer(readings...)
				b.StartTimer()
				answers <- a
				<-r.Changed()
				r.Delivered(time.Now(), r.Readings())
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n)/float64(devices), "ns/device")
			cancel()
			<-done
		})
	}
}

// stream is a Source of weather answers.
type stream struct {
	fake
	answers <-chan netatmo.Answer
}

func (s *stream) Weather(ctx context.Context, _ bool) (netatmo.Answer, error) {
	select {
	case a := <-s.answers:
		return a, nil
	case <-ctx.Done():
		return netatmo.Answer{}, ctx.Err()
	}
}
