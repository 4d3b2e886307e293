package record_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"netatmo-agent/agent/netatmo"
	"netatmo-agent/agent/record"
)

// Whatever the answers about all places add up to, and although the devices have
// other ids each time, the number of devices is limited, in memory, in the state
// file and in the log.
func TestTooManyDevicesOfAllPlaces(t *testing.T) {
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	state, err := record.OpenState(filepath.Join(t.TempDir(), record.StateName), logger)
	if err != nil {
		t.Fatal(err)
	}
	temperature := []netatmo.Column{{Type: "Temperature", Field: netatmo.Temperature}}
	r := record.New(record.Config{MaxGap: time.Hour, Stale: time.Hour, History: func(string) []netatmo.Column { return temperature }, Logger: logger}, state)
	for n := range 8 {
		for _, home := range []string{"a", "b", "c"} {
			now := time.Now()
			answer := netatmo.Answer{Server: now, Rejected: []netatmo.ItemError{{Place: "module 1", Reason: "is odd"}}}
			for i := range 3000 {
				id := fmt.Sprint(n, home, i)
				answer.Readings = append(answer.Readings, netatmo.Reading{
					ModuleID: id, StationID: id, Measured: now.Add(-90 * time.Minute), Answered: now,
					Values: netatmo.Values{{Field: netatmo.Temperature, Number: 20}, {Field: netatmo.Reachable, Number: 1}},
				})
			}
			r.Merge(record.Place{Family: netatmo.Energy, Home: home}, answer)
			for i := range answer.Readings {
				answer.Readings[i].Measured = now
			}
			r.Delivered(now, answer.Readings)
		}
		if n := len(r.Readings()); n != netatmo.MostDevices {
			t.Fatalf("%d devices, want %d", n, netatmo.MostDevices)
		}
	}
	r.ForgetGone()
	if n, _ := state.Acknowledged(); n > 2*netatmo.MostDevices {
		t.Errorf("the state file has %d modules", n)
	}
	if n := strings.Count(log.String(), "more than 7000 rooms and devices"); n != 1 {
		t.Errorf("the log says %d times that there are too many, want once", n)
	}
	if n := log.Len(); n > 64<<10 {
		t.Errorf("the log has %d bytes", n)
	}
}
