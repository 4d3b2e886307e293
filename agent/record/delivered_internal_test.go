package record

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"netatmo-agent/agent/catalogue"
	"netatmo-agent/agent/netatmo"
)

// Of everything that a push contained, only fresh values with a history move a
// mark.
func TestDeliveredMovesTheMarkOfWhatWasMeasured(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	state, err := OpenState(filepath.Join(t.TempDir(), StateName), log)
	if err != nil {
		t.Fatal(err)
	}
	r := New(Config{Stale: 20 * time.Minute, MaxGap: time.Hour, History: catalogue.History, Logger: log}, state)
	at := time.Now().Truncate(time.Second)
	measured := netatmo.Values{{Field: netatmo.Temperature, Number: 4}, {Field: netatmo.Reachable, Number: 1}}
	outdoor := func(id string, at time.Time, values netatmo.Values) netatmo.Reading {
		return netatmo.Reading{ModuleID: id, ModuleType: netatmo.TypeOutdoor, StationID: "s", Measured: at, Answered: time.Now(), Values: values}
	}
	r.Merge(Place{Family: netatmo.Weather}, netatmo.Answer{Server: at, Readings: []netatmo.Reading{
		outdoor("fresh", at, measured),
		outdoor("stale", at.Add(-time.Hour), measured),
		outdoor("dead", at, measured[1:]),
	}})
	r.Delivered(at, r.Readings())
	for id, want := range map[string]bool{"fresh": true, "stale": false, "dead": false} {
		mark, known := state.mark(id)
		if known != want || known && !mark.Equal(at) {
			t.Errorf("%s: marked %v, at %v; want %v, at %v", id, known, mark, want, at)
		}
	}
}
